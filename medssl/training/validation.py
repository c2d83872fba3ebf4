"""The loss on pairs of validation participants: logged, a plateau schedule, the best weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file, save_file

from medssl.batches import move
from medssl.errors import StageError
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
    if pairs is None:
        msg = "pretrain.validate_every needs pairs of validation participants: enlarge their split"
        raise StageError(msg)
    return [Validation(pairs, config, folder, report=report)]


def load_best(method: PretrainingMethod, path: Path, config: FitConfig) -> None:
    """Put back the weights of the lowest validation loss, where they are asked for."""
    if config.keep == "best" and path.is_file():
        method.load_state_dict(load_file(path), strict=True)


class Validation(Callback):
    """Measures the loss on validation pairs; its state travels in the checkpoint.

    The pairs and their views are the same every time. With `schedule: plateau` the learning rate is
    halved when the loss has not fallen for `patience` validations.

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
        loss = self.measure(pl_module)
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

    def measure(self, method: PretrainingMethod) -> float:
        """Mean loss over the validation batches, without dropout, state or gradient."""
        sampler = self._pairs.sampler(batch_size=min(self._config.batch_size, self._largest()))
        batches = min(self._config.validate_batches, sampler.batches_per_epoch)
        # Queues and other things that a loss remembers must not learn of validation participants.
        held = {name: value.clone() for name, value in method.named_buffers()}
        method.eval()
        losses = []
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for batch in self._pairs.loader(sampler, batches):
                moved = {name: _moved(value, method) for name, value in batch.items()}
                losses.append(float(method.loss(cast(Batch, moved))[LOSS]))
        method.train()
        for name, value in method.named_buffers():
            value.copy_(held[name])
        return sum(losses) / len(losses)

    def _largest(self) -> int:
        """The largest batch that the validation participants allow."""
        sampler = self._pairs.sampler(batch_size=self._pairs.config.pairs.per_participant)
        return sampler.batches_per_epoch * self._pairs.config.pairs.per_participant

    def _save(self, method: PretrainingMethod) -> None:
        state = {
            name: value.detach().cpu().contiguous() for name, value in method.state_dict().items()
        }
        temporary = self._folder / f"{BEST}.partial"
        save_file(state, temporary)
        temporary.replace(self._folder / BEST)

    def _note(self, step: int, loss: float) -> None:
        values = {"validation/loss": loss, "validation/best_loss": self._best}
        with (self._folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._report is not None:
            self._report(step, values)


def _moved(value: Any, method: PretrainingMethod) -> Any:
    return value if isinstance(value, int | list) else move(value, method.device)
