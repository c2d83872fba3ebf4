"""What the embeddings look like: alignment, uniformity, dispersion, dead dimensions, summary."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.rank import (
    RANKME_EPS,
    centre,
    effective_rank,
    effective_rank_difference,
    effective_rank_interval,
    entropy_rank,
    rankme,
    singular_values,
)
from medssl.evaluation.statistics import Interval, bootstrap

logger = logging.getLogger(__name__)

__all__ = [
    "alignment",
    "dead_dimensions",
    "effective_rank",
    "effective_rank_difference",
    "effective_rank_interval",
    "participant_alignment",
    "participant_dispersion_ratio",
    "rankme",
    "summarise",
    "uniformity",
]

MAX_RECORDS: Final = 4096
"""Records compared pairwise for uniformity; more are subsampled, and the summary says so."""


def unit_rows(z: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float64; a row of zeros stays zero."""
    z = np.asarray(z, dtype=np.float64)
    norms = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(norms > 0, norms, 1.0)


def participant_alignment(z: np.ndarray, participants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared distance ‖x − y‖² over the positive pairs of each participant, on unit rows.

    Alignment of Wang & Isola (arXiv 2005.10242) where a positive pair is two different records of
    one participant. For k unit rows with sum S the mean over pairs is 2 − 2(‖S‖² − k)/(k(k − 1)).

    Args:
        z: Embeddings, shape (n, d).
        participants: Participant of each row, shape (n,).

    Returns:
        Participants with at least two records, sorted, and their alignment; both of shape (p,).
    """
    unit = unit_rows(z)
    names, sums, counts = _grouped_sums(unit, participants)
    squares = _grouped_sums((unit**2).sum(axis=1, keepdims=True), participants)[1][:, 0]
    several = counts > 1
    k = counts[several]
    cosine = ((sums[several] ** 2).sum(axis=1) - squares[several]) / (k * (k - 1))
    return names[several], 2.0 * squares[several] / k - 2.0 * cosine


def alignment(z: np.ndarray, participants: np.ndarray) -> float:
    """Mean of `participant_alignment` over participants; NaN when none has two records.

    >>> alignment(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array(["p", "p"]))
    2.0
    """
    values = participant_alignment(z, participants)[1]
    return float(values.mean()) if len(values) else math.nan


def uniformity(z: np.ndarray, *, t: float = 2.0, block: int = 1024) -> float:
    """Uniformity log mean_{i<j} exp(−t‖x_i − x_j‖²) on unit rows: 0 when all agree, else lower.

    Wang & Isola, arXiv 2005.10242, t = 2. Computed in blocks of rows; NaN for fewer than two rows.

    >>> uniformity(np.ones((3, 2)))
    0.0
    """
    unit = unit_rows(z)
    n = len(unit)
    if n < 2:
        return math.nan
    total = 0.0
    squares = (unit**2).sum(axis=1)
    for start in range(0, n, block):
        rows = slice(start, start + block)
        distances = squares[rows, None] + squares[None, :] - 2.0 * (unit[rows] @ unit.T)
        kernel = np.exp(-t * np.maximum(distances, 0.0))
        # Each row meets itself once; that pair is not i < j.
        own = np.arange(len(kernel))
        kernel[own, own + start] = 0.0
        total += float(kernel.sum())
    return math.log(total / (n * (n - 1)))


def participant_dispersion_ratio(z: np.ndarray, participants: np.ndarray) -> float:
    """Spread inside participants over spread between them; small means tight participants.

    D = W / V over the P participants with k_p ≥ 2 records and means m_p:
    W = (1/P) Σ_p Σ_i ‖z_pi − m_p‖² / (k_p − 1), V = Σ_p ‖m_p − m̄‖² / (P − 1), m̄ = (1/P) Σ_p m_p.

    medssl's own formula: arXiv 2312.05409 reports a dispersion ratio whose formula we do not have,
    so that the two must not be compared. NaN with fewer than two such participants.

    >>> z = np.array([[0.0], [2.0], [10.0], [12.0]])
    >>> participant_dispersion_ratio(z, np.array(["a", "a", "b", "b"]))
    0.04
    """
    z = np.asarray(z, dtype=np.float64)
    within, means = _spread(z - z.mean(axis=0), participants)
    if len(means) < 2:
        return math.nan
    between = float(((means - means.mean(axis=0)) ** 2).sum()) / (len(means) - 1)
    return float(within.mean()) / between if between > 0 else math.nan


def dead_dimensions(z: np.ndarray, *, tolerance: float = 1e-4) -> np.ndarray:
    """Which dimensions do not vary: standard deviation ≤ tolerance × root mean square of z.

    Returns:
        Boolean mask of shape (d,). Scaling z does not change it.

    >>> dead_dimensions(np.array([[1.0, 5.0], [2.0, 5.0]]))
    array([False,  True])
    """
    z = np.asarray(z, dtype=np.float64)
    return np.asarray(z.std(axis=0) <= tolerance * math.sqrt(float((z**2).mean())))


def summarise(embeddings: Embeddings, seed: int = 0, *, level: float = 0.95) -> dict[str, Any]:
    """All of this page for one set of embeddings, as a JSON object.

    Returns:
        `n`, `d`, `participants`, `participants_with_pairs`, `dead_dimensions`, `collapsed`,
        `participant_dispersion_ratio`, and under `centred` and `uncentred` each: `effective_rank`,
        `alignment` (intervals), `rankme`, `uniformity` and `uniformity_n`.
    """
    z = embeddings.values.astype(np.float64)
    if len(z) == 0:
        msg = "there are no embeddings to summarise"
        raise ValueError(msg)
    participants = embeddings.participants
    dead = dead_dimensions(z)
    collapsed = bool(dead.all())
    if collapsed:
        logger.warning("all embeddings are the same: the encoder has collapsed")
    with_pairs = participant_alignment(z, participants)[0]
    return {
        "n": len(z),
        "d": embeddings.dim,
        "participants": len(np.unique(participants)),
        "participants_with_pairs": len(with_pairs),
        "dead_dimensions": int(dead.sum()),
        "collapsed": collapsed,
        "participant_dispersion_ratio": _dispersion(z, participants, level, seed).to_dict(),
        "centred": _summary(z, participants, centred=True, level=level, seed=seed),
        "uncentred": _summary(z, participants, centred=False, level=level, seed=seed),
    }


def _summary(
    z: np.ndarray, participants: np.ndarray, *, centred: bool, level: float, seed: int
) -> dict[str, Any]:
    rank = effective_rank_interval(z, participants, centred=centred, level=level, seed=seed)
    z = centre(z, centred)
    chosen = np.random.default_rng(seed).permutation(len(z))[:MAX_RECORDS]
    sigma = singular_values(z)
    named, aligned = participant_alignment(z, participants)
    return {
        "effective_rank": rank.to_dict(),
        "rankme": entropy_rank(sigma, eps=RANKME_EPS) if sigma.sum() > 0 else None,
        "alignment": _mean(named, aligned, participants, level, seed).to_dict(),
        "uniformity": _or_none(uniformity(z[chosen])),
        "uniformity_n": len(chosen),
    }


def _mean(
    named: np.ndarray, values: np.ndarray, participants: np.ndarray, level: float, seed: int
) -> Interval:
    records = int(np.isin(participants, named).sum())
    if len(named) == 0:
        return Interval(math.nan, math.nan, math.nan, level, 0, records)

    def mean(weights: np.ndarray) -> np.ndarray:
        return np.asarray(weights @ values / weights.sum(axis=1))

    found = bootstrap(mean, named, level=level, seed=seed)
    return Interval(found.value, found.low, found.high, level, len(named), records)


def _dispersion(z: np.ndarray, participants: np.ndarray, level: float, seed: int) -> Interval:
    named = participant_alignment(z, participants)[0]
    records = int(np.isin(participants, named).sum())
    value = participant_dispersion_ratio(z, participants)
    if not math.isfinite(value):
        return Interval(value, math.nan, math.nan, level, len(named), records)
    within, means = _spread(z - z.mean(axis=0), participants)
    ratio = _weighted_dispersion(within, means)
    found = bootstrap(ratio, named, level=level, seed=seed)
    return Interval(
        value, found.low, found.high, level, len(named), records, degenerate=found.degenerate
    )


def _weighted_dispersion(
    within: np.ndarray, means: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    squares = (means**2).sum(axis=1)

    def ratio(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        middle = weights @ means / total[:, None]
        between = (weights @ squares - total * (middle**2).sum(axis=1)) / (total - 1)
        return np.asarray(weights @ within / total / np.where(between > 0, between, np.nan))

    return ratio


def _spread(z: np.ndarray, participants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance inside, shape (p,), and mean, shape (p, d), of participants with two records."""
    _, sums, counts = _grouped_sums(z, participants)
    squares = _grouped_sums((z**2).sum(axis=1, keepdims=True), participants)[1][:, 0]
    several = counts > 1
    k = counts[several]
    means = sums[several] / k[:, None]
    return (squares[several] - k * (means**2).sum(axis=1)) / (k - 1), means


def _grouped_sums(
    rows: np.ndarray, participants: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names, inverse, counts = np.unique(participants, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return names, np.add.reduceat(rows[order], starts, axis=0), counts


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
