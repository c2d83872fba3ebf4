from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medssl.evaluation.models import ridge
from medssl.evaluation.models.ridge import fit_ridge, ridge_inner_losses, ridge_path, solve_gram

ALPHAS = np.logspace(5, -3, 9)


def data(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.geomspace(0.01, 100, d) + 5
    y = 40 + x[:, 0] * 100 + rng.normal(size=n)
    return x, y, rng.normal(size=(15, d)) * np.geomspace(0.01, 100, d) + 5


def slow_losses(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """One fit a fold."""
    losses = np.zeros(len(ALPHAS))
    for fold in np.unique(folds):
        held = folds == fold
        predicted = ridge_path(x[~held], y[~held], x[held], ALPHAS)
        losses += ((predicted - y[held]) ** 2).sum(axis=1)
    return losses


@pytest.mark.parametrize("shape", [(60, 8), (20, 50), (20, 20)])
def test_path_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    x, y, new = data(*shape)
    found = ridge_path(x, y, new, ALPHAS)
    for alpha, predicted in zip(ALPHAS, found, strict=True):
        model = make_pipeline(StandardScaler(), Ridge(alpha=alpha, solver="svd")).fit(x, y)
        np.testing.assert_allclose(predicted, model.predict(new), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(100, 8), (30, 50)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_choice_and_predictions_are_those_of_a_grid_search(
    shape: tuple[int, int], dtype: type
) -> None:
    x, y, new = data(*shape)
    x, new = x.astype(dtype), new.astype(dtype)
    folds = np.arange(len(x)) % 5
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": ALPHAS},
        cv=PredefinedSplit(folds), scoring="neg_mean_squared_error",
    ).fit(x.astype(np.float64), y)  # fmt: skip
    found, alpha = fit_ridge(x, y, new, ALPHAS, folds)
    assert alpha == search.best_params_["ridge__alpha"]
    np.testing.assert_allclose(found, search.predict(new.astype(np.float64)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_losses_from_gram_matrices_equal_one_fit_per_fold(offset: float) -> None:
    x, y, _ = data(90, 6)
    x = np.column_stack([x + offset, np.ones(90)])
    folds = np.arange(90) % 5
    np.testing.assert_allclose(
        ridge_inner_losses(x, y, folds, ALPHAS), slow_losses(x, y, folds), rtol=1e-5
    )


@pytest.mark.parametrize("small", [0.0, 1e-5, 1e-3])
def test_a_column_that_hardly_varies_outside_one_fold(small: float) -> None:
    x, y, _ = data(90, 3)
    folds = np.arange(90) % 5
    odd = np.where(folds == 0, x[:, 0], small * x[:, 1]) + 0.1
    x = np.column_stack([x, odd])
    np.testing.assert_allclose(
        ridge_inner_losses(x, y, folds, ALPHAS), slow_losses(x, y, folds), rtol=1e-4
    )


def test_missing_values_of_predicted_rows_are_the_mean() -> None:
    x, y, new = data(60, 4)
    new[0, 2] = np.nan
    found, alpha = fit_ridge(x, y, new, ALPHAS, np.arange(60) % 5)
    np.testing.assert_allclose(found, ridge_path(x, y, new, np.array([alpha]))[0])
    assert np.isfinite(found).all()


def test_a_matrix_that_rounding_made_indefinite_is_solved() -> None:
    gram = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-9]])
    found = solve_gram(gram, np.array([1.0, 1.0]), np.array([1e-12]))
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-3)


def test_no_features_predict_the_mean() -> None:
    empty = np.empty((6, 0))
    y = np.array([0.0, 0, 0, 1, 1, 0])
    found, _ = fit_ridge(empty, y, empty, ALPHAS[:1], np.zeros(6, dtype=int))
    np.testing.assert_allclose(found, 1 / 3)


@pytest.mark.parametrize("kind", ["mixed", "copies"])
def test_as_many_features_as_minirocket_has(kind: str) -> None:
    """Ten thousand correlated features of 60 rows: the choice and predictions of scikit-learn."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(90, 10))
    x = places @ rng.normal(size=(10, 9_996)) + rng.normal(size=(90, 9_996))
    y = places[:, 0] + 0.3 * rng.normal(size=90)
    x[:, 7] = 3.0  # constant
    if kind == "copies":
        x[1], y[1] = x[0], y[0]
    x, new = x[:60], x[60:]
    folds = np.arange(60) % 5
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge(solver="svd")), {"ridge__alpha": ALPHAS},
        cv=PredefinedSplit(folds), scoring="neg_mean_squared_error",
    ).fit(x, y[:60])  # fmt: skip
    found, alpha = fit_ridge(x, y[:60], new, ALPHAS, folds)
    assert alpha == search.best_params_["ridge__alpha"]
    np.testing.assert_allclose(found, search.predict(new), rtol=1e-8, atol=1e-8)
    assert np.corrcoef(found, y[60:])[0, 1] > 0.8


def test_gram_matrices_of_very_many_features_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, new = data(90, 8)
    folds = np.arange(90) % 5
    assert ridge.is_tall(x)
    expected = fit_ridge(x, y, new, ALPHAS, folds)
    monkeypatch.setattr(ridge, "WIDEST", 7)
    assert not ridge.is_tall(x)
    found = fit_ridge(x, y, new, ALPHAS, folds)
    assert found[1] == expected[1]
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-8)
