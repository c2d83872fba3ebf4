"""Out-of-sample predictions of one target from one set of features, and their table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medssl.errors import StageError
from medssl.evaluation.targets import Kind
from medssl.files import replacing

_TEXTS: Final = ("target", "features", "kind", "classes", "unit", "participant")
_NUMBERS: Final = ("n_fit", "n_records", "run", "fold")
_LISTS: Final = ("truth", "score", "base")
_COLUMNS: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(_TEXTS, pa.string()),
    **dict.fromkeys(_NUMBERS, pa.int64()),
    **dict.fromkeys(_LISTS, pa.list_(pa.float64())),
}
_FLAT: Final = ("regression", "binary", "survival")
"""Kinds with one score a row."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Out-of-sample predictions of one target from one set of features.

    Args:
        kind: What is predicted; it says what `truth` and `scores` hold.
        participants: Participant of each scored row, shape (n,).
        truth: Targets, as in `Truth.values`: shape (n,), (n, k) or (n, 2).
        scores: Predictions of each run (a repeat, or a seed of an untrained encoder). Regression:
            shape (runs, n) in units of the target. Binary: (runs, n) log-odds. Multilabel:
            (runs, n, k) log-odds. Multiclass and ordinal: (runs, n, k) probabilities that sum to
            1. Survival: (runs, n) log relative hazard, larger dies sooner.
        folds: Which model predicted a row, shape (runs, n); scores compare inside a model only.
        base: What each row's model would predict without features, shape of `scores`: the log-odds
            of the fitted share of positives, or the fitted shares of the classes. Binary scores
            above it are called positive.
        penalties: Penalty of every fitted model; empty for models without one.
        n_fit: Participants that the smallest model was fitted on.
        n_records: Records behind the scored rows.
        classes: Names of the classes or labels, where there are several.
        units: Names of the scored rows: participants, sessions or records.
    """

    kind: Kind
    participants: np.ndarray
    truth: np.ndarray
    scores: np.ndarray
    folds: np.ndarray
    base: np.ndarray
    penalties: np.ndarray = field(default_factory=lambda: np.empty(0))
    n_fit: int = 0
    n_records: int = 0
    classes: tuple[str, ...] = ()
    units: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.str_))

    @property
    def penalty(self) -> float:
        """Geometric mean of the chosen penalties; NaN without one."""
        if len(self.penalties) == 0:
            return float("nan")
        return float(np.exp(np.log(self.penalties).mean()))

    def run(self, number: int) -> Predictions:
        """One run alone."""
        here = slice(number, number + 1)
        return replace(self, scores=self.scores[here], folds=self.folds[here], base=self.base[here])


def join_runs(several: Sequence[Predictions]) -> Predictions:
    """Predictions for the same rows, such as those of several seeds, as the runs of one."""
    return replace(
        several[0],
        scores=np.concatenate([one.scores for one in several]),
        folds=np.concatenate([one.folds for one in several]),
        base=np.concatenate([one.base for one in several]),
        penalties=np.concatenate([one.penalties for one in several]),
    )


def write_predictions(path: Path, predictions: Mapping[tuple[str, str], Predictions]) -> None:
    """Write predictions by (target, features): one line per run and scored row.

    The file holds pseudonyms: keep it local. Penalties are left out.
    """
    empty = pa.table({name: pa.array([], kind) for name, kind in _COLUMNS.items()})
    with replacing(Path(path)) as temporary, pq.ParquetWriter(temporary, empty.schema) as writer:
        # One at a time: those of a million records are large.
        for (target, features), found in predictions.items():
            writer.write_table(_to_arrow(target, features, found).cast(empty.schema))


def read_predictions(path: Path) -> dict[tuple[str, str], Predictions]:
    """Read what `write_predictions` wrote.

    Raises:
        StageError: The file is no table of predictions.
    """
    try:
        table = pq.read_table(path, partitioning=None)
        frame = table.select(list(_COLUMNS)).to_pandas()
    except (OSError, KeyError, pa.ArrowException) as error:
        msg = f"{path} is no table of predictions: run the probe stage again"
        raise StageError(msg) from error
    found = {}
    for key, part in frame.groupby(["target", "features"], sort=False):
        first = part.iloc[0]
        runs, kind = int(part["run"].max()) + 1, str(first["kind"])
        if kind not in get_args(Kind):
            msg = f"{path} holds predictions of kind {kind!r}: upgrade medssl"
            raise StageError(msg)
        one = part[part["run"] == 0]
        found[str(key[0]), str(key[1])] = Predictions(
            kind=kind,  # type: ignore[arg-type]
            participants=one["participant"].to_numpy(dtype=np.str_),
            truth=_stacked(one["truth"].tolist(), flat=kind not in ("multilabel", "survival")),
            scores=_per_run(_stacked(part["score"].tolist(), flat=kind in _FLAT), runs),
            folds=part["fold"].to_numpy(dtype=np.int64).reshape(runs, -1),
            base=_per_run(_stacked(part["base"].tolist(), flat=kind in _FLAT), runs),
            n_fit=int(first["n_fit"]),
            n_records=int(first["n_records"]),
            classes=tuple(json.loads(first["classes"])),
            units=one["unit"].to_numpy(dtype=np.str_),
        )
    return found


def _to_arrow(target: str, features: str, found: Predictions) -> pa.Table:
    runs, rows = found.folds.shape
    units = found.units if len(found.units) else found.participants
    facts = {
        "target": target, "features": features, "kind": found.kind,
        "classes": json.dumps(list(found.classes)), "n_fit": found.n_fit,
        "n_records": found.n_records,
    }  # fmt: skip
    columns: dict[str, pa.Array] = {
        name: pa.array([value] * (runs * rows)) for name, value in facts.items()
    }
    columns["run"] = pa.array(np.repeat(np.arange(runs), rows))
    columns["unit"] = pa.array(np.tile(units, runs).tolist(), pa.string())
    columns["participant"] = pa.array(np.tile(found.participants, runs).tolist(), pa.string())
    columns["fold"] = pa.array(found.folds.reshape(-1))
    truth = np.broadcast_to(found.truth, (runs, *found.truth.shape))
    for name, values in (("truth", truth), ("score", found.scores), ("base", found.base)):
        flat = np.ascontiguousarray(values, dtype=np.float64).reshape(runs * rows, -1)
        columns[name] = _lists(flat)
    return pa.table({name: columns[name] for name in _COLUMNS})


def _lists(values: np.ndarray) -> pa.Array:
    """Rows as lists of numbers: targets of several kinds stand in one column."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))


def _stacked(lists: list[np.ndarray], *, flat: bool) -> np.ndarray:
    values = np.stack([np.asarray(item, dtype=np.float64) for item in lists])
    return values[:, 0] if flat else values


def _per_run(values: np.ndarray, runs: int) -> np.ndarray:
    return values.reshape(runs, len(values) // runs, *values.shape[1:])
