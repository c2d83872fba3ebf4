"""Penalised likelihood for many penalties and training sets at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from medssl.evaluation.models.decomposition import thin_svd
from medssl.evaluation.models.descent import minimise
from medssl.evaluation.models.losses import Loss
from medssl.evaluation.models.scatter import Cells

logger = logging.getLogger(__name__)

BLOCK: Final = 4_000_000
"""Linear predictors held at once (32 MB), about; bounds the memory of a fit."""
LOOSE: Final = 1e-5
"""Gradient norm for losses that are only compared."""
TIGHT: Final = 1e-8
"""Gradient norm for predictions; both in coordinates whose curvature is about one."""

ROUNDS: Final = 12
"""How often the coordinates may be adapted to where a problem has come."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Some of the rows, and coordinates in which their Gram matrix is diagonal.

    Standardised features times orthonormal V are (features − mean) @ transform, with Gram matrix
    VᵀXᵀXV = diag(spectrum).

    Args:
        weights: 1 for the rows that are fitted and 0 for the others, shape (n,).
        mean: Mean of the fitted rows, shape (d,).
        transform: Shape (d, r).
        spectrum: Shape (r,).
    """

    weights: np.ndarray
    mean: np.ndarray
    transform: np.ndarray
    spectrum: np.ndarray


@dataclass(frozen=True, eq=False)
class Fitted:
    """Models of one training set, one for each penalty.

    Args:
        mean: To subtract from the features, shape (d,).
        weights: Shape (a, d, k).
        free: Intercepts or thresholds, shape (a, e).
    """

    mean: np.ndarray
    weights: np.ndarray
    free: np.ndarray

    def predictors(self, features: np.ndarray) -> np.ndarray:
        """Linear predictors without intercept, shape (n, a, k)."""
        a, d, k = self.weights.shape
        flat = self.weights.transpose(1, 0, 2).reshape(d, a * k)
        return np.asarray((features @ flat - self.mean @ flat).reshape(-1, a, k))


def whole_set(standardised: np.ndarray) -> tuple[TrainingSet, np.ndarray | None]:
    """All rows as a training set.

    Args:
        standardised: Features whose columns have mean 0, shape (n, d).

    Returns:
        The set, and for wide features a basis of the rows' span, shape (d, r), whose coordinates
        the set is about: the penalised optimum lies in that span. None where d < n.
    """
    n, d = standardised.shape
    ones = np.ones(n)
    if n > d:
        spectrum, vectors = np.linalg.eigh(standardised.T @ standardised)
        return TrainingSet(ones, np.zeros(d), vectors, np.maximum(spectrum, 0.0)), None
    _, singular, basis = thin_svd(standardised)
    r = len(singular)
    return TrainingSet(ones, np.zeros(r), np.eye(r), singular**2), basis.T


def fit_whole(
    standardised: np.ndarray, new: np.ndarray, loss: Loss, alphas: np.ndarray, *, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit all rows and predict others, both standardised.

    Returns:
        Linear predictors without intercept (m, a, k), and free parameters (a, e).
    """
    everyone, basis = whole_set(standardised)
    if basis is not None:
        standardised, new = standardised @ basis, new @ basis
    found = fit_penalised(standardised, [everyone], loss, alphas, tolerance=tolerance)[0]
    return found.predictors(new), found.free


def training_sets(cells: Cells) -> list[TrainingSet]:
    """The rows outside each fold, and last all rows, as sets over `cells.features`."""
    bounds = np.cumsum([0, *(len(x) for x in cells.x)])
    found = []
    for cell in (*range(len(cells.x)), None):
        weights = np.ones(len(cells.features))
        if cell is not None:
            weights[bounds[cell] : bounds[cell + 1]] = 0.0
        moments = cells.moments(leave_out=cell)
        spectrum, vectors = np.linalg.eigh(moments.gram)
        transform = vectors / moments.scale[:, None]
        found.append(TrainingSet(weights, moments.mean, transform, np.maximum(spectrum, 0.0)))
    return found


