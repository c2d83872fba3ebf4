"""What is watched while training: the terms of the loss, throughput, and signs of collapse."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from medssl.batches import count
from medssl.evaluation.representation import effective_rank, uniformity
from medssl.methods.base import PretrainingMethod
from medssl.sampling.loader import Batch
from medssl.store import Store
from medssl.types import Rows

METRICS: Final = "metrics.jsonl"
"""File of all measurements, a line each."""

Report = Callable[[int, Mapping[str, float]], None]
"""Called with (step, metrics)."""


class Threads(Callback):
    """Sets the CPU threads of the process that trains, and puts them back."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads
        self._before = 0

    def on_fit_start(self, *_: object) -> None:
        """Set them."""
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._threads or self._before)

    def on_fit_end(self, *_: object) -> None:
        """Put them back."""
        torch.set_num_threads(self._before)


class Monitor(Callback):
    """Measures something on rank 0 now and then; a line of the metrics file each time.

    Args:
        path: The metrics file, appended to.
        every: Optimiser steps between measurements.
        report: Also called with each line.
    """

    def __init__(self, path: Path, *, every: int, report: Report | None) -> None:
        self._path = path
        self._every = every
        self._report = report

    @abstractmethod
    def measure(
        self, trainer: lightning.Trainer, method: PretrainingMethod, batch: Batch, batches: int
    ) -> dict[str, float]:
        """The numbers to log after `batches` batches; none to log nothing."""

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Measure after the last batch of every `every`-th optimiser step."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not (trainer.is_global_zero and stepped and trainer.global_step % self._every == 0):
            return
        assert isinstance(pl_module, PretrainingMethod)
        values = self.measure(trainer, pl_module, batch, batch_idx + 1)
        if not values:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": trainer.global_step, **values}) + "\n")
        if self._report is not None:
            self._report(trainer.global_step, values)


class LossMonitor(Monitor):
    """Every term of the loss, the learning rate, and the pairs per second."""

    def __init__(self, path: Path, *, every: int, report: Report | None) -> None:
        super().__init__(path, every=every, report=report)
        self._since: tuple[float, int] | None = None

    def measure(
        self, trainer: lightning.Trainer, method: PretrainingMethod, batch: Batch, batches: int
    ) -> dict[str, float]:
        """The last batch's terms."""
        values = {f"train/{name}": float(value) for name, value in method.terms.items()}
        values["train/learning_rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        now = time.perf_counter()
        if self._since is not None:
            pairs = (batches - self._since[1]) * count(batch["first"]) * trainer.world_size
            values["train/pairs_per_second"] = pairs / (now - self._since[0])
        self._since = (now, batches)
        return values


class CollapseMonitor(Monitor):
    """Effective rank, uniformity and spread of a fixed set of validation records."""

    def __init__(
        self, store: Store, rows: Rows, path: Path, *, every: int, report: Report | None
    ) -> None:
        super().__init__(path, every=every, report=report)
        self._store = store
        self._rows = rows

    def measure(
        self, trainer: lightning.Trainer, method: PretrainingMethod, batch: Batch, batches: int
    ) -> dict[str, float]:
        """Embed the validation records with the student as it is now."""
        if len(self._rows) < 2:
            return {}
        embeddings = self._embed(method)
        return {
            "validation/effective_rank_centred": effective_rank(embeddings, centred=True),
            "validation/effective_rank": effective_rank(embeddings, centred=False),
            "validation/uniformity": uniformity(embeddings),
            "validation/std_mean": float(embeddings.std(axis=0).mean()),
        }

    def _embed(self, method: PretrainingMethod) -> np.ndarray:
        encoder, inputs = method.encoder, method.inputs
        encoder.eval()
        outputs = []
        with torch.inference_mode():
            for start in range(0, len(self._rows), 256):
                raw = inputs.read(self._store, self._rows[start : start + 256])
                outputs.append(encoder(inputs.plain(raw, method.device)).float().cpu().numpy())
        encoder.train()
        return np.concatenate(outputs).astype(np.float64)
