"""Settings of pretraining: what every method shares, and what each has of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from medssl.config import StrictModel
from medssl.encoders import EncoderConfig, ProjectionHeadConfig, kind_of
from medssl.encoders.registry import KINDS
from medssl.encoders.vit1d import check_width
from medssl.inputs.table_config import TableConfig
from medssl.methods.image_text_config import ConVIRTConfig, MaskedLanguageConfig, SwAVConfig
from medssl.methods.tip_config import TIPConfig
from medssl.types import Kind
from medssl.views import ViewsConfig
from medssl.views.image_config import ImageViewsConfig
from medssl.views.text_config import TextViewsConfig

Momentum = Annotated[float, Field(ge=0, lt=1)]


class OptimiserConfig(StrictModel):
    """Adam with coupled weight decay, and a learning rate that is a function of the step."""

    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(1e-5, ge=0)
    schedule: Literal["halving", "cosine", "constant", "plateau"] = "halving"
    halve_every: PositiveInt = Field(125_000, description="steps; for schedule: halving")
    patience: PositiveInt = Field(
        5,
        description="for schedule: plateau: halved when the validation loss has not fallen for so "
        "many validations (validate_every)",
    )
    warmup_steps: int = Field(0, ge=0)


class WearableConfig(StrictModel):
    """Masked InfoNCE and KoLeo against a momentum teacher (arXiv 2312.05409)."""

    name: Literal["wearable"] = "wearable"
    temperature: PositiveFloat = 0.04
    koleo_weight: float = Field(0.1, ge=0, description="0 switches KoLeo off")
    momentum: Momentum | None = Field(
        0.99, description="of the teacher; null: no teacher, gradients through both views"
    )
    mask_within_only: bool = Field(
        False,
        description="the public code's form: negatives of the same participant are masked only "
        "inside a view",
    )


class SimCLRConfig(StrictModel):
    """NT-Xent between two views (arXiv 2002.05709), same-participant negatives masked."""

    name: Literal["simclr"] = "simclr"
    temperature: PositiveFloat = 0.1


class MoCoConfig(StrictModel):
    """InfoNCE against a queue of a momentum teacher's keys (arXiv 2003.04297)."""

    name: Literal["moco"] = "moco"
    temperature: PositiveFloat = 0.2
    momentum: Momentum = 0.999
    queue: PositiveInt = Field(65_536, description="keys; of the query's participant none counts")
    symmetric: bool = Field(
        True, description="both views are queries in turn; false: the first alone, as published"
    )


class BYOLConfig(StrictModel):
    """Prediction of a momentum teacher's projection, without negatives (arXiv 2006.07733)."""

    name: Literal["byol"] = "byol"
    momentum: Momentum = 0.996
    momentum_end: float | None = Field(
        1.0, ge=0, le=1, description="reached along half a cosine; null: momentum stays"
    )
    predictor_hidden: PositiveInt = Field(1024, description="published: 4096")


class BarlowTwinsConfig(StrictModel):
    """Cross-correlation of two views' features, towards the identity (arXiv 2103.03230)."""

    name: Literal["barlow_twins"] = "barlow_twins"
    redundancy_weight: float = Field(5e-3, ge=0, description="of the off-diagonal")


class VICRegConfig(StrictModel):
    """Variance, invariance and covariance terms (arXiv 2105.04906)."""

    name: Literal["vicreg"] = "vicreg"
    invariance_weight: float = Field(25.0, ge=0)
    variance_weight: float = Field(25.0, ge=0)
    covariance_weight: float = Field(1.0, ge=0)


class DecoderConfig(StrictModel):
    """The masked autoencoder's decoder, which is thrown away."""

    width: PositiveInt = Field(64, description="of its tokens; even, and a multiple of heads")
    depth: PositiveInt = Field(2, description="transformer blocks")
    heads: PositiveInt = 4

    @model_validator(mode="after")
    def _divides(self) -> DecoderConfig:
        check_width(self.width, self.heads)
        return self


class MaskedAutoencoderConfig(StrictModel):
    """Reconstruction of patches that the encoder has not seen (arXiv 2111.06377)."""

    name: Literal["masked_autoencoder"] = "masked_autoencoder"
    ratio: float = Field(0.75, gt=0, lt=1, description="share of patches that is masked")
    standardise: bool = Field(True, description="targets: every patch with mean 0 and variance 1")
    augment: bool = Field(
        False, description="apply `views` before masking; published: the mask is the only view"
    )
    decoder: DecoderConfig = DecoderConfig()


class MultiViewConfig(StrictModel):
    """Contrast of all views of both records of a pair (arXiv 2507.06979)."""

    name: Literal["multiview"] = "multiview"
    form: Literal["mv_dhel", "mv_infonce", "infonce"] = Field(
        "mv_dhel", description="infonce: between first and second alone, both ways"
    )
    views_per_record: PositiveInt = Field(
        1,
        description="stochastic views of each record; above 1 keep the temperature high, or views "
        "of one record, alike as they are, outweigh all other positives",
    )
    temperature: PositiveFloat = 0.5
    mask_participants: bool = Field(
        True,
        description="false: other records of the same participant are negatives too, which is of "
        "use for moments with pairs.per_participant above 1",
    )

    @model_validator(mode="after")
    def _two_views(self) -> MultiViewConfig:
        if self.form == "infonce" and self.views_per_record != 1:
            msg = "form: infonce compares two views: set views_per_record to 1, or use mv_infonce"
            raise ValueError(msg)
        return self


