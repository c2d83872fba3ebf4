"""The loss on pairs of validation participants: logged, a plateau schedule, the best weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file, save_file

from medssl.batches import move
from medssl.errors import StageError
from medssl.files import replacing
from medssl.methods.base import LOSS, PretrainingMethod
from medssl.sampling.loader import Batch
from medssl.training.config import FitConfig
from medssl.training.monitors import METRICS, Report
from medssl.training.pair_data import PairData

BEST: Final = "best.safetensors"
"""Weights of the lowest validation loss so far."""


def validating(
    pairs: PairData | None, config: FitConfig, folder: Path, *, report: Report | None
) -> list[Callback]:
    """The validation callback, when the configuration asks for one.

    Raises:
        StageError: It does, and there are too few validation participants for a batch.
    """
    if not config.validate_every:
        return []
    least = max(2, config.devices) * config.pairs.per_participant
    if pairs is None or pairs.largest_batch() < least:
        found = 0 if pairs is None else pairs.largest_batch()
        msg = (
            f"pretrain.validate_every needs {least} pairs of different validation participants and "
            f"there are {found}: enlarge split.validation, or set validate_every to 0"
        )
        raise StageError(msg)
    return [Validation(pairs, config, folder, report=report)]


def load_best(method: PretrainingMethod, path: Path, config: FitConfig) -> None:
    """Put back the weights of the lowest validation loss, where they are asked for."""
    if config.keep == "best" and path.is_file():
        method.load_state_dict(load_file(path), strict=True)


class Validation(Callback):
    """Measures the loss on validation pairs; its state travels in the checkpoint.

    The pairs and their views are the same every time; several processes share each batch, as in
    training. With `schedule: plateau` the learning rate is halved when the loss has not fallen for
    `patience` validations.

    Args:
        pairs: Of validation participants.
        config: How often, and on how many batches.
        folder: Where the best weights and the metrics file stand.
        report: Also called with each measurement.
    """

    def __init__(
        self, pairs: PairData, config: FitConfig, folder: Path, *, report: Report | None
    ) -> None:
        self._pairs = pairs
        self._config = config
        self._folder = folder
        self._report = report
        self._best = float("inf")
        self._bad = 0

    def state_dict(self) -> dict[str, Any]:
        """The best loss, and the validations since."""
        return {"best": self._best, "bad": self._bad}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._best, self._bad = float(state_dict["best"]), int(state_dict["bad"])

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Measure after every `validate_every`-th optimiser step, on every rank alike."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not stepped or trainer.global_step % self._config.validate_every:
            return
        assert isinstance(pl_module, PretrainingMethod)
        loss = self.measure(pl_module, trainer.global_rank, trainer.world_size)
        if loss < self._best:
            self._best, self._bad = loss, 0
            if trainer.is_global_zero and self._config.keep == "best":
                self._save(pl_module)
        else:
            self._bad += 1
        optimiser = pl_module.config.optimiser
        if optimiser.schedule == "plateau" and self._bad >= optimiser.patience:
            pl_module.learning_rate_factor.mul_(0.5)
            self._bad = 0
        if trainer.is_global_zero:
            self._note(trainer.global_step, loss)

    def measure(self, method: PretrainingMethod, rank: int = 0, world_size: int = 1) -> float:
        """Mean loss over the validation batches, without dropout, state or gradient.

        Raises:
            ObjectiveError: A term of the loss is not finite.
        """
        # What training divides by: a batch of so many pairs can be shared by the processes.
        step = self._config.pairs.per_participant * world_size
        size = min(self._config.batch_size, self._pairs.largest_batch() // step * step)
        sampler = self._pairs.sampler(rank, world_size, batch_size=size)
        batches = min(self._config.validate_batches, sampler.batches_per_epoch)
        losses = []
        with _unchanged(method), torch.no_grad(), torch.random.fork_rng(devices=[]):
            for batch in self._pairs.loader(sampler, batches):
                moved = {name: _moved(value, method) for name, value in batch.items()}
                terms = method.loss(cast(Batch, moved))
                method.refuse_non_finite(terms)
                losses.append(float(terms[LOSS]))
        return sum(losses) / len(losses)

    def _save(self, method: PretrainingMethod) -> None:
        state = {
            name: value.detach().cpu().contiguous() for name, value in method.state_dict().items()
        }
        with replacing(self._folder / BEST) as temporary:
            save_file(state, temporary)

    def _note(self, step: int, loss: float) -> None:
        values = {"validation/loss": loss, "validation/best_loss": self._best}
        with (self._folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._report is not None:
            self._report(step, values)


@contextmanager
def _unchanged(method: PretrainingMethod) -> Iterator[None]:
    """Evaluation mode; afterwards every module's mode and all that it remembers are as before.

    Queues and the like must not learn of validation participants.
    """
    modes = {module: module.training for module in method.modules()}
    held = {name: value.clone() for name, value in method.named_buffers()}
    method.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for name, value in method.named_buffers():
            value.copy_(held[name])


def _moved(value: Any, method: PretrainingMethod) -> Any:
    return value if isinstance(value, int | list) else move(value, method.device)
