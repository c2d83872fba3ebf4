"""Effective rank: how many directions the embeddings use."""

from __future__ import annotations

import math
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

    Sums of rows and outer products are kept per group: leaving a group out is a subtraction.
    """
    z = np.asarray(z, dtype=np.float64)
    group = jackknife_groups(participants, groups=groups, seed=seed)
    # The spectrum is the same after a shift of the origin when centred; it keeps the digits.
    base = z - z.mean(axis=0) if centred else z
    parts = [base[group == g] for g in range(int(group.max()) + 1)]
    sums = np.stack([part.sum(axis=0) for part in parts])
    grams = [part.T @ part for part in parts]
    total_sum, total_gram = sums.sum(axis=0), np.sum(grams, axis=0)

    def rank(gram: np.ndarray, row_sum: np.ndarray, n: int) -> float:
        if centred:
            gram = gram - np.outer(row_sum, row_sum) / n
        sigma = _gram_singular_values(gram, max(z.shape))
        return entropy_rank(sigma) if sigma.sum() > 0 else math.nan

    left_out = np.array(
        [
            rank(total_gram - gram, total_sum - row_sum, len(z) - len(part))
            for gram, row_sum, part in zip(grams, sums, parts, strict=True)
            if len(part) < len(z)
        ]
    )
    value = rank(total_gram, total_sum, len(z))
    count = len(np.unique(participants))
    return jackknife_interval(value, left_out, participants=count, records=len(z), level=level)
