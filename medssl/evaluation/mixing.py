"""How well categories mix among embeddings: silhouette, and LISI of the neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

PERPLEXITY: Final = 30.0
"""Effective number of neighbours of Korsunsky et al.; three times as many are searched."""

BLOCK: Final = 1024
STEPS: Final = 60


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The nearest rows of other participants, with weights of a fixed perplexity.

    Args:
        indices: Row numbers of the neighbours, the nearest first, shape (n, k).
        weights: Their weights, shape (n, k); every row sums to 1.
        perplexity: Exponential of the entropy of each row's weights.
    """

    indices: np.ndarray
    weights: np.ndarray
    perplexity: float


def silhouette_samples(
    z: np.ndarray, labels: np.ndarray, participants: np.ndarray | None = None
) -> np.ndarray:
    """Silhouette of every row (Rousseeuw, 1987): 1 inside its own group, −1 inside another one.

    s_i = (b_i − a_i) / max(a_i, b_i), a_i the mean Euclidean distance to the other rows of its
    label, b_i the smallest mean distance to the rows of another label. Rows of one participant are
    never compared, since they are near to each other whatever their label. Memory is bounded; the
    time is O(n² d).

    Args:
        z: Embeddings, shape (n, d).
        labels: Label of each row, shape (n,), at least two different ones.
        participants: Participant of each row, shape (n,); None takes every row for its own.

    Returns:
        Float64 of shape (n,); 0 for a row without another one of its label.

    Raises:
        ValueError: There are fewer than two labels.

    >>> z = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> silhouette_samples(z, np.array(["a", "a", "b", "b"])).round(3)
    array([0.905, 0.895, 0.895, 0.905])
    """
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 2:
        msg = "a silhouette needs at least two labels"
        raise ValueError(msg)
    z = np.asarray(z, dtype=np.float64)
    z = z - z.mean(axis=0)
    squares = (z**2).sum(axis=1)
    people = _codes(participants, len(z))
    members = np.eye(len(names))[codes]
    values = np.empty(len(z))
    for start in range(0, len(z), BLOCK):
        rows = slice(start, min(start + BLOCK, len(z)))
        own = codes[rows]
        others = people[rows, None] != people[None, :]
        distances = squares[rows, None] + squares[None, :] - 2.0 * (z[rows] @ z.T)
        distances = np.where(others, np.sqrt(np.maximum(distances, 0.0)), 0.0)
        sums, counts = distances @ members, others @ members
        means = np.where(counts > 0, sums / np.maximum(counts, 1.0), np.inf)
        place = np.arange(len(own))
        a, alone = means[place, own], counts[place, own] == 0
        means[place, own] = np.inf
        b = means.min(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (b - a) / np.maximum(a, b)
        values[rows] = np.where(alone | ~np.isfinite(found), 0.0, found)
    return values


def neighbourhoods(
    z: np.ndarray, participants: np.ndarray | None = None, *, perplexity: float = PERPLEXITY
) -> Neighbourhoods:
    """Weighted neighbours of every row among the other participants' rows.

    p_ij ∝ exp(−β_i ‖z_i − z_j‖) over the 3 · perplexity nearest rows, β_i such that the entropy of
    p_i is log(perplexity): the kernel of LISI (Korsunsky et al., Nature Methods 2019). With fewer
    rows, all of them are neighbours and the perplexity is a third of their number.

    Args:
        z: Embeddings, shape (n, d).
        participants: Participant of each row, shape (n,); None takes every row for its own.
        perplexity: Effective number of neighbours.

    Raises:
        ValueError: A participant holds all rows, so that somebody has no neighbour.
    """
    import faiss

    z = np.asarray(z, dtype=np.float64)
    z = np.ascontiguousarray(z - z.mean(axis=0), dtype=np.float32)
    people = _codes(participants, len(z))
    most = int(np.bincount(people).max()) if len(people) else 0
    k = min(int(np.ceil(3 * perplexity)), len(z) - most)
    if k < 1:
        msg = "neighbours of other participants need at least two participants"
        raise ValueError(msg)
    squared, found = faiss.knn(z, z, k + most, faiss.METRIC_L2)
    own = people[found] == people[:, None]
    kept = np.argsort(own, axis=1, kind="stable")[:, :k]
    distances = np.sqrt(np.maximum(np.take_along_axis(squared, kept, axis=1), 0.0))
    effective = float(min(perplexity, max(1.0, k / 3)))
    weights = _calibrated(distances.astype(np.float64), effective)
    return Neighbourhoods(np.take_along_axis(found, kept, axis=1), weights, effective)


def inverse_simpson(labels: np.ndarray, near: Neighbourhoods) -> np.ndarray:
    """LISI of every row: 1 / Σ_b (Σ_j w_ij 1[label_j = b])², from 1 to the number of labels.

    The effective number of labels in the neighbourhood (Korsunsky et al., Nature Methods 2019).

    Args:
        labels: Label of each row, shape (n,).
        near: Neighbours of the same rows.

    >>> near = Neighbourhoods(np.array([[1, 2], [0, 2], [1, 0]]), np.full((3, 2), 0.5), 2.0)
    >>> inverse_simpson(np.array(["a", "a", "b"]), near)
    array([2., 2., 1.])
    """
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    around = codes[near.indices]
    total = np.zeros(len(codes))
    for code in range(len(names)):
        total += (near.weights * (around == code)).sum(axis=1) ** 2
    return np.asarray(1.0 / total)


def expected_lisi(
    labels: np.ndarray, near: Neighbourhoods, *, permutations: int = 20, seed: int = 0
) -> float:
    """Mean LISI when labels have nothing to do with places: the labels are dealt out anew.

    Lies below the number of labels where these are not equally frequent, and because a
    neighbourhood is a small sample.

    Args:
        labels: Label of each row, shape (n,).
        near: Neighbours of the same rows.
        permutations: Dealings that are averaged.
        seed: Of the dealings.
    """
    generator = np.random.default_rng(seed)
    values = np.asarray(labels)
    drawn = (inverse_simpson(generator.permutation(values), near) for _ in range(permutations))
    return float(np.mean([found.mean() for found in drawn]))


def normalised_lisi(values: np.ndarray, labels: int) -> np.ndarray:
    """LISI on [0, 1]: (value − 1) / (labels − 1), so that 0 is separated.

    >>> normalised_lisi(np.array([1.0, 2.0, 3.0]), 3)
    array([0. , 0.5, 1. ])
    """
    return np.asarray((np.asarray(values, dtype=np.float64) - 1.0) / (labels - 1.0))


def _codes(participants: np.ndarray | None, count: int) -> np.ndarray:
    if participants is None:
        return np.arange(count)
    return np.unique(np.asarray(participants), return_inverse=True)[1]


def _calibrated(distances: np.ndarray, perplexity: float) -> np.ndarray:
    """Weights exp(−β d) of each row, normalised, with β found by bisection."""
    shifted = distances - distances[:, :1]
    scale = shifted.mean(axis=1, keepdims=True)
    shifted = shifted / np.where(scale > 0, scale, 1.0)
    low, high = np.full((len(shifted), 1), -12.0), np.full((len(shifted), 1), 12.0)
    weights = np.full(shifted.shape, 1.0 / shifted.shape[1])
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        weights = np.exp(-np.exp(middle) * shifted)
        weights /= weights.sum(axis=1, keepdims=True)
        entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=1, keepdims=True)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.asarray(weights)
