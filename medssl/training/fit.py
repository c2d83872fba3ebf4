"""Fit a method to positive pairs; killed and started again, it ends with the same weights."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from medssl.errors import StageError
from medssl.methods.base import PretrainingMethod
from medssl.training.config import FitConfig
from medssl.training.monitors import METRICS, CollapseMonitor, LossMonitor, Report, Threads
from medssl.training.pair_data import PairData
from medssl.training.validation import BEST, load_best, validating
from medssl.types import Rows

CHECKPOINTS: Final = "checkpoints"
LAST: Final = "last"


def fit(
    method: PretrainingMethod,
    data: PairData,
    config: FitConfig,
    folder: Path,
    *,
    validation: Rows,
    validation_pairs: PairData | None = None,
    report: Report | None = None,
) -> None:
    """Train to the last step, from the newest checkpoint in `folder` if there is one.

    Args:
        method: What is trained, in place.
        data: Where the pairs come from.
        config: Steps, batch size, precision.
        folder: Keeps checkpoints and `metrics.jsonl`; the state of a run that was killed.
        validation: Records of validation participants, for the collapse monitor.
        validation_pairs: Their pairs, for the validation loss; None where there are too few.
        report: Called with (step, metrics) on rank 0 as training goes.

    Raises:
        StageError: Too few participants for a batch.
        ObjectiveError: A term of the loss is not finite.
    """
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        msg = "pretrain.accelerator is cuda and there is no GPU here: use auto or cpu"
        raise StageError(msg)
    data.sampler()  # fails here, with a clear message, before processes are started
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / CHECKPOINTS / f"{LAST}.ckpt"
    resumed = _checkpointed_step(checkpoint)
    (folder / METRICS).touch()
    _cut_metrics(folder / METRICS, resumed)
    if resumed >= config.steps:
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        method.load_state_dict(state["state_dict"])
        load_best(method, folder / BEST, config)
        return
    several = config.devices > 1
    # A spawned process cannot report into this one: it writes the file, which is read afterwards.
    callbacks: list[Callback] = [
        Threads(config.threads),
        LossMonitor(folder / METRICS, every=config.log_every, report=None if several else report),
        CollapseMonitor(
            data.store, validation[: config.monitor_records],
            folder / METRICS, every=config.monitor_every, report=None if several else report,
        ),
        *validating(validation_pairs, config, folder, report=None if several else report),
        ModelCheckpoint(
            dirpath=folder / CHECKPOINTS, filename=LAST, save_top_k=1,
            every_n_train_steps=config.checkpoint_every, save_on_train_epoch_end=False,
            enable_version_counter=False,
        ),
    ]  # fmt: skip
    with warnings.catch_warnings(), _quiet_lightning():
        # The encoder is one module of a step that calls two networks; nothing is in eval mode.
        warnings.filterwarnings("ignore", module="lightning")
        trainer = lightning.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            strategy="ddp_spawn" if several else "auto",
            precision=config.precision,
            accumulate_grad_batches=config.accumulate,
            max_epochs=1,
            deterministic=config.deterministic,
            use_distributed_sampler=False,
            callbacks=callbacks,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(
                method,
                data,
                ckpt_path=checkpoint if checkpoint.exists() else None,
                weights_only=True,
            )
        except SystemExit as error:
            if trainer.interrupted and error.code == 1:  # Lightning's answer to Ctrl-C
                raise KeyboardInterrupt from error
            raise
    load_best(method, folder / BEST, config)
    if several and report is not None:
        for line in (folder / METRICS).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            report(entry.pop("step"), entry)


def _checkpointed_step(checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    return int(torch.load(checkpoint, weights_only=True, map_location="cpu")["global_step"])


def _cut_metrics(path: Path, step: int) -> None:
    """Forget what was logged after the checkpoint that training goes on from."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry: Mapping[str, Any] = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the process died
        if entry["step"] <= step:
            kept.append(line)
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


class _quiet_lightning:  # noqa: N801 - reads as a statement
    """Lightning's own start-up banners are for people who call it by hand."""

    def __enter__(self) -> None:
        self.logger = logging.getLogger("lightning.pytorch")
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