def fit_penalised(
    features: np.ndarray,
    sets: Sequence[TrainingSet],
    loss: Loss,
    alphas: np.ndarray,
    *,
    tolerance: float,
) -> list[Fitted]:
    """Minimise loss + α/2 ‖w‖² over weights w of the standardised features, for every set and α.

    With c the curvature of a row at w = 0 and λ the spectrum, the coordinates are scaled by
    (cλ + α)^−½, so that all curvatures begin at about one and few steps are needed, however badly
    conditioned the features are. Every step multiplies the rows once for all problems together.

    Args:
        features: Shape (n, d).
        sets: Training sets among the rows, of equal rank.
        loss: Of all rows.
        alphas: Penalties, shape (a,).
        tolerance: Gradient norm at which a problem has converged.

    Returns:
        For each set its models.
    """
    problems = [(place, alpha) for place in range(len(sets)) for alpha in alphas]
    step = max(1, BLOCK // (len(features) * loss.width))
    weights, free = [], []
    for start in range(0, len(problems), step):
        batch = _Batch(features, sets, loss, problems[start : start + step])
        solved = batch.solve(tolerance)
        weights.append(solved[0])
        free.append(solved[1])
    shape = (features.shape[1], len(sets), len(alphas), loss.width)
    by_set = np.concatenate(weights, axis=1).reshape(shape).transpose(1, 2, 0, 3)
    free_by_set = np.concatenate(free).reshape(len(sets), len(alphas), -1)
    return [Fitted(one.mean, by_set[place], free_by_set[place]) for place, one in enumerate(sets)]


class _Batch:
    """Problems, each a training set and a penalty, as one function of their coordinates."""

    def __init__(
        self,
        features: np.ndarray,
        sets: Sequence[TrainingSet],
        loss: Loss,
        problems: Sequence[tuple[int, float]],
    ) -> None:
        self.features, self.sets, self.loss = features, sets, loss
        self.owner = np.array([place for place, _ in problems])
        self.alphas = np.array([alpha for _, alpha in problems])
        self.rank = len(sets[0].spectrum)
        begun = [loss.start(one.weights) for one in sets]
        spectra = np.array([c * one.spectrum for (_, c), one in zip(begun, sets, strict=True)])
        scales = (spectra[self.owner] + self.alphas[:, None]) ** -0.5
        self.maps: list[np.ndarray] = list(scales)
        """From coordinates to rotated weights: one factor each, (r,), or a matrix, (r, r)."""
        rows = np.array([c * one.weights.sum() for (_, c), one in zip(begun, sets, strict=True)])
        self.free_scales = np.maximum(rows, 1e-12)[self.owner, None] ** -0.5
        self.free = np.array([free for free, _ in begun])[self.owner]
        self.rotated = np.zeros((self.rank, len(self.owner), loss.width))
        self.row_weights = np.stack([one.weights for one in sets], axis=1)
        self.means = np.stack([one.mean for one in sets])

    def solve(self, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the features (d, p, k), and free parameters (p, e)."""
        left = np.arange(len(self.owner))
        for _ in range(ROUNDS):
            function = partial(self._evaluate_some, left)
            found, converged = minimise(function, self._pack(left), tolerance=tolerance)
            self.rotated[:, left], self.free[left] = self._unpack(found, left)
            left = left[~converged]
            if len(left) == 0:
                break
            self._adapt(left)
        else:
            # Losses that are only compared may be a little off; predictions may not.
            logger.log(
                logging.WARNING if tolerance <= TIGHT else logging.INFO,
                "%d of %d penalised fits stopped before they had converged: "
                "leave out the smallest of alphas",
                len(left),
                len(self.owner),
            )
        return self._weights(self.rotated, np.arange(len(self.owner))), self.free

    def _adapt(self, which: np.ndarray) -> None:
        """Coordinates in which the curvature is about one where the problems now are.

        Nearly separable rows have lost their curvature since the start, each its own share.
        """
        eta = self._predictors(self._weights(self.rotated[:, which], which), which)
        for column, problem in enumerate(which):
            one = self.sets[self.owner[problem]]
            rotated = (self.features - one.mean) @ one.transform
            hessian, total = self.loss.hessian(
                rotated, eta[:, column], self.free[problem], one.weights
            )
            hessian[np.diag_indices_from(hessian)] += self.alphas[problem]
            spectrum, vectors = np.linalg.eigh(hessian)
            self.maps[problem] = vectors * np.maximum(spectrum, self.alphas[problem]) ** -0.5
            self.free_scales[problem] = max(total, 1e-6) ** -0.5

    def _pack(self, which: np.ndarray) -> np.ndarray:
        """Coordinates of where the problems are, shape (p, q)."""
        points = []
        for problem in which:
            weights, scale = self.rotated[:, problem], self.maps[problem]
            if scale.ndim == 1:
                coordinates = weights / scale[:, None]
            else:  # orthogonal columns
                coordinates = (scale / (scale**2).sum(axis=0)).T @ weights
            free = self.free[problem] / self.free_scales[problem]
            points.append(np.concatenate([coordinates.reshape(-1), free]))
        return np.stack(points)

    def _unpack(self, points: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotated weights (r, p, k) and free parameters (p, e) at some coordinates."""
        size = self.rank * self.loss.width
        rotated = points[:, :size].reshape(-1, self.rank, self.loss.width)
        mapped = self._map(rotated, which, back=False)
        return mapped.transpose(1, 0, 2), points[:, size:] * self.free_scales[which]

    def _map(self, values: np.ndarray, which: np.ndarray, *, back: bool) -> np.ndarray:
        """Maps, or their transposes, applied to one (r, k) for each problem."""
        maps = [self.maps[problem] for problem in which]
        if maps[0].ndim == 1:
            return np.asarray(values * np.stack(maps)[:, :, None])
        matrices = np.stack(maps)
        return np.asarray((matrices.transpose(0, 2, 1) if back else matrices) @ values)

    def _weights(self, rotated: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Weights of the features, shape (d, p, k)."""
        weights = np.empty((self.features.shape[1], len(which), self.loss.width))
        for place, one in enumerate(self.sets):
            own = self.owner[which] == place
            if own.any():
                weights[:, own] = np.tensordot(one.transform, rotated[:, own], axes=1)
        return weights

    def _predictors(self, weights: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Linear predictors, shape (n, p, k)."""
        d, p, k = weights.shape
        eta = (self.features @ weights.reshape(d, p * k)).reshape(-1, p, k)
        eta -= (self.means[self.owner[which]].T[:, :, None] * weights).sum(axis=0)
        return np.asarray(eta)

    def _evaluate_some(
        self, left: np.ndarray, points: np.ndarray, which: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (p,) and gradients (p, q) of some of the problems that are left."""
        which = left[which]
        rotated, free = self._unpack(points, which)
        weights = self._weights(rotated, which)
        d, p, k = weights.shape
        owner, alphas = self.owner[which], self.alphas[which]
        eta = self._predictors(weights, which)
        counted = self.row_weights if len(self.sets) == 1 else self.row_weights[:, owner]
        values, slopes, free_slopes = self.loss.evaluate(eta, free, counted)
        by_weight = (self.features.T @ slopes.reshape(-1, p * k)).reshape(d, p, k)
        by_weight -= self.means[owner].T[:, :, None] * slopes.sum(axis=0)
        by_rotated = alphas[:, None] * rotated
        for place, one in enumerate(self.sets):
            own = owner == place
            if own.any():
                by_rotated[:, own] += np.tensordot(one.transform.T, by_weight[:, own], axes=1)
        values = values + 0.5 * alphas * (rotated**2).sum(axis=(0, 2))
        gradient = self._map(by_rotated.transpose(1, 0, 2), which, back=True)
        return values, np.concatenate(
            [gradient.reshape(p, -1), free_slopes * self.free_scales[which]], axis=1
        )
