"""Settings of pretraining: what every method shares, and what each has of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt

from medssl.config import StrictModel
from medssl.encoders import EncoderConfig, ProjectionHeadConfig
from medssl.views import ViewsConfig

Momentum = Annotated[float, Field(ge=0, lt=1)]


class OptimiserConfig(StrictModel):
    """Adam with coupled weight decay, and a learning rate that is a function of the step."""

    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(1e-5, ge=0)
    schedule: Literal["halving", "cosine", "constant"] = "halving"
    halve_every: PositiveInt = Field(125_000, description="steps; for schedule: halving")
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


Method = WearableConfig | SimCLRConfig
"""A new method joins this union and `registry.build_method`, and must pass the tests of all."""


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
    views: ViewsConfig = ViewsConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
