"""Zero-shot AUROC by finding with participant intervals, the mean over findings, and baselines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.metrics.ranking import auroc_columns
from medssl.evaluation.statistics import (
    METHODS,
    Interval,
    Method,
    Replicates,
    WeightedMetric,
    resample,
)

ENCODER: Final = "zero-shot"
MACRO: Final = "mean over findings"
CHANCE: Final = 0.5
_SEPARATOR: Final = "\0"

Scores = Mapping[str, np.ndarray] | pd.DataFrame
"""Scores of images by finding, each of shape (n,); of several seeds, (n, seeds)."""

Columns = Mapping[str, Mapping[str, np.ndarray]]
"""The same by features and finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShotRow:
    """AUROC of one finding from one set of scores.

    Args:
        finding: Name of the finding, or `MACRO`.
        features: `ENCODER`, or the name of a baseline.
        interval: AUROC; its ends are NaN where too few participants have, or lack, the finding.
        chance: What scores that know nothing reach.
        n_images: Images with a label of the finding.
        n_positive: Of those, the images with the finding.
        n_participants: Participants of those images.
        n_participants_positive: Participants with the finding in one of their images.
        difference: Of a baseline's row: zero-shot minus this, paired.
        note: What a reader should know.
    """

    finding: str
    features: str
    interval: Interval
    chance: float
    n_images: int
    n_positive: int
    n_participants: int
    n_participants_positive: int
    difference: Interval | None = None
    note: str = ""

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.interval.low > self.chance

    def to_dict(self) -> dict[str, Any]:
        """As a flat JSON object; numbers that are not finite become null."""
        given = self.interval.to_dict()
        for name in ("n_participants", "n_records"):
            given.pop(name)
        return {
            "finding": self.finding,
            "features": self.features,
            "metric": "auroc",
            **given,
            "chance": self.chance,
            "n_images": self.n_images,
            "n_positive": self.n_positive,
            "n_participants": self.n_participants,
            "n_participants_positive": self.n_participants_positive,
            "difference": None if self.difference is None else self.difference.to_dict(),
            "note": self.note,
        }


