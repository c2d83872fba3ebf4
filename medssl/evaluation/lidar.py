"""LiDAR: along how many directions groups of records, such as participants, are told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import eigh

from medssl.evaluation.rank import RANKME_EPS, entropy_rank

RIDGE: Final = 1e-4
"""δ of the paper, added to the diagonal of the within-group covariance."""


@dataclass(frozen=True)
class GroupScatter:
    """Means and scatter of the groups that have two records or more.

    Args:
        groups: Group of each mean, sorted, shape (g,).
        means: Mean of each group, shape (g, d).
        within: Pooled covariance inside groups, Σ_g Σ_i (z_gi − m_g)(z_gi − m_g)ᵀ / (n − g).
        n: Records in those groups.
    """

    groups: np.ndarray
    means: np.ndarray
    within: np.ndarray
    n: int


def group_scatter(z: np.ndarray, groups: np.ndarray) -> GroupScatter:
    """Means and pooled within-group covariance; groups with one record are left out.

    Args:
        z: Embeddings, shape (n, d).
        groups: Group of each row, shape (n,), in any order: rows are grouped by name, never by
            position.
    """
    z = np.asarray(z, dtype=np.float64)
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    kept = counts[inverse] > 1
    names, inverse, counts = np.unique(
        np.asarray(groups)[kept], return_inverse=True, return_counts=True
    )
    if len(names) == 0:
        return GroupScatter(names, np.empty((0, z.shape[1])), np.zeros((z.shape[1],) * 2), 0)
    z = z[kept] - z[kept].mean(axis=0)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(counts) - counts
    means = np.add.reduceat(z[order], starts, axis=0) / counts[:, None]
    rest = z - means[inverse]
    return GroupScatter(names, means, rest.T @ rest / (len(z) - len(names)), len(z))


def discriminant_spectrum(scatter: GroupScatter, *, ridge: float = RIDGE) -> np.ndarray:
    """Eigenvalues of Σ_w^−½ Σ_b Σ_w^−½, descending: between-group over within-group variance.

    Σ_b is the covariance of the group means, Σ_w the within-group covariance plus `ridge`·I.

    Returns:
        The min(d, g − 1) eigenvalues that can differ from 0; empty with fewer than two groups.
    """
    count, d = scatter.means.shape
    if count < 2:
        return np.empty(0)
    between = np.cov(scatter.means, rowvar=False).reshape(d, d)
    within = scatter.within + ridge * np.eye(d)
    values = eigh(between, within, eigvals_only=True)[::-1]
    return np.asarray(np.maximum(values[: min(d, count - 1)], 0.0))


def lidar(
    z: np.ndarray, groups: np.ndarray, *, ridge: float = RIDGE, eps: float = RANKME_EPS
) -> float:
    """LiDAR: RankMe of the linear-discriminant matrix (arXiv 2312.04000).

    exp(−Σ p_k log p_k) with p_k = λ_k / Σλ + ε, λ the `discriminant_spectrum`. At most
    min(d, g − 1), but for ε. In the paper a group is the views of one sample; here it is whatever
    `groups` says, such as the records of a participant.

    Noise has as many directions as it has dimensions: groups that do *not* differ give a value near
    the largest one, not near 0. Compare with the value for shuffled groups.

    Args:
        z: Embeddings, shape (n, d).
        groups: Group of each row, shape (n,).
        ridge: δ; in units of z², so that the value depends on the scale of z where variances
            inside groups are as small as δ.
        eps: ε.

    Returns:
        LiDAR; NaN with fewer than two groups of two records, or when all group means agree.
    """
    values = discriminant_spectrum(group_scatter(z, groups), ridge=ridge)
    return entropy_rank(values, eps=eps) if values.sum() > 0 else math.nan


def chance_eigenvalue(
    z: np.ndarray, groups: np.ndarray, *, ridge: float = RIDGE, shuffles: int = 20, seed: int = 0
) -> tuple[float, float]:
    """What the spectrum is when groups mean nothing: rows are dealt out to groups at random.

    Args:
        z: Embeddings, shape (n, d).
        groups: Group of each row, shape (n,); shuffling keeps their sizes.
        ridge: δ.
        shuffles: Number of shuffles; 20 put a real first eigenvalue above all of them with a
            probability of 1/21 when groups mean nothing.
        seed: Of the shuffles.

    Returns:
        The largest eigenvalue of all shuffles, and the mean LiDAR of the shuffles.
    """
    generator = np.random.default_rng(seed)
    largest, ranks = [], []
    for _ in range(shuffles):
        shuffled = np.asarray(groups)[generator.permutation(len(groups))]
        values = discriminant_spectrum(group_scatter(z, shuffled), ridge=ridge)
        if values.sum() > 0:
            largest.append(float(values[0]))
            ranks.append(entropy_rank(values, eps=RANKME_EPS))
    return (max(largest), float(np.mean(ranks))) if largest else (math.nan, math.nan)