class NoViewsConfig(StrictModel):
    """Rows of a table are seen as they are."""

    kind: Literal["table"] = "table"

    def build(self) -> None:
        """Nothing."""


AnyViewsConfig = Annotated[
    ViewsConfig | ImageViewsConfig | TextViewsConfig | NoViewsConfig, Field(discriminator="kind")
]


def _views_of_the_encoder(values: Any) -> Any:
    """Views are of the kind that the encoder beside them takes; nobody has to say so."""
    if not isinstance(values, dict) or "encoder" not in values:
        return values
    encoder = values["encoder"]
    name = encoder.get("name") if isinstance(encoder, dict) else getattr(encoder, "name", None)
    kind = KINDS.get(str(name), Kind.WAVEFORM).value
    views = values.get("views", {})
    if isinstance(views, dict) and "kind" not in views:
        return {**values, "views": {"kind": kind, **views}}
    return values


def _check_views(encoder: EncoderConfig, views: AnyViewsConfig) -> None:
    kind = kind_of(encoder).value
    if views.kind != kind:
        msg = f"views are of {views.kind}s and {encoder.name} takes {kind}s: drop views.kind"
        raise ValueError(msg)


class PartnerConfig(StrictModel):
    """The second modality of a pair: its own encoder, views and head."""

    encoder: EncoderConfig
    views: AnyViewsConfig = ViewsConfig()
    table: TableConfig | None = Field(None, description="columns of the rows, for partner: table")

    @model_validator(mode="before")
    @classmethod
    def _kind_of_views(cls, values: Any) -> Any:
        return _views_of_the_encoder(values)

    @model_validator(mode="after")
    def _fitting_views(self) -> PartnerConfig:
        _check_views(self.encoder, self.views)
        return self


Method = (
    WearableConfig
    | SimCLRConfig
    | MoCoConfig
    | BYOLConfig
    | BarlowTwinsConfig
    | VICRegConfig
    | MaskedAutoencoderConfig
    | MultiViewConfig
    | SwAVConfig
    | ConVIRTConfig
    | MaskedLanguageConfig
    | TIPConfig
)
"""A new method joins this union and `registry.build_method`, and must pass the tests of all."""


def has_teacher(method: Method) -> bool:
    """Whether a method keeps a momentum teacher, which can be exported in place of the student.

    >>> has_teacher(WearableConfig()), has_teacher(WearableConfig(momentum=None))
    (True, False)
    """
    return getattr(method, "momentum", None) is not None


def _named(value: Any) -> Any:
    """`method: simclr` is short for `method: {name: simclr}`; settings alone are wearable's."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "name" not in value:
        return {"name": "wearable", **value}
    return value


class MethodConfig(StrictModel):
    """Everything that decides what is learned, apart from the data."""

    method: Annotated[Method, BeforeValidator(_named), Field(discriminator="name")] = (
        WearableConfig()
    )
    encoder: EncoderConfig
    head: ProjectionHeadConfig = ProjectionHeadConfig()
    views: AnyViewsConfig = ViewsConfig()
    partner: PartnerConfig | None = Field(
        None, description="the second modality of pairs.level: moment, study or record"
    )
    optimiser: OptimiserConfig = OptimiserConfig()

    @model_validator(mode="before")
    @classmethod
    def _kind_of_views(cls, values: Any) -> Any:
        return _views_of_the_encoder(values)

    @model_validator(mode="after")
    def _fits_the_method(self) -> MethodConfig:
        if isinstance(self.method, MaskedAutoencoderConfig) and self.encoder.name != "vit1d":
            msg = (
                f"method masked_autoencoder hides patches, which {self.encoder.name} has not: "
                "use encoder: {name: vit1d, channels: …}"
            )
            raise ValueError(msg)
        two = isinstance(self.method, MultiViewConfig | ConVIRTConfig | TIPConfig)
        if self.partner is not None and not two:
            msg = (
                f"method {self.method.name} has no second encoder: use multiview, convirt or tip, "
                "or drop partner"
            )
            raise ValueError(msg)
        if self.partner is None and isinstance(self.method, ConVIRTConfig | TIPConfig):
            msg = f"method {self.method.name} needs partner: {{encoder: …}}, the second encoder"
            raise ValueError(msg)
        texts = self.encoder.name == "text_transformer"
        if texts and self.method.name != "masked_language":
            msg = f"method {self.method.name} does not train text encoders: use masked_language"
            raise ValueError(msg)
        if self.method.name == "masked_language" and not texts:
            msg = "method masked_language reads texts: use encoder: {name: text_transformer}"
            raise ValueError(msg)
        reports = self.partner is None or self.partner.encoder.name == "text_transformer"
        if isinstance(self.method, ConVIRTConfig) and not reports:
            msg = "method convirt reads reports: use partner: {encoder: {name: text_transformer}}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _fitting_views(self) -> MethodConfig:
        _check_views(self.encoder, self.views)
        return self