@dataclass(frozen=True)
class ZeroShotTable:
    """All findings of one set of images.

    Args:
        rows: One per finding and features, the mean over findings last.
        notes: How to read them, and what was left out of the mean.
    """

    rows: tuple[ZeroShotRow, ...]
    notes: tuple[str, ...] = ()

    def row(self, finding: str, features: str = ENCODER) -> ZeroShotRow:
        """One row.

        Raises:
            KeyError: There is no such row.
        """
        for row in self.rows:
            if (row.finding, row.features) == (finding, features):
                return row
        raise KeyError((finding, features))

    def to_pandas(self) -> pd.DataFrame:
        """One line per row."""
        rows = [row.to_dict() for row in self.rows]
        for row in rows:
            row["difference"] = None if row["difference"] is None else row["difference"]["value"]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"rows": [row.to_dict() for row in self.rows], "notes": list(self.notes)}

    def to_json(self) -> str:
        """As JSON text (no NaN)."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_markdown(self) -> str:
        """As a table for people."""
        lines = [
            "| finding | features | AUROC | zero-shot minus this | images with it, in all "
            "| participants with it, in all | note |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in self.rows:
            cells = (
                row.finding, row.features, shown(row.interval),
                "" if row.difference is None else shown(row.difference, sign="+"),
                f"{row.n_positive}, {row.n_images}",
                f"{row.n_participants_positive}, {row.n_participants}", row.note,
            )  # fmt: skip
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]) + "\n"


def shown(interval: Interval, *, sign: str = "") -> str:
    """A value with its interval, as people write it.

    >>> shown(Interval(0.5, 0.25, 0.75, 0.95, 9, 9))
    '0.500 [0.250, 0.750]'
    """
    if not math.isfinite(interval.value):
        return "–"
    if not math.isfinite(interval.low):
        return f"{interval.value:{sign}.3f}"
    return f"{interval.value:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


def zero_shot_table(
    scores: Scores,
    labels: Scores,
    participants: Sequence[str] | np.ndarray,
    *,
    baselines: Mapping[str, Scores] | None = None,
    minimum: int = 5,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: Method = "bca",
) -> ZeroShotTable:
    """AUROC of every finding, and the mean over findings, on the same bootstrap replicates.

    One replicate draws participants once for all findings and all baselines, so that the mean over
    findings and the differences are intervals of the whole experiment and not of its parts.
    Findings that fewer than `minimum` participants have, or lack, get a value without an interval
    and stay out of the mean: a replicate without any of them has no AUROC.

    Args:
        scores: Of the encoder, by finding, each of shape (n,).
        labels: 1, 0 or NaN (not labelled), by finding, each of shape (n,).
        participants: Participant of each image, shape (n,).
        baselines: Other scores of the same images by name, such as an untrained encoder's; of
            several seeds, (n, seeds), the mean of their AUROCs counts.
        minimum: Participants with and without a finding that an interval takes.
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Of the bootstrap.
        method: How intervals are made.

    Raises:
        StageError: Scores and labels do not belong together.
    """
    people = np.asarray(participants, dtype=np.str_)
    found = {ENCODER: _columns(scores), **{n: _columns(s) for n, s in (baselines or {}).items()}}
    truth = _columns(labels)
    _check(found, truth, len(people))
    counts = {finding: _counts(truth[finding], people) for finding in found[ENCODER]}
    kept = [name for name, count in counts.items() if min(count.people, count.without) >= minimum]
    drawn = _replicates(found, truth, kept, people, replicates, seed, method)
    rows = []
    for finding, count in counts.items():
        for features, table in found.items():
            if finding in kept:
                rows.append(_row(drawn, finding, features, count, level))
                continue
            alone = _auroc(truth[finding], table[finding])(np.ones((1, len(people))))[0]
            interval = _bare(float(alone), level, count, method)
            note = f"fewer than {minimum} participants with it, or without it"
            rows.append(_make(finding, features, interval, count, note=note))
    if kept:
        either = np.any([truth[finding] == 1 for finding in kept], axis=0)
        everyone = _counts(either.astype(np.float64), people)
        rows += [_row(drawn, MACRO, features, everyone, level) for features in found]
    return ZeroShotTable(tuple(rows), tuple(_notes(kept, counts, level, replicates, method)))


@dataclass(frozen=True)
class _Count:
    images: int
    positive: int
    participants: int
    people: int
    """Participants with the finding."""
    without: int
    """Participants with an image that lacks it."""


def _counts(label: np.ndarray, people: np.ndarray) -> _Count:
    known = np.isfinite(label)
    return _Count(
        images=int(known.sum()),
        positive=int((label == 1).sum()),
        participants=len(np.unique(people[known])),
        people=len(np.unique(people[label == 1])),
        without=len(np.unique(people[label == 0])),
    )


def _columns(given: Scores) -> dict[str, np.ndarray]:
    try:
        return {str(name): np.asarray(values, dtype=float) for name, values in given.items()}
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        msg = f"scores and labels must be numbers, one per image: {reason}"
        raise StageError(msg) from error


def _check(found: Columns, truth: Mapping[str, np.ndarray], count: int) -> None:
    for name, table in found.items():
        for finding in found[ENCODER]:
            if finding not in table or finding not in truth:
                msg = f"{name}: no scores or no labels of {finding}: give both for every finding"
                raise StageError(msg)
            shapes = (table[finding].shape, truth[finding].shape)
            if {shapes[0][:1], shapes[1]} != {(count,)} or len(shapes[0]) > 2:
                msg = (
                    f"{name}, {finding}: scores of shape {shapes[0]} and labels of {shapes[1]} for "
                    f"{count} participants: give one of each per image"
                )
                raise StageError(msg)
            if not np.isfinite(table[finding]).all():
                msg = f"{name}, {finding}: a score is not finite: look at the embeddings"
                raise StageError(msg)
            if not np.isin(truth[finding][~np.isnan(truth[finding])], (0, 1)).all():
                msg = f"{finding}: labels must be 1, 0 or missing: decide what uncertain ones are"
                raise StageError(msg)


def _auroc(label: np.ndarray, score: np.ndarray) -> WeightedMetric:
    """Mean over seeds, where there are several."""
    seeds = score.reshape(len(score), -1)
    columns = auroc_columns(np.repeat(label[:, None], seeds.shape[1], axis=1), seeds, None)
    return lambda weights: columns(weights).mean(axis=1)


def _replicates(
    found: Columns,
    truth: Mapping[str, np.ndarray],
    kept: Sequence[str],
    people: np.ndarray,
    replicates: int,
    seed: int,
    method: Method,
) -> Replicates:
    metrics = {
        _key(finding, features): _auroc(truth[finding], table[finding])
        for finding in kept
        for features, table in found.items()
    }
    drawn = resample(metrics, people, replicates=replicates, seed=seed, method=method)
    values, draws, left = dict(drawn.values), dict(drawn.draws), dict(drawn.left_out)
    for features in found if kept else ():
        keys = [_key(finding, features) for finding in kept]
        own = _key(MACRO, features)
        values[own] = float(np.mean([values[key] for key in keys]))
        draws[own] = np.mean([draws[key] for key in keys], axis=0)
        left[own] = np.mean([left[key] for key in keys], axis=0)
    return replace(drawn, values=values, draws=draws, left_out=left)


def _row(
    drawn: Replicates, finding: str, features: str, count: _Count, level: float
) -> ZeroShotRow:
    own = _key(finding, features)
    difference = None
    if features != ENCODER:
        difference = drawn.difference(_key(finding, ENCODER), own, level=level)
    return _make(finding, features, drawn.interval(own, level=level), count, difference)


def _make(
    finding: str,
    features: str,
    interval: Interval,
    count: _Count,
    difference: Interval | None = None,
    note: str = "",
) -> ZeroShotRow:
    return ZeroShotRow(
        finding=finding, features=features, interval=interval, chance=CHANCE,
        n_images=count.images, n_positive=count.positive, n_participants=count.participants,
        n_participants_positive=count.people, difference=difference, note=note,
    )  # fmt: skip


def _bare(value: float, level: float, count: _Count, method: Method) -> Interval:
    return Interval(
        value, math.nan, math.nan, level, count.participants, count.images, METHODS[method]
    )


def _notes(
    kept: Sequence[str],
    counts: Mapping[str, _Count],
    level: float,
    replicates: int,
    method: Method,
) -> list[str]:
    notes = [
        f"Intervals: {level:.0%}, {METHODS[method]}, {replicates} replicates, the same for all "
        f"findings. Differences are paired. Chance is {CHANCE}.",
        f"The mean is over {len(kept)} of {len(counts)} findings.",
    ]
    rare = [finding for finding in counts if finding not in kept]
    if rare:
        notes.append(f"Not in the mean, for too few participants: {', '.join(rare)}.")
    return notes


def _key(finding: str, features: str) -> str:
    return _SEPARATOR.join((finding, features))
