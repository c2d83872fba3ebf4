"""Precision of queries that belong to nobody, as the participants of the candidates are resampled.

A written sentence is no participant: what would differ in another study are the images it finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from medssl.evaluation.retrieval_search import blocks
from medssl.evaluation.statistics import WeightedMetric

_MARGIN: Final = 64
_TIMES: Final = 8
"""Of each ranking, so many times k and the margin are kept: replicates seldom need more."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """The nearest candidates of each query, which are right answers, and whose they are.

    Args:
        participants: Of each candidate, shape (n,).
        nearest: Candidates from near to far, shape (q, m); n where a query keeps fewer than m.
        relevant: Whether they are right answers, bool, shape (q, m).
        starts: First place of those as near as the one at each place, shape (q, m).
        stops: Place after the last of them, shape (q, m).
        share: Share of the queries that each candidate is a right answer of, shape (n,).
    """

    participants: np.ndarray
    nearest: np.ndarray
    relevant: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    share: np.ndarray

    @classmethod
    def rank(
        cls,
        similar: Callable[[slice], np.ndarray],
        shared: Callable[[slice], np.ndarray],
        queries: int,
        participants: np.ndarray,
        k: int,
    ) -> Self:
        """Rank the candidates for each query; queries without a right answer are left out.

        Args:
            similar: Similarity of some queries with all candidates, larger is nearer.
            shared: Whether candidates are right answers of some queries, bool.
            queries: Their number.
            participants: Of each candidate, shape (n,).
            k: The largest that will be asked for.
        """
        n = len(participants)
        wanted = _kept(k, n)
        rows: list[tuple[np.ndarray, ...]] = []
        share = np.zeros(n)
        for part in blocks(queries, n):
            for similarity, right in zip(similar(part), shared(part), strict=True):
                if not right.any():
                    continue
                share += right
                order = np.argsort(-similarity, kind="stable")
                distance = -similarity[order]
                # A tie is kept whole, so that no candidate comes first by its place in the store.
                kept = int(np.searchsorted(distance, distance[wanted - 1], side="right"))
                order, distance = order[:kept], distance[:kept]
                starts = np.searchsorted(distance, distance, side="left")
                stops = np.searchsorted(distance, distance, side="right")
                rows.append((order, right[order], starts, stops))
        width = max((len(row[0]) for row in rows), default=0)
        fills: tuple[int, ...] = (n, False, width, width)
        nearest, relevant, starts, stops = (
            _padded([row[place] for row in rows], width, fill) for place, fill in enumerate(fills)
        )
        return cls(participants, nearest, relevant, starts, stops, share / max(len(rows), 1))

    def precision(self, k: int) -> WeightedMetric:
        """Mean over queries of Precision@k, by how often each candidate's participant was drawn.

        A candidate of weight w counts as w candidates that are equally near; tied ones share the
        places that are left in proportion, which is their mean over all orders. A replicate in
        which the kept candidates of a query weigh less than k is NaN, to be drawn again.
        """
        tied = bool((self.stops - self.starts > 1).any())
        width = self.nearest.shape[1] if tied else _kept(k, self.nearest.shape[1])
        order, relevant = self.nearest[:, :width], self.relevant[:, :width]
        short = (order < len(self.share)).sum(axis=1) < len(self.share)

        def one(row: np.ndarray) -> float:
            own = np.append(row, 0)[order]
            passed = np.zeros((len(order), width + 1))
            np.cumsum(own, axis=1, out=passed[:, 1:])
            if bool((passed[short, -1] < k).any()):
                return math.nan
            if not tied:
                taken = np.clip(k - passed[:, :-1], 0, own)
                return float(taken[relevant].sum()) / (k * len(own))
            before = np.take_along_axis(passed, self.starts, axis=1)
            group = np.take_along_axis(passed, self.stops, axis=1) - before
            part = np.clip(k - before, 0, group) / np.where(group > 0, group, 1)
            return float((own * part)[relevant].sum()) / (k * len(own))

        return lambda weights: np.array([one(row) for row in weights])

    def chance(self) -> WeightedMetric:
        """Mean over queries of the share of candidates that are right answers, by weight."""
        return lambda weights: (weights @ self.share) / weights.sum(axis=1)


def _kept(k: int, candidates: int) -> int:
    return min(_TIMES * k + _MARGIN, candidates)


def _padded(rows: Sequence[np.ndarray], width: int, fill: int) -> np.ndarray:
    found = np.full((len(rows), width), fill, dtype=rows[0].dtype if rows else np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def mean_metric(metrics: Sequence[WeightedMetric]) -> WeightedMetric:
    """Mean of metrics, such as of several seeds, on the same replicates."""

    def evaluate(weights: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.mean([metric(weights) for metric in metrics], axis=0)
        return mean

    return evaluate
