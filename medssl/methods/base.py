"""What every pretraining method shares: views, seeds, the optimiser, what is exported."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from medssl.batches import move
from medssl.encoders import build_encoder
from medssl.errors import ObjectiveError
from medssl.inputs import Inputs
from medssl.inputs.waveforms import bare_waveforms
from medssl.methods.config import MethodConfig, OptimiserConfig
from medssl.methods.contrasts import Contrast
from medssl.methods.ema import MomentumTeacher
from medssl.methods.facts import RunFacts
from medssl.sampling.loader import Batch
from medssl.views.seeds import derive_seed

Side = Literal["first", "second", "companion"]
"""Records of a batch: the pair, and a further one of the first's modality."""

LOSS = "loss"
"""Key of the total among the terms of a step."""


class PretrainingMethod(lightning.LightningModule):
    """An encoder, a projection head, and an objective over batches of positive pairs.

    A method says which further modules it has (`build`) and what its loss is (`loss`). All
    randomness of a step is drawn from (seed, position of the batch), so that a resumed run repeats
    an undisturbed one; whatever else a method remembers stands in persistent buffers.

    Args:
        config: Settings of the method and of what all share.
        seed: Seed of initial weights, views and dropout.
        steps: Optimiser steps in the whole run, for the schedule.
        inputs: How records of the first modality are read; by default waveforms.
        partner_inputs: The same for the partner's; by default `inputs`.
    """

    title: ClassVar[str]
    """Name and source, as written into a bundle's provenance."""
    learning_rate_factor: Tensor
    """What a plateau of the validation loss has made of the learning rate."""

    def __init__(
        self,
        config: MethodConfig,
        *,
        seed: int,
        steps: int,
        inputs: Inputs | None = None,
        partner_inputs: Inputs | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.steps = steps
        self.inputs = inputs or bare_waveforms()
        self.partner_inputs = partner_inputs or self.inputs
        self.register_buffer("learning_rate_factor", torch.ones(()))
        self.teacher: MomentumTeacher | None = None
        self.views = config.views.build()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            self.encoder = build_encoder(config.encoder)
            self.head: nn.Module = config.head.build(self.encoder.dim)
            self.build()

    def meet(self, facts: RunFacts) -> None:
        """Learn what there is to know of the training records, before the first step."""
        return

    def exported_partner(self) -> tuple[nn.Module, nn.Module | None] | None:
        """The second modality's encoder and head, if there is one."""
        return None

    def build(self) -> None:
        """Make further modules, such as a teacher, with the seeded generator."""
        return

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of one batch; the total stands under `LOSS`."""

    @property
    def settings(self) -> Any:
        """The method's own part of the configuration."""
        return self.config.method

    def student(self) -> nn.Sequential:
        """Encoder and head, one behind the other."""
        return nn.Sequential(self.encoder, self.head)

    def trained(self) -> list[nn.Module]:
        """Modules that the optimiser moves: all but the teacher."""
        return [module for name, module in self.named_children() if name != "teacher"]

    def exported(self, which: Literal["student", "teacher"]) -> tuple[nn.Module, nn.Module | None]:
        """The encoder whose weights go into the bundle, and the projection head behind it, if any.

        Raises:
            ObjectiveError: The method has no teacher.
        """
        if which == "student":
            return self.encoder, self.head
        if self.teacher is None:
            msg = "this method has no teacher: use pretrain.export=student"
            raise ObjectiveError(msg)
        teacher = self.teacher.network
        assert isinstance(teacher, nn.Sequential)
        return teacher[0], teacher[1]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch; its terms are kept for the monitors."""
        if self.teacher is not None and batch_idx % self.trainer.accumulate_grad_batches == 0:
            self.teacher.follow(self.student())
        torch.manual_seed(derive_seed(self.seed, "dropout", batch["position"], self.global_rank))
        terms = self.loss(batch)
        self.refuse_non_finite(terms)
        self.terms = {name: value.detach() for name, value in terms.items()}
        return terms[LOSS]

    def view(self, batch: Batch, which: Side, number: int = 0) -> Any:
        """A stochastic view of one side of a batch, on the method's device.

        Args:
            batch: Records as they come from the store.
            which: The side.
            number: Which of several views of that side.
        """
        seed = self.view_seed(batch, which, number)
        seen = self.inputs_of(which).viewed(batch[which], self.views_of(which), seed=seed)
        return move(seen, self.device)  # tokens are made on the CPU

    def plain(self, batch: Batch, which: Side) -> Any:
        """One side of a batch as it would be embedded, on the method's device."""
        return self.inputs_of(which).plain(batch[which], self.device)

    def view_seed(self, batch: Batch, which: Side, number: int = 0) -> int:
        """Seed of a view: of the run, the batch's position, the side and the rank."""
        parts = ("views", batch["position"], which, self.global_rank)
        return derive_seed(self.seed, *(parts if number == 0 else (*parts, number)))

    def views_of(self, which: Side) -> Any:
        """The views of one side; all have the same, unless a method says otherwise."""
        return self.views

    def inputs_of(self, which: Side) -> Inputs:
        """How one side is read."""
        return self.partner_inputs if which == "second" else self.inputs

    def refuse_non_finite(self, terms: dict[str, Tensor]) -> None:
        """Stop at a loss that is not finite.

        Raises:
            ObjectiveError: Names the step and the term.
        """
        for name, value in terms.items():
            if not torch.isfinite(value):
                msg = (
                    f"step {self.global_step}: the term {name} is {value.item()}; lower "
                    "pretrain.optimiser.learning_rate or use pretrain.precision=32-true"
                )
                raise ObjectiveError(msg)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam over the trained modules, and its schedule by step."""
        settings = self.config.optimiser
        decayed: list[nn.Parameter] = []
        held: list[nn.Parameter] = []  # scales and biases of objectives, which decay would pull
        for module in self.trained():
            into = held if isinstance(module, Contrast) else decayed
            into += [p for p in module.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            *([{"params": held, "weight_decay": 0.0}] if held else []),
        ]
        optimizer: Optimizer = Adam(
            groups, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        scheduler = LambdaLR(
            optimizer,
            lambda step: (
                float(self.learning_rate_factor) * learning_rate_factor(step, settings, self.steps)
            ),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def learning_rate_factor(step: int, settings: OptimiserConfig, steps: int) -> float:
    """What the learning rate is multiplied with at a step.

    >>> learning_rate_factor(250_000, OptimiserConfig(), 1_000_000)
    0.25
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule == "halving":
        return float(0.5 ** (step // settings.halve_every))
    if settings.schedule == "cosine":
        done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return 1.0
