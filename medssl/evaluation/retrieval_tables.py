"""Retrieval results: rows with intervals beside chance and baselines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.gallery import Gallery, mean_metric
from medssl.evaluation.retrieval_metrics import HIT, PRECISION, Column
from medssl.evaluation.statistics import METHODS, Interval, Method, WeightedMetric, resample

Average = Literal["participant", "record"]

ENCODER = "encoder"
_Resampled = tuple[dict[str, WeightedMetric], np.ndarray, int]
"""Metrics of weights, the participant of each weight, and the records behind them."""
_SEPARATOR = "\0"
_CHANCE = "\0chance"


@dataclass(frozen=True, eq=False)
class Ranking:
    """What each query of one task scored.

    Args:
        task: Name of the task, such as `"same sex"`.
        queries: Names of the queries that have a right answer, shape (q,).
        participants: Participant of each, shape (q,).
        columns: Metrics, in the order of the columns of `values`.
        values: Float64, shape (q, metrics).
        chance: What a random order would score, of the same shape.
        n_candidates: Candidates in all; of a random gallery, their mean number.
        unanswerable: Queries left out because no candidate is a right answer.
        note: What a reader should know.
        galleries: Where written sentences ask, which belong to nobody: what they find, of each
            seed that `values` is the mean of. Intervals then resample the candidates' participants.
    """

    task: str
    queries: np.ndarray
    participants: np.ndarray
    columns: tuple[Column, ...]
    values: np.ndarray
    chance: np.ndarray
    n_candidates: int
    unanswerable: int = 0
    note: str = ""
    galleries: tuple[Gallery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalRow:
    """One metric of one task with one set of features.

    Args:
        task: Name of the task.
        features: Name of the features, such as `"encoder"` or `"untrained encoder"`.
        metric: `"precision"`, `"recall"`, `"hit"`, `"map"` or `"mrr"`.
        k: How many candidates it looks at; None when all.
        interval: Value with its interval; NaN when no query has a right answer.
        chance: What a random order of the same candidates scores on average.
        n_queries: Queries that were scored.
        n_candidates: Candidates in all.
        n_participants: Participants of the queries; where sentences ask, of the candidates.
        resampled: Whose participants these are, which the interval resamples.
        lift: Value minus chance, on the same replicates.
        difference: Of a baseline's row: encoder minus this, paired.
    """

    task: str
    features: str
    metric: str
    k: int | None
    interval: Interval
    chance: float
    n_queries: int
    n_candidates: int
    n_participants: int
    resampled: Literal["queries", "candidates"]
    lift: Interval
    difference: Interval | None = None

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval of value minus chance lies above 0."""
        return self.lift.low > 0

    def to_dict(self) -> dict[str, Any]:
        """As a flat JSON object; numbers that are not finite become null."""
        given = self.interval.to_dict()
        # The interval's own counts are those of the queries.
        for name in ("n_participants", "n_records"):
            given.pop(name)
        return {
            "task": self.task,
            "features": self.features,
            "metric": self.metric,
            "k": self.k,
            **given,
            "chance": self.chance if math.isfinite(self.chance) else None,
            "n_queries": self.n_queries,
            "n_candidates": self.n_candidates,
            "n_participants": self.n_participants,
            "resampled": self.resampled,
            "lift": self.lift.to_dict(),
            "difference": None if self.difference is None else self.difference.to_dict(),
        }


