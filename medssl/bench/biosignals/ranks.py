"""Effective rank and the alikeness of participants' records, for every arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medssl.bench.biosignals.arms import BASE
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.intraclass import intraclass_metric
from medssl.evaluation.rank import effective_rank
from medssl.evaluation.statistics import (
    Interval,
    WeightedMetric,
    bootstrap,
    jackknife_groups,
    jackknife_interval,
)
from medssl.evaluation.units import spread_rows

PER_PARTICIPANT = 8
"""Records of a participant that count, evenly spaced: one long recording must not be the corpus."""
GROUPS = 20


@dataclass(frozen=True)
class Geometry:
    """How an arm's embeddings of participants it has not seen lie.

    Args:
        arm: Which.
        dim: Length of an embedding.
        rank: Centred smooth effective rank, mean over seeds.
        rank_difference: Minus the published recipe's; None where dimensions differ.
        icc: ICC(1), the share of variance between participants, mean over seeds.
        seeds: The effective rank of each seed.
    """

    arm: str
    dim: int
    rank: Interval
    rank_difference: Interval | None
    icc: Interval
    seeds: tuple[float, ...] = ()


def measure(
    embeddings: Mapping[str, Sequence[Embeddings]], held_out: Sequence[str], *, seed: int = 0
) -> list[Geometry]:
    """Measure every arm on the same records of the same participants.

    Args:
        embeddings: Of each arm, one table per seed, all of the same records.
        held_out: Participants that no encoder was pretrained on.
        seed: Deals participants out to the groups of the jackknife, and of the bootstrap.
    """
    base = embeddings[BASE][0]
    rows = np.flatnonzero(np.isin(base.participants, list(held_out)))
    rows = rows[spread_rows(base.participants[rows], PER_PARTICIPANT)]
    people = base.participants[rows]
    dealt = jackknife_groups(people, groups=GROUPS, seed=seed)
    count = len(np.unique(people))
    found = []
    own = _ranks([one.values[rows] for one in embeddings[BASE]], dealt)
    for name, seeds in embeddings.items():
        values = [one.values[rows] for one in seeds]
        ranks = _ranks(values, dealt)
        gap = None
        if name != BASE and values[0].shape[1] == base.values.shape[1]:
            gap = jackknife_interval(
                ranks[0] - own[0], ranks[1:] - own[1:], participants=count, records=len(rows)
            )
        metrics = [intraclass_metric(one, people)[0] for one in values]
        names = intraclass_metric(values[0], people)[1]
        found.append(
            Geometry(
                arm=name,
                dim=values[0].shape[1],
                rank=jackknife_interval(ranks[0], ranks[1:], participants=count, records=len(rows)),
                rank_difference=gap,
                icc=bootstrap(_mean(metrics), names, seed=seed),
                seeds=tuple(effective_rank(z, centred=True) for z in values),
            )
        )
    return found


def _mean(metrics: Sequence[WeightedMetric]) -> WeightedMetric:
    """The mean of metrics as one."""
    return lambda weights: np.asarray(np.mean([metric(weights) for metric in metrics], axis=0))


def _ranks(seeds: Sequence[np.ndarray], dealt: np.ndarray) -> np.ndarray:
    """Effective rank of all rows, then without each group in turn, mean over seeds."""
    kept = [np.ones(len(dealt), dtype=bool), *(dealt != group for group in np.unique(dealt))]
    return np.array(
        [np.mean([effective_rank(z[rows], centred=True) for z in seeds]) for rows in kept]
    )
