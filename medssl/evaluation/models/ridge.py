"""Ridge regression for many penalties and many folds at once."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from medssl.evaluation.models.decomposition import thin_svd
from medssl.evaluation.models.scaler import Scaler
from medssl.evaluation.models.scatter import Cells

WIDEST: Final = 4096
"""Features beyond which Gram matrices of all folds (134 MB each here) are too much to hold."""


def is_tall(x: np.ndarray) -> bool:
    """Whether Gram matrices are the fast way: complete, and many more rows than features."""
    n, d = x.shape
    return n > 2 * d and d <= WIDEST and not np.isnan(x.sum())


def fit_ridge(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, alphas: np.ndarray, inner: np.ndarray
) -> tuple[np.ndarray, float]:
    """Choose the penalty by squared error in the inner folds, fit on all rows, predict others.

    Args:
        x: Features to fit on, shape (n, d); NaN is missing.
        y: Targets, shape (n,).
        new: Features to predict, shape (m, d).
        alphas: Penalties, shape (a,), positive; of equal losses the first is taken.
        inner: Inner fold of each row, shape (n,).

    Returns:
        Predictions of shape (m,), and the penalty.
    """
    choosing = len(alphas) > 1 and len(np.unique(inner)) > 1
    best = alphas[[0]]
    if not is_tall(x):
        if choosing:
            best = alphas[[int(np.argmin(ridge_inner_losses(x, y, inner, alphas)))]]
        return ridge_path(x, y, new, best)[0], float(best[0])
    cells = Cells(x, y, inner)
    if choosing:
        best = alphas[[int(np.argmin(_cell_losses(cells, alphas)))]]
    moments = cells.moments(leave_out=None)
    weights = solve_gram(moments.gram, moments.moment, best)[0] / moments.scale
    middle = cells.level + moments.middle - float((cells.origin + moments.mean) @ weights)
    # The features of what is predicted may miss values that no fitted row missed.
    complete = np.where(np.isnan(new), cells.origin + moments.mean, new)
    return complete @ weights + middle, float(best[0])


def ridge_path(x: np.ndarray, y: np.ndarray, new: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Ridge predictions for every penalty from one decomposition.

    Minimises ‖y − b − Xw‖² + α‖w‖² on standardised X, the intercept b free.

    Args:
        x: Features to fit on, shape (n, d); NaN is missing.
        y: Targets, shape (n,).
        new: Features to predict, shape (m, d).
        alphas: Penalties, shape (a,), positive.

    Returns:
        Predictions, shape (a, m).
    """
    scaler = Scaler.fit(x)
    fitted, wanted = scaler.apply(x), scaler.apply(new)
    middle = y.mean()
    if fitted.shape[0] > fitted.shape[1]:
        coefficients = solve_gram(fitted.T @ fitted, fitted.T @ (y - middle), alphas)
    else:
        u, s, vt = thin_svd(fitted)
        shrunk = s / (s**2 + alphas[:, None]) * (u.T @ (y - middle))
        coefficients = shrunk @ vt
    return np.asarray(coefficients @ wanted.T + middle)


def solve_gram(gram: np.ndarray, moment: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """(XᵀX + αI)⁻¹ Xᵀy for every penalty, shape (a, d).

    One Cholesky factor a penalty costs less than the eigendecomposition that would serve all, up
    to about twenty penalties; a matrix that rounding has made indefinite is decomposed.
    """
    found = np.empty((len(alphas), len(moment)))
    diagonal = np.diag(gram)
    shifted = np.array(gram, order="F")
    try:
        for place, alpha in enumerate(alphas):
            shifted[:] = gram
            np.fill_diagonal(shifted, diagonal + alpha)
            factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
            found[place] = cho_solve(factor, moment, check_finite=False)
    except LinAlgError:
        eigenvalues, vectors = np.linalg.eigh(gram)
        rotated = vectors.T @ moment
        shrunk = rotated / (np.maximum(eigenvalues, 0.0) + np.asarray(alphas)[:, None])
        return np.asarray(shrunk @ vectors.T)
    return found


def ridge_inner_losses(
    x: np.ndarray, y: np.ndarray, folds: np.ndarray, alphas: np.ndarray
) -> np.ndarray:
    """Squared error of every penalty over the held-out rows of all folds, shape (a,).

    Equal to `ridge_path` on each fold; tall complete features go through `Cells`.
    """
    if is_tall(x):
        return _cell_losses(Cells(x, y, folds), alphas)
    losses = np.zeros(len(alphas))
    for fold in np.unique(folds):
        held = folds == fold
        predicted = ridge_path(x[~held], y[~held], x[held], alphas)
        losses += ((predicted - y[held]) ** 2).sum(axis=1)
    return losses


def _cell_losses(cells: Cells, alphas: np.ndarray) -> np.ndarray:
    losses = np.zeros(len(alphas))
    for cell, (x, y) in enumerate(zip(cells.x, cells.y, strict=True)):
        moments = cells.moments(leave_out=cell)
        weights = solve_gram(moments.gram, moments.moment, alphas) / moments.scale
        predicted = x @ weights.T + (moments.middle - weights @ moments.mean)
        losses += ((predicted - y[:, None]) ** 2).sum(axis=0)
    return losses