@dataclass(frozen=True)
class RetrievalTable:
    """All retrieval results of one set of embeddings.

    Args:
        rows: Metrics with intervals and chance.
        notes: What was left out, and how to read the numbers.
    """

    rows: tuple[RetrievalRow, ...]
    notes: tuple[str, ...] = ()

    def row(
        self, task: str, metric: str, k: int | None = None, *, features: str = ENCODER
    ) -> RetrievalRow:
        """One row.

        Raises:
            KeyError: There is no such row.
        """
        for row in self.rows:
            if (row.task, row.metric, row.k, row.features) == (task, metric, k, features):
                return row
        raise KeyError((task, metric, k, features))

    def to_pandas(self) -> pd.DataFrame:
        """One line per row."""
        rows = [row.to_dict() for row in self.rows]
        for row in rows:
            row["difference"] = None if row["difference"] is None else row["difference"]["value"]
            row["lift"] = row["lift"]["value"]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"rows": [row.to_dict() for row in self.rows], "notes": list(self.notes)}

    def to_json(self) -> str:
        """As JSON text (no NaN)."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_markdown(self) -> str:
        """As a table for people; without hit@1 beside precision@1, which equals it."""
        lines = [
            "| task | metric | features | value | chance | minus chance | encoder minus this "
            "| queries | participants | candidates |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        first = {row.task for row in self.rows if (row.metric, row.k) == (PRECISION, 1)}
        for row in self.rows:
            if (row.metric, row.k) == (HIT, 1) and row.task in first:
                continue
            cells = (
                row.task, metric_name(row.metric, row.k), row.features, _value(row.interval),
                "–" if math.isnan(row.chance) else f"{row.chance:.3f}", _value(row.lift, sign="+"),
                "" if row.difference is None else _value(row.difference, sign="+"),
                str(row.n_queries), str(row.n_participants), str(row.n_candidates),
            )  # fmt: skip
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]) + "\n"


def metric_name(metric: str, k: int | None) -> str:
    """A metric as people write it.

    >>> metric_name("recall", 5), metric_name("map", None)
    ('recall@5', 'mAP')
    """
    if k is not None:
        return f"{metric}@{k}"
    return {"map": "mAP", "mrr": "MRR"}.get(metric, metric)


def tabulate(
    rankings: Sequence[Ranking],
    *,
    baselines: Mapping[str, Sequence[Ranking]] | None = None,
    average: Average = "participant",
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: Method = "bca",
) -> RetrievalTable:
    """Average queries, with intervals over participants.

    Those that ask are resampled and candidates are not: an interval tells how far it matters who
    asked, not who was in the gallery. Where written sentences ask, which belong to nobody, the
    sentences stay and the candidates' participants are resampled. Chance is averaged like the
    values.

    Args:
        rankings: Results of the encoder, one per task.
        baselines: Results of other features by name, for the same queries of the same tasks;
            several of one task, such as seeds of an untrained encoder, are averaged by query.
        average: `"participant"`: every participant counts once, however many records ask;
            `"record"`: every query counts once.
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Of the bootstrap.
        method: How intervals are made.

    Raises:
        StageError: A baseline answered other queries.
    """
    rows: list[RetrievalRow] = []
    notes = [
        f"Intervals: {level:.0%}, {METHODS[method]}, {replicates} replicates; the queries' "
        "participants are resampled, the candidates are not. Differences are paired.",
        "Each participant counts once." if average == "participant" else "Each query counts once.",
    ]
    for ranking in rankings:
        found = {ENCODER: [ranking]}
        for name, others in (baselines or {}).items():
            found[name] = [_same_queries(o, ranking) for o in others if o.task == ranking.task]
        sets = {name: several for name, several in found.items() if several}
        rows += _rows(ranking, sets, average, replicates, level, seed, method)
        if ranking.unanswerable:
            notes.append(
                f"{ranking.task}: queries without a right answer among the candidates, left out: "
                f"{ranking.unanswerable}."
            )
        if ranking.galleries:
            notes.append(
                f"{ranking.task}: written sentences ask, which are nobody's: intervals resample "
                "the participants of the candidates; how far the wording decides they do not tell."
            )
        if ranking.note:
            notes.append(f"{ranking.task}: {ranking.note}")
        notes += [
            f"{name}: mean of {len(several)} seeds."
            for name, several in sets.items()
            if len(several) > 1
        ]
    return RetrievalTable(tuple(rows), tuple(dict.fromkeys(notes)))


def _same_queries(other: Ranking, ranking: Ranking) -> Ranking:
    if not np.array_equal(other.queries, ranking.queries) or other.columns != ranking.columns:
        msg = f"{ranking.task}: the baseline answered other queries: embed the same rows with both"
        raise StageError(msg)
    return other


def _rows(
    ranking: Ranking,
    sets: Mapping[str, Sequence[Ranking]],
    average: Average,
    replicates: int,
    level: float,
    seed: int,
    method: Method,
) -> list[RetrievalRow]:
    made = _by_gallery(ranking, sets) if ranking.galleries else _by_query(ranking, sets, average)
    functions, people, records = made
    drawn = None
    if len(ranking.queries):
        drawn = resample(
            functions, people, replicates=replicates, seed=seed, method=method, n_records=records
        )
    nothing = Interval(math.nan, math.nan, math.nan, level, 0, 0, METHODS[method])
    rows = []
    for place, (metric, k) in enumerate(ranking.columns):
        own, expected = _key(ENCODER, place), _key(_CHANCE, place)
        for features in sets:
            interval = lift = nothing
            difference = None
            if drawn is not None:
                interval = drawn.interval(_key(features, place), level=level)
                lift = drawn.difference(_key(features, place), expected, level=level)
                if features != ENCODER:
                    difference = drawn.difference(own, _key(features, place), level=level)
            rows.append(
                RetrievalRow(
                    task=ranking.task, features=features, metric=metric, k=k, interval=interval,
                    chance=drawn.values[expected] if drawn else math.nan,
                    n_queries=len(ranking.queries), n_candidates=ranking.n_candidates,
                    n_participants=len(np.unique(people)), lift=lift, difference=difference,
                    resampled="candidates" if ranking.galleries else "queries",
                )
            )  # fmt: skip
    return rows


def _by_query(
    ranking: Ranking, sets: Mapping[str, Sequence[Ranking]], average: Average
) -> _Resampled:
    """Metrics of the participants that ask; who they are, and how many queries."""
    names, inverse, counts = np.unique(
        ranking.participants, return_inverse=True, return_counts=True
    )
    weights = 1.0 / counts[inverse] if average == "participant" else np.ones(len(inverse))
    mass = np.bincount(inverse, weights=weights, minlength=len(names))

    def mean(values: np.ndarray) -> WeightedMetric:
        return _mean(np.bincount(inverse, weights=weights * values, minlength=len(names)), mass)

    found = {}
    for place in range(len(ranking.columns)):
        found[_key(_CHANCE, place)] = mean(ranking.chance[:, place])
        for features, several in sets.items():
            values = np.mean([one.values[:, place] for one in several], axis=0)
            found[_key(features, place)] = mean(values)
    return found, names, len(inverse)


def _by_gallery(ranking: Ranking, sets: Mapping[str, Sequence[Ranking]]) -> _Resampled:
    """Metrics of the candidates, of which every sentence counts once; whose they are."""
    found = {}
    people = ranking.galleries[0].participants
    for place, (metric, k) in enumerate(ranking.columns):
        assert metric == PRECISION
        assert k is not None
        found[_key(_CHANCE, place)] = ranking.galleries[0].chance()
        for features, several in sets.items():
            galleries = [gallery for one in several for gallery in one.galleries]
            found[_key(features, place)] = mean_metric([one.precision(k) for one in galleries])
    return found, people, len(people)


def _key(features: str, place: int) -> str:
    return _SEPARATOR.join((features, str(place)))


def _mean(sums: np.ndarray, mass: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def evaluate(weights: np.ndarray) -> np.ndarray:
        mean: np.ndarray = (weights @ sums) / (weights @ mass)
        return mean

    return evaluate


def _value(interval: Interval, *, sign: str = "") -> str:
    if not math.isfinite(interval.value):
        return "–"
    if not math.isfinite(interval.low):
        return f"{interval.value:{sign}.3f}"
    low, high = (f"{end:{sign}.3f}" for end in (interval.low, interval.high))
    return f"{interval.value:{sign}.3f} [{low}, {high}]"
