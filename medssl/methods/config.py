"""Settings of a pretraining method: encoder, head, views, objective, optimiser."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medssl.config import StrictModel
from medssl.encoders import EncoderConfig, ProjectionHeadConfig
from medssl.views import ViewsConfig


class ObjectiveConfig(StrictModel):
    """Weights and temperatures of the loss."""

    temperature: PositiveFloat = 0.04
    koleo_weight: float = Field(0.1, ge=0, description="0 switches KoLeo off")
    mask_within_only: bool = Field(
        False,
        description="the public code's form: negatives of the same participant are masked only "
        "inside a view",
    )


class OptimiserConfig(StrictModel):
    """Adam with coupled weight decay, and a learning rate that is a function of the step."""

    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(1e-5, ge=0)
    schedule: Literal["halving", "cosine", "constant"] = "halving"
    halve_every: PositiveInt = Field(125_000, description="steps; for schedule: halving")
    warmup_steps: int = Field(0, ge=0)


class MethodConfig(StrictModel):
    """Everything that decides what is learned, apart from the data."""

    encoder: EncoderConfig
    head: ProjectionHeadConfig = ProjectionHeadConfig()
    views: ViewsConfig = ViewsConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    momentum: float = Field(0.99, ge=0, lt=1, description="of the teacher")
