"""Cross-validation folds that never divide a participant."""

from __future__ import annotations

import numpy as np

STRATA: int = 5
"""Quantile groups by which numeric targets are spread over the folds."""


def grouped_folds(
    participants: np.ndarray, target: np.ndarray, *, folds: int, seed: int
) -> np.ndarray:
    """Deal participants out to folds, equally many of each stratum to each fold.

    The strata are the classes of a target with two values, and quantile groups of the
    participants' mean target otherwise. The folds depend on seed, pseudonyms and targets, not on
    the order of the rows.

    Args:
        participants: Participant of each row, shape (n,).
        target: Target of each row, shape (n,); finite.
        folds: Number of folds; no more than there are participants are made.
        seed: Another seed gives another dealing.

    Returns:
        Fold of each row, int64 of shape (n,), in 0 … folds − 1.

    >>> names = np.array(["a", "a", "b", "c", "d"])
    >>> folds = grouped_folds(names, np.array([0, 0, 1, 0, 1]), folds=2, seed=0)
    >>> bool(folds[0] == folds[1]), bool(folds[2] != folds[4]), bool(folds[0] != folds[3])
    (True, True, True)
    """
    names, inverse, counts = np.unique(participants, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=target) / counts
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(names))
    # Dealing in the order of the strata, shuffled inside each, gives every fold its share of each.
    order = shuffled[np.argsort(_strata(means)[shuffled], kind="stable")]
    dealt = np.empty(len(names), dtype=np.int64)
    dealt[order] = np.arange(len(names)) % min(folds, len(names))
    return dealt[inverse]


def _strata(values: np.ndarray) -> np.ndarray:
    if len(np.unique(values)) <= 2:
        return values
    edges = np.quantile(values, np.linspace(0, 1, STRATA + 1)[1:-1])
    return np.searchsorted(edges, values, side="right")
