"""Intraclass correlation: the share of the embeddings' variance that lies between participants."""

from __future__ import annotations

import math

import numpy as np

from medssl.evaluation.statistics import Interval, WeightedMetric, bootstrap


def intraclass_correlation(z: np.ndarray, participants: np.ndarray) -> float:
    """ICC(1) of one-way analysis of variance, sums of squares added up over the dimensions.

    ICC = (MSB − MSW) / (MSB + (k₀ − 1) MSW), where participant p has n_p of N records with mean
    m_p: MSB = Σ_p n_p ‖m_p − m̄‖² / (P − 1), MSW = Σ_p Σ_i ‖z_pi − m_p‖² / (N − P),
    k₀ = (N − Σ_p n_p²/N) / (P − 1). Shrout & Fleiss (1979), Donner (1986) for unequal n_p.

    1: records of a participant are equal. 0: they are no more alike than those of others, for any
    number of records (estimates then scatter around 0, also below). Unchanged by shift, scale and
    rotation.

    Args:
        z: Embeddings, shape (n, d), or one feature, shape (n,).
        participants: Participant of each row, shape (n,).

    Returns:
        The correlation; NaN with fewer than two participants, without repeated records or when all
        rows are the same.

    >>> z = np.array([[0.0], [2.0], [10.0], [12.0]])
    >>> round(intraclass_correlation(z, np.array(["a", "a", "b", "b"])), 4)
    0.9608
    """
    metric, names = intraclass_metric(z, participants)
    return float(metric(np.ones((1, len(names))))[0])


def intraclass_interval(
    z: np.ndarray, participants: np.ndarray, *, level: float = 0.95, seed: int = 0
) -> Interval:
    """`intraclass_correlation` with a BCa bootstrap interval over participants."""
    metric, names = intraclass_metric(z, participants)
    found = bootstrap(metric, names, level=level, seed=seed)
    return Interval(
        found.value,
        found.low,
        found.high,
        level,
        len(names),
        len(participants),
        degenerate=found.degenerate,
    )


def intraclass_by_dimension(z: np.ndarray, participants: np.ndarray) -> np.ndarray:
    """`intraclass_correlation` of each dimension alone, shape (d,); NaN for a constant one."""
    z = np.asarray(z, dtype=np.float64)
    z = z - z.mean(axis=0)
    _, inverse, counts = np.unique(participants, return_inverse=True, return_counts=True)
    n, people = len(z), len(counts)
    if people < 2 or n == people:
        return np.full(z.shape[1], np.nan)
    order = np.argsort(inverse, kind="stable")
    sums = np.add.reduceat(z[order], np.cumsum(counts) - counts, axis=0)
    between = (sums**2 / counts[:, None]).sum(axis=0)
    msb = between / (people - 1)
    msw = np.maximum((z**2).sum(axis=0) - between, 0.0) / (n - people)
    typical = (n - (counts**2).sum() / n) / (people - 1)
    total = msb + (typical - 1) * msw
    alive = z.std(axis=0) > 0
    return np.asarray(np.where(alive, (msb - msw) / np.where(alive, total, 1.0), np.nan))


def intraclass_metric(z: np.ndarray, participants: np.ndarray) -> tuple[WeightedMetric, np.ndarray]:
    """The correlation as a function of how often each participant counts, and the participants."""
    z = np.asarray(z, dtype=np.float64).reshape(len(participants), -1)
    z = z - z.mean(axis=0)
    names, inverse, counts = np.unique(participants, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    sums = np.add.reduceat(z[order], np.cumsum(counts) - counts, axis=0)
    size = counts.astype(np.float64)
    squares = (sums**2).sum(axis=1) / size
    inside = np.bincount(inverse, weights=(z**2).sum(axis=1)) - squares

    def correlation(weights: np.ndarray) -> np.ndarray:
        people, total = weights.sum(axis=1), weights @ size
        middle = ((weights @ sums) ** 2).sum(axis=1) / total
        with np.errstate(invalid="ignore", divide="ignore"):
            msb = (weights @ squares - middle) / (people - 1)
            msw = weights @ np.maximum(inside, 0.0) / (total - people)
            typical = (total - weights @ size**2 / total) / (people - 1)
            found = (msb - msw) / (msb + (typical - 1) * msw)
        return np.asarray(np.where(np.isfinite(found), found, math.nan))

    return correlation, names
