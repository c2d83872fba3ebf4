"""What is watched while training: the terms of the loss, throughput, and signs of collapse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from medssl.evaluation.representation import effective_rank, uniformity
from medssl.methods.wearable import WearableMethod
from medssl.sampling.loader import Batch
from medssl.store import Store
from medssl.types import Rows
from medssl.views.normalise import zscore

Report = Callable[[int, Mapping[str, float]], None]


class _Metrics(Callback):
    """Appends lines to the metrics file and passes them on."""

    def __init__(self, path: Path, *, every: int, report: Report | None) -> None:
        self.path = path
        self.every = every
        self.report = report

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self.report is not None:
            self.report(step, values)

    def due(self, trainer: lightning.Trainer, batch_idx: int) -> bool:
        """True on rank 0 after the last batch of every `every`-th optimiser step."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        return trainer.is_global_zero and stepped and trainer.global_step % self.every == 0


class MetricsFile(_Metrics):
    """Logs every term of the loss, the learning rate and the pairs per second."""

    def __init__(self, path: Path, *, every: int, report: Report | None) -> None:
        super().__init__(path, every=every, report=report)
        self._since: tuple[float, int] | None = None

    def on_train_batch_end(  # noqa: D102 - Lightning's hook
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if not self.due(trainer, batch_idx):
            return
        assert isinstance(pl_module, WearableMethod)
        values = {f"train/{name}": float(value) for name, value in pl_module.terms.items()}
        values["train/learning_rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        now, seen = time.perf_counter(), batch_idx + 1
        if self._since is not None:
            pairs = (seen - self._since[1]) * len(batch["first"]) * trainer.world_size
            values["train/pairs_per_second"] = pairs / (now - self._since[0])
        self._since = (now, seen)
        self.write(trainer.global_step, values)


class CollapseMonitor(_Metrics):
    """Embeds a fixed set of validation records now and then."""

    def __init__(
        self, store: Store, rows: Rows, path: Path, *, every: int, report: Report | None
    ) -> None:
        super().__init__(path, every=every, report=report)
        self._store = store
        self._rows = rows

    def on_train_batch_end(  # noqa: D102 - Lightning's hook
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if len(self._rows) < 2 or not self.due(trainer, batch_idx):
            return
        assert isinstance(pl_module, WearableMethod)
        embeddings = self._embed(pl_module)
        self.write(
            trainer.global_step,
            {
                "validation/effective_rank_centred": effective_rank(embeddings, centred=True),
                "validation/effective_rank": effective_rank(embeddings, centred=False),
                "validation/uniformity": uniformity(embeddings),
                "validation/std_mean": float(embeddings.std(axis=0).mean()),
            },
        )

    def _embed(self, method: WearableMethod) -> np.ndarray:
        encoder = method.encoder
        encoder.eval()
        outputs = []
        with torch.inference_mode():
            for start in range(0, len(self._rows), 256):
                piece = torch.from_numpy(self._store.read(self._rows[start : start + 256]))
                outputs.append(encoder(zscore(piece.to(method.device))).float().cpu().numpy())
        encoder.train()
        return np.concatenate(outputs).astype(np.float64)
