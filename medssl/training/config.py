"""Settings of the training loop: how long, how large, where."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from medssl.config import StrictModel
from medssl.sampling.pairs import PairConfig


class FitConfig(StrictModel):
    """How long, how large, where."""

    steps: PositiveInt = Field(1_000, description="optimiser steps")
    batch_size: int = Field(256, ge=2, description="pairs per batch, over all processes")
    accumulate: PositiveInt = Field(1, description="batches per optimiser step")
    pairs: PairConfig = PairConfig()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: PositiveInt = Field(1, description="processes on this machine; more than 1 is DDP")
    threads: PositiveInt | None = Field(
        None, description="CPU threads per process; one is fastest for small encoders"
    )
    deterministic: bool = Field(True, description="refuse kernels that do not repeat on a GPU")
    checkpoint_every: PositiveInt = Field(250, description="steps")
    log_every: PositiveInt = Field(10, description="steps")
    validate_every: int = Field(
        0, ge=0, description="steps between losses on pairs of validation participants; 0: never"
    )
    validate_batches: PositiveInt = Field(8, description="batches of each validation")
    keep: Literal["last", "best"] = Field(
        "last", description="weights of the last step, or of the lowest validation loss"
    )
    monitor_every: PositiveInt = Field(100, description="steps between collapse checks")
    monitor_records: int = Field(512, ge=0, description="validation records embedded for them")

    @model_validator(mode="after")
    def _validated(self) -> FitConfig:
        if self.keep == "best" and not 0 < self.validate_every <= self.steps:
            msg = "keep: best looks at validation losses: set validate_every, to steps at most"
            raise ValueError(msg)
        return self
