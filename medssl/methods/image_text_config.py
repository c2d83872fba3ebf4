"""Settings of image–text pretraining: ConVIRT and what may stand in the place of its parts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from medssl.config import LocalPath, StrictModel

Weight = Annotated[float, Field(ge=0)]
Alike = Literal["mask", "positive", "ignore"]


class ConVIRTLoss(StrictModel):
    """Cross-entropy both ways, unequally weighted (arXiv 2010.00747)."""

    name: Literal["convirt"] = "convirt"
    temperature: PositiveFloat = 0.1
    image_weight: float = Field(
        0.75, ge=0, le=1, description="λ, of image to text; 0.5 is the loss of CLIP"
    )


class SigLIPLoss(StrictModel):
    """Pairwise sigmoid loss with a learned scale and bias (arXiv 2303.15343)."""

    name: Literal["siglip"] = "siglip"
    scale: PositiveFloat = Field(10.0, description="t at the start")
    bias: float = Field(-10.0, description="b at the start")


class DCLLoss(StrictModel):
    """Cross-entropy without the positive in its denominator (arXiv 2110.06848)."""

    name: Literal["dcl"] = "dcl"
    temperature: PositiveFloat = 0.1
    sigma: PositiveFloat | None = Field(
        None, description="weights positives by von Mises–Fisher (DCLW; published: 0.5)"
    )


class CWCLLoss(StrictModel):
    """Targets weighted by how alike the reports are to a frozen reference (arXiv 2309.14580)."""

    name: Literal["cwcl"] = "cwcl"
    temperature: PositiveFloat = 0.1
    form: Literal["linear", "exponential"] = Field(
        "exponential", description="linear: (1 + cosine)/2, as published; exponential is sharper"
    )
    sharpness: PositiveFloat = Field(0.1, description="T of exp((cosine - 1)/T)")
    reference: LocalPath | None = Field(
        None,
        description="bundle of a text encoder; by default latent semantic analysis of the training "
        "reports",
    )


class ISogCLRLoss(StrictModel):
    """A temperature for every image and report, learned beside (arXiv 2305.11965)."""

    name: Literal["isogclr"] = "isogclr"
    temperature: PositiveFloat = Field(0.07, description="at the start")
    rho: PositiveFloat = Field(0.1, description="ρ, which bounds the temperatures' growth")


CrossModalLoss = ConVIRTLoss | SigLIPLoss | DCLLoss | CWCLLoss | ISogCLRLoss


class ExtrasConfig(StrictModel):
    """Non-contrastive terms between the two projections (arXiv 2305.08675); 0 leaves one out."""

    cross_correlation: Weight = Field(0.0, description="published: 0.025")
    regression: Weight = Field(0.0, description="2 - 2 cosine of a predictor and the other side")
    swapped_assignment: Weight = Field(0.0, description="published: 0.2")
    prototypes: PositiveInt = Field(64, description="of the swapped assignment")


class WarmUpConfig(StrictModel):
    """Masked-language training of the text encoder on training sentences, before the pairs."""

    steps: PositiveInt = 300
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 2e-3
    share: float = Field(0.15, gt=0, lt=1, description="of tokens that are masked")


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class ConVIRTConfig(StrictModel):
    """Contrast of an image with a sentence of its report (arXiv 2010.00747)."""

    name: Literal["convirt"] = "convirt"
    loss: Annotated[CrossModalLoss, BeforeValidator(_named), Field(discriminator="name")] = (
        ConVIRTLoss()
    )
    same_report: Alike = Field(
        "mask",
        description="texts of a batch that are alike word by word: no negatives of each other, "
        "positives, or negatives as published; also inside a modality",
    )
    same_participant: Alike = Field(
        "mask",
        description="images and texts of one participant's different studies; also inside a "
        "modality",
    )
    image_image: Weight = Field(
        0.0, description="weight of NT-Xent between two images of a study; see pairs.companion"
    )
    text_text: Weight = Field(
        0.0, description="weight of NT-Xent between two sentences of a report"
    )
    gap: Weight = Field(
        0.0,
        description="weight of alignment, uniformity and cross-uniformity (arXiv 2405.18570)",
    )
    opposites: bool = Field(
        False,
        description="a sentence with its negation or side flipped is a further negative of its "
        "image; set views.flip.probability to 0, or left and right mean nothing",
    )
    extras: ExtrasConfig = ExtrasConfig()
    warm_up: WarmUpConfig | None = None

    @model_validator(mode="after")
    def _fits(self) -> ConVIRTConfig:
        if self.opposites and self.loss.name != "convirt":
            msg = f"opposites join the softmax of loss: convirt, not of {self.loss.name}"
            raise ValueError(msg)
        return self


class SwAVConfig(StrictModel):
    """Swapped prediction of cluster assignments, without negatives (arXiv 2006.09882)."""

    name: Literal["swav"] = "swav"
    temperature: PositiveFloat = 0.1
    prototypes: PositiveInt = Field(3000, description="published; far fewer for small corpora")
    epsilon: PositiveFloat = Field(0.05, description="of the Sinkhorn normalisation")
    rounds: PositiveInt = Field(3, description="of it")
    freeze_steps: int = Field(313, ge=0, description="steps before the prototypes move")
    queue: int = Field(
        0, ge=0, description="earlier projections that balance the assignments of small batches"
    )


class MaskedLanguageConfig(StrictModel):
    """Masked-language training of a text encoder on reports alone (arXiv 1810.04805)."""

    name: Literal["masked_language"] = "masked_language"
    share: float = Field(0.15, gt=0, lt=1, description="of tokens that are masked")
