"""One run (a start, a fraction, a seed), kept in a folder so that it is never done twice."""

from __future__ import annotations

import copy
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from medssl.bundle import WEIGHTS, load_weights, save_weights
from medssl.encoders import BaseEncoder, EncoderConfig, build_encoder
from medssl.encoders.calibration import calibrate_batch_norm
from medssl.files import publish_folder, read_json, write_json
from medssl.finetuning.config import BUNDLE, SCRATCH, FinetuneConfig, Start
from medssl.finetuning.heads import build_head
from medssl.finetuning.loop import Loop, Report, Training
from medssl.finetuning.lora import add_adapters, merge_adapters
from medssl.finetuning.network import Reader, TaskNetwork, embed_rows, predict_units
from medssl.finetuning.objectives import Situation
from medssl.finetuning.sampler import UnitSampler
from medssl.finetuning.scale import Scale, base_scores
from medssl.finetuning.units import LabelledUnits
from medssl.types import Rows
from medssl.views.seeds import derive_seed

RESULT: Final = "run.json"
NATURAL: Final = "natural.npy"
BASE: Final = "base.npy"
CALIBRATION: Final = 2048
"""Fitted records that the head's standardisation, and from scratch batch norm, are taken from."""


@dataclass(frozen=True)
class RunKey:
    """Which run."""

    start: Start
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.start}-{self.fraction!r}-{self.seed}"


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run leaves.

    Args:
        key: Which run.
        natural: Predictions of the test units in the natural scale, shape (n,) or (n, k).
        base: What it would predict without features, see `base_scores`.
        scale: Of the fitted units.
        training: How it went.
        n_fit: Fitted participants.
        n_fit_records: Their records.
    """

    key: RunKey
    natural: np.ndarray
    base: np.ndarray
    scale: Scale
    training: Training
    n_fit: int
    n_fit_records: int

    def write(self, folder: Path, network: TaskNetwork | None = None) -> None:
        """Write it, and the weights if given; the folder appears when it is whole."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            np.save(partial / NATURAL, self.natural, allow_pickle=False)
            np.save(partial / BASE, self.base, allow_pickle=False)
            if network is not None:
                save_weights(network, partial / WEIGHTS)
            write_json(
                partial / RESULT,
                {
                    "start": self.key.start,
                    "fraction": self.key.fraction,
                    "seed": self.key.seed,
                    "scale": self.scale.to_dict(),
                    "best_step": self.training.best_step,
                    "best_loss": self.training.best_loss,
                    "steps": self.training.steps,
                    "history": [list(entry) for entry in self.training.history],
                    "n_fit": self.n_fit,
                    "n_fit_records": self.n_fit_records,
                },
            )
            publish_folder(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    @staticmethod
    def finished(folder: Path) -> bool:
        """Whether a run left its result there."""
        return (folder / RESULT).is_file()

    @classmethod
    def read(cls, folder: Path) -> RunResult:
        """Read it back."""
        values: dict[str, Any] = read_json(folder / RESULT)
        history = tuple((int(step), float(loss)) for step, loss in values["history"])
        return cls(
            key=RunKey(values["start"], values["fraction"], values["seed"]),
            natural=np.load(folder / NATURAL, allow_pickle=False),
            base=np.load(folder / BASE, allow_pickle=False),
            scale=Scale.from_dict(values["scale"]),
            training=Training(
                values["best_step"], values["best_loss"], values["steps"], history
            ),
            n_fit=values["n_fit"],
            n_fit_records=values["n_fit_records"],
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Work:
    """What all runs share.

    Args:
        read: Fetches records as the encoder takes them.
        validation: LabelledUnits that decide when to stop.
        test: LabelledUnits that are predicted once at the end of a run; their labels are not read.
        encoder: How to build the encoder.
        module: The pretrained encoder, which is copied; None when every run is from scratch.
        config: Settings.
        seed: Of everything.
        device: Where it runs.
    """

    read: Reader
    validation: LabelledUnits
    test: LabelledUnits
    encoder: EncoderConfig
    module: BaseEncoder | None
    config: FinetuneConfig
    seed: int
    device: torch.device


def run_one(
    work: Work,
    key: RunKey,
    units: LabelledUnits,
    folder: Path,
    *,
    keep_weights: bool = False,
    report: Report | None = None,
) -> RunResult:
    """`train_one`, whose result is kept.

    Args:
        work: What all runs share.
        key: Which run.
        units: What is fitted.
        folder: Where the result goes.
        keep_weights: Write the weights beside it.
        report: Called after each validation.
    """
    result, network = train_one(work, key, units, report=report)
    result.write(folder, network if keep_weights else None)
    return result


def train_one(
    work: Work, key: RunKey, units: LabelledUnits, *, report: Report | None = None
) -> tuple[RunResult, TaskNetwork]:
    """Train, stop, keep the best weights, predict the test units once.

    The seed of batches, views and head does not depend on the start: every start sees the same.

    Args:
        work: What all runs share.
        key: Which run.
        units: What is fitted.
        report: Called after each validation.

    Returns:
        What the run leaves, and the network with its best weights.
    """
    config, seed = work.config, derive_seed(work.seed, "finetune", key.seed)
    scale = Scale.of(units)
    network, adapted = build_network(work, key.start, units, scale, seed=seed)
    objective = config.chosen_objective.build(Situation(units, scale, config.steps, seed))
    sampler = UnitSampler(
        units, batch_size=config.batch_size,
        bag_size=config.bag_size if network.head.bags else 1,
        seed=seed, classes=config.chosen_objective.by_class,
    )  # fmt: skip
    loop = Loop(
        network, sampler, objective, scale, config,
        start=key.start, read=work.read, seed=seed,
    )  # fmt: skip
    training = loop.run(work.validation, report)
    if adapted is not None:
        merge_adapters(adapted)
    natural = predict_units(network, work.read, work.test, scale, work.device)
    result = RunResult(
        key, natural, base_scores(units, scale, weights=objective.class_weights()), scale, training,
        units.n_participants, len(units.rows),
    )  # fmt: skip
    return result, network


def build_network(
    work: Work, start: Start, units: LabelledUnits, scale: Scale, *, seed: int
) -> tuple[TaskNetwork, Any]:
    """The network before its first step, and its adapters, if any.

    Args:
        work: What all runs share.
        start: What the encoder starts from.
        units: What is fitted; their records set the head's standardisation.
        scale: What the outputs mean.
        seed: Of fresh weights.
    """
    config, adapted = work.config, None
    torch.manual_seed(derive_seed(seed, "encoder"))
    if start == SCRATCH:
        # What a configuration freezes are pretrained weights; random ones are not worth keeping.
        encoder = build_encoder(work.encoder).requires_grad_(True)
    else:
        assert work.module is not None
        encoder = copy.deepcopy(work.module)
    encoder.to(work.device)
    if start == BUNDLE and config.lora is not None:
        adapted = add_adapters(encoder, config.lora, seed=seed)
    torch.manual_seed(derive_seed(seed, "head"))
    head = build_head(
        config.head, encoder.dim, scale.outputs, scale.kind, width=config.attention_width
    )
    network = TaskNetwork(encoder, head, precision=config.precision).to(work.device)
    rows = _some(units.rows, seed)
    if start == SCRATCH:
        batches = (
            work.read.plain(rows[at : at + 256], work.device) for at in range(0, len(rows), 256)
        )
        calibrate_batch_norm(encoder, batches)
    head.fit_scale(embed_rows(network, work.read, rows, work.device).to(work.device))
    return network, adapted


def load_network(work: Work, scale: Scale, weights: Path) -> TaskNetwork:
    """The network of a finished run, on the CPU."""
    config = work.config
    encoder = build_encoder(work.encoder)
    head = build_head(
        config.head, encoder.dim, scale.outputs, scale.kind, width=config.attention_width
    )
    network = TaskNetwork(encoder, head)
    load_weights(network, weights)
    return network


def _some(rows: Rows, seed: int) -> Rows:
    generator = np.random.default_rng(derive_seed(seed, "calibration"))
    chosen: Rows = np.sort(generator.permutation(rows)[:CALIBRATION])
    return chosen
