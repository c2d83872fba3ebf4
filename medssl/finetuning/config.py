"""Settings of fine-tuning: what is predicted, from how many labels, from which start."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from medssl.config import StrictModel
from medssl.evaluation.statistics import Method
from medssl.evaluation.targets import Target
from medssl.finetuning.augment import AugmentConfig
from medssl.finetuning.heads import HeadName
from medssl.finetuning.lora import LoraConfig
from medssl.finetuning.network import Precision
from medssl.finetuning.objectives import ObjectiveConfig, default_objective

Start = Literal["bundle", "frozen", "scratch"]
BUNDLE: Final = "bundle"
FROZEN: Final = "frozen"
SCRATCH: Final = "scratch"

Fraction = Annotated[float, Field(gt=0, le=1)]


class SupervisedConfig(StrictModel):
    """How an encoder learns from labels, whatever it starts from."""

    seeds: PositiveInt = Field(3, description="runs; of each fraction, each with its own subsets")
    head: HeadName = Field("linear", description="on each record, or attention over a bag of them")
    bag_size: PositiveInt = Field(8, description="attention: records of a participant in a batch")
    attention_width: PositiveInt = 64
    steps: PositiveInt = Field(400, description="optimiser steps, the same from every start")
    batch_size: int = Field(32, ge=2, description="participants in a batch, or sessions or records")
    learning_rate: PositiveFloat = Field(1e-3, description="of the head, and of all from scratch")
    weight_decay: float = Field(0.01, ge=0)
    clip: PositiveFloat = Field(1.0, description="largest norm of the gradient")
    augment: AugmentConfig | None = Field(
        None, description="views of the fitted records, of the kind that the encoder takes"
    )
    validate_every: PositiveInt = Field(20, description="steps")
    patience: PositiveInt = Field(
        5, description="validations without a better loss, after the warm-up, before it stops"
    )
    precision: Precision = "32-true"
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: PositiveInt | None = Field(
        None, description="CPU threads; one is fastest for small encoders"
    )

    def from_scratch(self, target: Target) -> FinetuneConfig:
        """Settings of the runs from random weights with all labels of a target."""
        own = {name: getattr(self, name) for name in SupervisedConfig.model_fields}
        return FinetuneConfig(
            target=target, fractions=(1.0,), start=(SCRATCH,), warmup_steps=0, **own
        )


class FinetuneConfig(SupervisedConfig):
    """How a label curve and its task bundle are made."""

    target: Target
    fractions: tuple[Fraction, ...] = Field(
        (0.01, 0.05, 0.1, 0.25, 1.0),
        min_length=1,
        description="shares of the labelled training participants; smaller ones are part of "
        "larger ones",
    )
    start: tuple[Start, ...] = Field(
        (BUNDLE, FROZEN, SCRATCH),
        min_length=1,
        description="bundle: fine-tune; frozen: train the head alone; scratch: random weights",
    )
    objective: ObjectiveConfig | None = Field(
        None, description="none: the likelihood of the target's kind"
    )
    warmup_steps: int = Field(
        100, ge=0, description="bundle: steps in which only the head learns; scratch has none"
    )
    layer_decay: float = Field(
        0.7, gt=0, le=1, description="bundle: each layer learns this much slower than the next"
    )
    freeze_batch_norm: bool = Field(
        True, description="bundle: keep the statistics of pretraining, which saw more participants"
    )
    lora: LoraConfig | None = Field(None, description="bundle: adapters instead of all weights")
    bootstrap: int = Field(1000, ge=100, description="replicates over participants")
    interval: Method = Field("bca", description="bca corrects bias and skewness; percentile")
    level: float = Field(0.95, gt=0.5, lt=1)

    @field_validator("fractions")
    @classmethod
    def _ascending(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(set(fractions)))

    @field_validator("start")
    @classmethod
    def _once(cls, start: tuple[Start, ...]) -> tuple[Start, ...]:
        order: tuple[Start, ...] = (BUNDLE, FROZEN, SCRATCH)
        return tuple(name for name in order if name in start)

    @model_validator(mode="after")
    def _consistent(self) -> FinetuneConfig:
        chosen = self.chosen_objective
        if self.target.kind not in chosen.kinds:
            msg = (
                f"objective {chosen.name} is for {', '.join(chosen.kinds)} targets, and "
                f"{self.target.name!r} is {self.target.kind}"
            )
            raise ValueError(msg)
        if chosen.needs_bags and self.head != "attention_mil":
            msg = f"objective {chosen.name} contrasts bags of records: set head to attention_mil"
            raise ValueError(msg)
        if chosen.first_step >= self.steps:
            msg = (
                f"objective {chosen.name} first clusters at step {chosen.first_step} and there are "
                f"{self.steps}: raise steps, or lower objective.supcon_steps and cluster_every"
            )
            raise ValueError(msg)
        if self.warmup_steps >= self.steps:
            msg = f"warmup_steps ({self.warmup_steps}) must be smaller than steps ({self.steps})"
            raise ValueError(msg)
        if self.lora is not None and BUNDLE not in self.start:
            msg = "lora adapts a bundle: add bundle to start, or remove lora"
            raise ValueError(msg)
        return self

    @property
    def chosen_objective(self) -> ObjectiveConfig:
        """The objective, or the likelihood of the target's kind."""
        return self.objective or default_objective(self.target.kind)
