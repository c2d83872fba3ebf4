"""The loop: frozen warm-up, discriminative learning rates, early stopping on participants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from medssl.errors import ObjectiveError, StageError
from medssl.finetuning.augment import build_views
from medssl.finetuning.config import FROZEN, SCRATCH, FinetuneConfig, Start
from medssl.finetuning.layers import freeze_batch_norm, parameter_groups
from medssl.finetuning.network import (
    Reader,
    TaskNetwork,
    blocks,
    embed_rows,
    predict_units,
)
from medssl.finetuning.objectives import Batch, Objective
from medssl.finetuning.objectives.base import LOSS
from medssl.finetuning.sampler import Draw, UnitSampler
from medssl.finetuning.scale import Scale
from medssl.finetuning.units import LabelledUnits
from medssl.finetuning.validation import validation_loss
from medssl.threads import torch_threads
from medssl.views.seeds import derive_seed

Report = Callable[[int, float], None]
"""Called with (steps done, validation loss)."""


@dataclass(frozen=True)
class Training:
    """How a run went.

    Args:
        best_step: Steps after which the kept weights stood.
        best_loss: Their loss on the validation units.
        steps: Steps done before it stopped.
        history: Every validation: steps done and loss.
    """

    best_step: int
    best_loss: float
    steps: int
    history: tuple[tuple[int, float], ...]


class Loop:
    """One run; the network ends with the weights that were best on the validation units.

    Args:
        network: What is trained, in place, on the device.
        sampler: Which records stand in which batch.
        objective: The loss.
        scale: What the outputs mean.
        config: Steps, learning rates, patience.
        start: What the encoder starts from; decides what is frozen.
        read: Fetches records.
        seed: Of views and dropout.
    """

    def __init__(
        self,
        network: TaskNetwork,
        sampler: UnitSampler,
        objective: Objective,
        scale: Scale,
        config: FinetuneConfig,
        *,
        start: Start,
        read: Reader,
        seed: int,
    ) -> None:
        self.network = network
        self.sampler = sampler
        self.objective = objective
        self.scale = scale
        self.config = config
        self.start = start
        self.seed = seed
        self.device = next(network.parameters()).device
        self._read = read
        self._views = build_views(config.augment, read.contract) if config.augment else None
        self._targets = scale.targets(sampler.units.values)
        people = np.unique(sampler.units.participants, return_inverse=True)[1]
        self._participants = torch.from_numpy(people)
        self.optimizer = AdamW(
            parameter_groups(
                network.encoder, network.head, learning_rate=config.learning_rate,
                decay=1.0 if start == SCRATCH else config.layer_decay,
                weight_decay=config.weight_decay,
            )
        )  # fmt: skip
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self._scaler = torch.amp.GradScaler(
            self.device.type, enabled=config.precision == "16-mixed"
        )

    @property
    def frozen_steps(self) -> int:
        """Steps in which the encoder does not move."""
        if self.start == SCRATCH:
            return 0
        return self.config.steps if self.start == FROZEN else self.config.warmup_steps

    def run(self, validation: LabelledUnits, report: Report | None = None) -> Training:
        """Train until the last step, or until `patience` validations brought nothing better.

        Raises:
            ObjectiveError: A term of the loss is not finite.
        """
        best: dict[str, Tensor] = {}
        best_step, best_loss, waited = 0, math.inf, 0
        history = []
        for step in range(self.config.steps):
            self.advance(step)
            done = step + 1
            if done % self.config.validate_every and done < self.config.steps:
                continue
            loss = self.validate(validation)
            history.append((done, loss))
            if report is not None:
                report(done, loss)
            if loss < best_loss:
                best_step, best_loss, waited = done, loss, 0
                best = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
            elif done > self.config.warmup_steps:
                waited += 1
            if waited >= self.config.patience:
                break
        if not best:
            msg = f"no validation gave a finite loss ({history[-1][1]}): lower learning_rate"
            raise ObjectiveError(msg)
        self.network.load_state_dict(best)
        self.network.eval()
        return Training(best_step, best_loss, history[-1][0], tuple(history))

    def validate(self, units: LabelledUnits) -> float:
        """Loss on units whose participants are not fitted."""
        natural = predict_units(self.network, self._read, units, self.scale, self.device)
        return validation_loss(natural, units, self.scale, weights=self.objective.class_weights())

    def advance(self, step: int) -> dict[str, float]:
        """One optimiser step; gives the terms of its loss."""
        torch.manual_seed(derive_seed(self.seed, "dropout", step))
        every = self.objective.refresh_every
        if every is not None and step % every == 0:
            self.objective.refresh(self.embed_units(), step)
        self._set_modes(step)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * rate_factor(step, self.config)
        draw = self.sampler.draw(step)
        pooled = self.network.pool(self._encode(draw, step), self._to(torch.from_numpy(draw.mask)))
        units = torch.from_numpy(draw.units)
        batch = Batch(
            features=pooled,
            outputs=self.network.head.classify(pooled),
            targets=self._to(self._targets[units]),
            participants=self._to(self._participants[units]),
            units=self._to(units),
            classify=self.network.head.classify,
            step=step,
        )
        terms = self.objective.terms(batch)
        self._refuse_non_finite(step, terms)
        self.optimizer.zero_grad(set_to_none=True)
        scaled: Tensor = self._scaler.scale(terms[LOSS])
        torch.autograd.backward(scaled)
        self._scaler.unscale_(self.optimizer)
        free = [p for group in self.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(free, self.config.clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return {name: float(value.detach()) for name, value in terms.items()}

    @torch.no_grad()
    def embed_units(self) -> Tensor:
        """Pooled embeddings of all fitted units, as the network gives them now, on its device."""
        self.network.eval()
        units, found = self.sampler.units, []
        for block in blocks(units.counts):
            rows = units.rows[units.offsets[block.start] : units.offsets[block.stop]]
            features = self._to(embed_rows(self.network, self._read, rows, self.device))
            counts = torch.from_numpy(units.counts[block])
            mask = torch.arange(int(counts.max())) < counts[:, None]
            found.append(self.network.pool(features, self._to(mask)))
        return torch.cat(found)

    def _encode(self, draw: Draw, step: int) -> Tensor:
        if self._views is None:
            records = self._read.plain(draw.rows, self.device)
        else:
            seed = derive_seed(self.seed, "views", step)
            records = self._read.viewed(draw.rows, self.device, self._views, seed=seed)
        with torch.set_grad_enabled(step >= self.frozen_steps):
            return self.network.encode(records)

    def _set_modes(self, step: int) -> None:
        self.network.train()
        if step < self.frozen_steps:
            self.network.encoder.eval()
        elif self.start != SCRATCH and (self.config.freeze_batch_norm or self.config.lora):
            freeze_batch_norm(self.network.encoder)

    def _to(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)

    def _refuse_non_finite(self, step: int, terms: dict[str, Tensor]) -> None:
        for name, value in terms.items():
            if not torch.isfinite(value):
                msg = (
                    f"finetune: at step {step} the term {name} is {value.item()}; lower "
                    "learning_rate or use precision=32-true"
                )
                raise ObjectiveError(msg)


def rate_factor(step: int, config: FinetuneConfig) -> float:
    """What every learning rate is multiplied with: 1 in the warm-up, then a half cosine to 0."""
    done = max(0, step - config.warmup_steps) / (config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))


def choose_device(config: FinetuneConfig) -> torch.device:
    """Where it runs.

    Raises:
        StageError: A GPU is asked for and there is none, or half precision without one.
    """
    name: str = config.accelerator
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        msg = "finetune.accelerator is cuda and there is no GPU here: use auto or cpu"
        raise StageError(msg)
    if name == "cpu" and config.precision == "16-mixed":
        msg = "finetune.precision is 16-mixed, which needs a GPU: use bf16-mixed or 32-true"
        raise StageError(msg)
    return torch.device(name)


@contextmanager
def repeatable(device: torch.device, threads: int | None) -> Iterator[None]:
    """Threads and kernels that repeat, and the global generator as it was afterwards."""
    kernels = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    try:
        with torch_threads(threads), torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = kernels
