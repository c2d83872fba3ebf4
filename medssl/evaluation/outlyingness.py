"""How far a record lies from the other participants' records, and what is too far."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from medssl.evaluation.representation import unit_rows
from medssl.evaluation.units import spread_rows

NEIGHBOURS: Final = 10
PER_PARTICIPANT: Final = 5
"""Records of a participant that others are compared with: a long recording counts no more."""
BASE: Final = 20_000
"""Records that are compared with, in all; every participant gives at least one."""
BLOCK: Final = 4096
FITTED: Final = 2_000
"""Records on which the robust covariance is fitted."""
COMPONENTS: Final = 20
MIN_TAIL: Final = 20
"""Values that a tail is fitted to."""


def distance_to_others(
    z: np.ndarray, participants: np.ndarray, *, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Mean Euclidean distance of each record to the nearest records of *other* participants.

    A participant's own records are close to each other even where all of them are strange, so they
    are left out. Searched exactly (FAISS) among `PER_PARTICIPANT` records of every participant; of
    more than `BASE` records in all, each participant gives fewer.

    Args:
        z: Embeddings, shape (n, d).
        participants: Participant of each row, shape (n,).
        neighbours: Nearest records that are averaged over; fewer where there are not as many.

    Returns:
        Distances, shape (n,); NaN for a single participant.
    """
    import faiss

    names, owner = np.unique(participants, return_inverse=True)
    if len(names) < 2:
        return np.full(len(z), np.nan)
    each = max(1, min(PER_PARTICIPANT, BASE // len(names)))
    base = spread_rows(participants, each)
    # The inner products of FAISS lose the digits of embeddings far from the origin.
    rows = np.ascontiguousarray(z - np.mean(z, axis=0, dtype=np.float64), dtype=np.float32)
    distances = np.empty(len(z))
    for start in range(0, len(z), BLOCK):
        block = slice(start, start + BLOCK)
        squares, found = faiss.knn(rows[block], rows[base], min(neighbours + each, len(base)))
        others = owner[base[found]] != owner[block, None]
        counted = others & (np.cumsum(others, axis=1) <= neighbours)
        total = np.where(counted, np.sqrt(np.maximum(squares, 0.0)), 0.0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances[block] = total / counted.sum(axis=1)
    return distances


def robust_distance(
    z: np.ndarray, participants: np.ndarray, *, components: int = COMPONENTS, seed: int = 0
) -> np.ndarray:
    """Mahalanobis distance to a centre and covariance that outliers do not move.

    Minimum covariance determinant (Rousseeuw & Van Driessen 1999) on the leading principal
    components of the directions from the median, fitted on at most `FITTED` records, the same
    number of every participant.

    Args:
        z: Embeddings, shape (n, d).
        participants: Participant of each row, shape (n,).
        components: Most principal components; fewer where they hold 95 % of the variance, or where
            there are fewer than ten fitted records for each.
        seed: Of the subsets that the fit starts from.

    Returns:
        Distances, shape (n,); 0 where the records do not differ.
    """
    from sklearn.covariance import MinCovDet

    people = len(np.unique(participants))
    fitted = spread_rows(participants, max(1, FITTED // max(people, 1)))
    if len(fitted) > FITTED:
        fitted = np.random.default_rng(seed).permutation(fitted)[:FITTED]
    middle = np.median(z[fitted], axis=0).astype(np.float64)
    # Unit rows: far records must not choose the components (Locantore et al. 1999).
    directions = unit_rows(z[fitted] - middle)
    values, vectors = np.linalg.eigh(directions.T @ directions)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    usable = int(np.count_nonzero(values > 1e-10 * max(float(values[0]), 1e-300)))
    most = min(components, usable, len(fitted) // 10)
    if most == 0:
        return np.zeros(len(z))
    enough = int(np.searchsorted(np.cumsum(values) / values.sum(), 0.95)) + 1
    axes = vectors[:, : min(most, enough)]
    blocks = [(z[i : i + BLOCK] - middle) @ axes for i in range(0, len(z), BLOCK)]
    scores = np.concatenate(blocks)
    # Scaled, so that the determinant stays in the range of floating-point numbers.
    scores /= scores[fitted].std(axis=0)
    model = MinCovDet(random_state=seed, support_fraction=0.75).fit(scores[fitted])
    squares = model.mahalanobis(scores)
    return np.asarray(np.sqrt(np.maximum(np.nan_to_num(squares, nan=0.0), 0.0)))


def tail_threshold(values: np.ndarray, *, expected_false: float) -> float:
    """Distance beyond which `expected_false` of these values are expected in clean data.

    The upper tail is taken to be P(D > t) ∝ exp(−c√t), a Weibull tail of shape ½: heavier than that
    of normal or exponential data, of which fewer are then named, and about that of a t-distribution
    with five degrees of freedom. It is fitted through the median and the 90 % quantile and
    continued to the t with n·P(D > t) = `expected_false`. Outliers that are more than a tenth of
    the values move the fit and hide.

    Args:
        values: Distances, shape (n,).
        expected_false: Number of values beyond the threshold by chance.

    Returns:
        The threshold; infinite with fewer than `MIN_TAIL` values.

    >>> weibull = np.random.default_rng(0).exponential(size=10_000) ** 2
    >>> bool(0.9 < tail_threshold(weibull, expected_false=10) / np.log(1000) ** 2 < 1.1)
    True
    """
    known = values[np.isfinite(values)]
    if len(known) < MIN_TAIL:
        return math.inf
    middle, high = np.sqrt(np.quantile(known, [0.5, 0.9]))
    # Copies of one record have no spread; rounding must not make outliers of them.
    slope = max((high - middle) / math.log(5.0), 0.005 * middle)
    return float((middle + slope * max(math.log(0.5 * len(known) / expected_false), 0.0)) ** 2)
