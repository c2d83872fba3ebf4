"""Effective rank: how many directions the embeddings use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from medssl.evaluation.statistics import Interval, jackknife_groups, jackknife_interval

RANKME_EPS: Final = 1e-7
"""ε of the RankMe paper; stable-pretraining uses 1e-5, whose values are larger."""


def singular_values(z: np.ndarray) -> np.ndarray:
    """Singular values of a matrix, from its smaller Gram matrix, in float64.

    Values below the rounding of that Gram matrix (about 1e-7 of the largest) are given as 0.
    """
    z = np.asarray(z, dtype=np.float64)
    return _gram_singular_values(z.T @ z if z.shape[0] > z.shape[1] else z @ z.T, max(z.shape))


def _gram_singular_values(gram: np.ndarray, size: int) -> np.ndarray:
    eigenvalues = np.linalg.eigvalsh(gram)[::-1]
    floor = eigenvalues[0] * size * np.finfo(np.float64).eps
    return np.sqrt(np.where(eigenvalues > floor, eigenvalues, 0.0))


def effective_rank(z: np.ndarray, *, centred: bool) -> float:
    """Smooth effective rank exp(−Σ p_k log p_k), p_k = σ_k / Σσ, with 0·log 0 = 0.

    Roy & Vetterli, "The effective rank" (2007), as used for wearables in arXiv 2312.05409. It grows
    with the number of rows: compare only values of the same n and d.

    Args:
        z: Embeddings, shape (n, d).
        centred: Whether to subtract the mean row first. Encoder outputs that are not centred have
            one dominant direction, their mean.

    Raises:
        ValueError: All singular values are 0.

    >>> effective_rank(np.eye(4), centred=False)
    4.0
    """
    return entropy_rank(singular_values(centre(z, centred)))


def rankme(z: np.ndarray, *, centred: bool, eps: float = RANKME_EPS) -> float:
    """RankMe: as `effective_rank`, with p_k = σ_k / Σσ + ε (arXiv 2210.02885).

    Args:
        z: Embeddings, shape (n, d).
        centred: Whether to subtract the mean row first; the paper does not.
        eps: ε. It adds about d·ε·log(1/ε) to the entropy, so that values of another ε differ.

    Raises:
        ValueError: All singular values are 0.
    """
    return entropy_rank(singular_values(centre(z, centred)), eps=eps)


def entropy_rank(sigma: np.ndarray, *, eps: float = 0.0) -> float:
    """Exponential of the entropy of p_k = σ_k / Σσ + eps.

    >>> round(entropy_rank(np.array([1.0, 1.0, 0.0])), 12)
    2.0
    """
    total = float(sigma.sum())
    if not total > 0:
        msg = "the effective rank of zeros is not defined: all embeddings are the same"
        raise ValueError(msg)
    p = sigma / total + eps
    p = p[p > 0]
    return math.exp(-float((p * np.log(p)).sum()))


def centre(z: np.ndarray, centred: bool) -> np.ndarray:
    """Embeddings in float64, less their mean row when `centred`."""
    z = np.asarray(z, dtype=np.float64)
    return z - z.mean(axis=0) if centred else z


def effective_rank_interval(
    z: np.ndarray,
    participants: np.ndarray,
    *,
    centred: bool,
    groups: int = 20,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Effective rank with a delete-group jackknife interval over participants.

    Args:
        z: Embeddings, shape (n, d).
        participants: Participant of each row, shape (n,).
        centred: Whether to subtract the mean row first.
        groups: Groups that are left out in turn.
        level: Confidence level.
        seed: Deals participants out to groups.
    """
    dealt = jackknife_groups(participants, groups=groups, seed=seed)
    value, left_out = _leave_out(z, dealt, centred)
    count = len(np.unique(participants))
    return jackknife_interval(value, left_out, participants=count, records=len(z), level=level)


def effective_rank_difference(
    first: np.ndarray,
    others: Sequence[np.ndarray],
    participants: np.ndarray,
    *,
    centred: bool,
    groups: int = 20,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Effective rank of `first` minus the mean of those of `others`, on the same records, paired.

    Args:
        first: Embeddings, shape (n, d).
        others: Embeddings of the same records in the same order by other encoders, such as several
            seeds of the untrained one, each of shape (n, d').
        participants: Participant of each row, shape (n,).
        centred: Whether to subtract the mean row first.
        groups: Groups that are left out in turn, of both.
        level: Confidence level.
        seed: Deals participants out to groups.
    """
    dealt = jackknife_groups(participants, groups=groups, seed=seed)
    one, one_left_out = _leave_out(first, dealt, centred)
    rest = [_leave_out(other, dealt, centred) for other in others]
    return jackknife_interval(
        one - float(np.mean([rank for rank, _ in rest])),
        one_left_out - np.mean([left_out for _, left_out in rest], axis=0),
        participants=len(np.unique(participants)),
        records=len(first),
        level=level,
    )


def _leave_out(z: np.ndarray, dealt: np.ndarray, centred: bool) -> tuple[float, np.ndarray]:
    """Effective rank of all rows, and with each group left out; NaN where it is not defined.

    Sums of rows and outer products are kept per group: leaving a group out is a subtraction.
    """
    # A shift of the origin does not change the centred rank, and keeps the digits.
    base = centre(z, centred)
    parts = [base[dealt == group] for group in range(int(dealt.max()) + 1)]
    sums = np.stack([part.sum(axis=0) for part in parts])
    grams = [part.T @ part for part in parts]
    total_sum, total_gram = sums.sum(axis=0), np.sum(grams, axis=0)

    def rank(gram: np.ndarray, row_sum: np.ndarray, n: int) -> float:
        if n == 0:
            return math.nan
        if centred:
            gram = gram - np.outer(row_sum, row_sum) / n
        sigma = _gram_singular_values(gram, max(base.shape))
        return entropy_rank(sigma) if sigma.sum() > 0 else math.nan

    left_out = [
        rank(total_gram - gram, total_sum - row_sum, len(base) - len(part))
        for gram, row_sum, part in zip(grams, sums, parts, strict=True)
    ]
    return rank(total_gram, total_sum, len(base)), np.array(left_out)
