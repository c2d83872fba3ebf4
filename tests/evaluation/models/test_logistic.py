from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.miscmodels.ordinal_model import OrderedModel

from medssl.evaluation.models.logistic import fit_likelihood, inner_losses, likelihood_path

ALPHAS = np.logspace(5, -3, 9)


def rows(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, grades 0 to 3, and features to predict."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    z = x[:, 0] / x[:, 0].std() + 0.5 * rng.logistic(size=n)
    y = np.digitize(z, np.quantile(z, [0.2, 0.5, 0.8])).astype(float)
    return x, y, rng.normal(size=(11, d))


@pytest.mark.parametrize("shape", [(80, 5), (25, 40)])
@pytest.mark.parametrize("alpha", [0.03, 3.0])
def test_multinomial_is_that_of_scikit_learn(shape: tuple[int, int], alpha: float) -> None:
    x, y, new = rows(*shape)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / alpha, tol=1e-9, max_iter=20_000)
    ).fit(x, y)
    found = likelihood_path(x, y, new, np.array([alpha]), kind="multiclass", classes=4)[0]
    np.testing.assert_allclose(found, model.predict_proba(new), atol=2e-5)


@pytest.mark.parametrize("alpha", [0.03, 300.0])
def test_thousands_of_features_are_fitted_as_by_scikit_learn(alpha: float) -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(60, 5))
    x = places @ rng.normal(size=(5, 3_000)) + rng.normal(size=(60, 3_000))
    y = (places[:, 0] + 0.3 * rng.normal(size=60) > 0).astype(float)
    x, y, new = x[:40], y[:40], x[40:]
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / alpha, tol=1e-9, max_iter=20_000)
    ).fit(x, y)
    found = likelihood_path(x, y, new, np.array([alpha]), kind="binary")[0]
    np.testing.assert_allclose(found, model.decision_function(new), rtol=1e-4, atol=1e-4)


def test_proportional_odds_are_those_of_statsmodels() -> None:
    x, y, new = rows(200, 4)
    model = OrderedModel(y.astype(int), x, distr="logit").fit(method="bfgs", disp=0, gtol=1e-8)
    found = likelihood_path(x, y, new, np.array([1e-9]), kind="ordinal", classes=4)[0]
    np.testing.assert_allclose(found, model.predict(new), atol=1e-6)


def test_two_grades_are_logistic_regression() -> None:
    x, y, new = rows(60, 4)
    y = (y > 1).astype(float)
    odds = likelihood_path(x, y, new, ALPHAS, kind="binary")
    chances = likelihood_path(x, y, new, ALPHAS, kind="ordinal", classes=2)[:, :, 1]
    np.testing.assert_allclose(chances, 1 / (1 + np.exp(-odds)), atol=1e-7)


def test_the_penalty_is_that_of_a_grid_search() -> None:
    x, y, new = rows(120, 5)
    folds = np.arange(120) % 5
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=5000)),
        {"logisticregression__C": 1 / ALPHAS},
        cv=PredefinedSplit(folds), scoring="neg_log_loss",
    ).fit(x, y)  # fmt: skip
    found, alpha = fit_likelihood(x, y, new, ALPHAS, folds, kind="multiclass", classes=4)
    assert alpha == pytest.approx(1 / search.best_params_["logisticregression__C"])
    np.testing.assert_allclose(found, search.predict_proba(new), atol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "ordinal"])
def test_all_folds_at_once_are_as_one_by_one(kind: str) -> None:
    x, y, new = rows(100, 5)
    y = (y > 1).astype(float) if kind == "binary" else y
    # A constant column, and one that is constant outside fold 0.
    odd = np.where(np.arange(100) % 4 == 0, x[:, 0], 0.1)
    x, new = np.column_stack([x, np.full(100, 0.1), odd]), np.column_stack([new, new[:, :2]])
    folds, classes = np.arange(100) % 4, 2 if kind == "binary" else 4
    given = {"kind": kind, "classes": classes}
    slow = np.zeros(len(ALPHAS))
    for fold in range(4):
        held = folds == fold
        scores = likelihood_path(x[~held], y[~held], x[held], ALPHAS, **given)
        if kind == "binary":
            slow += (np.logaddexp(0, scores) - y[held] * scores).sum(axis=1)
        else:
            slow -= np.log(scores[:, np.arange(held.sum()), y[held].astype(int)]).sum(axis=1)
    np.testing.assert_allclose(inner_losses(x, y, folds, ALPHAS, **given), slow, rtol=1e-6)
    found, alpha = fit_likelihood(x, y, new, ALPHAS, folds, **given)
    assert alpha == ALPHAS[np.argmin(slow)]
    one = likelihood_path(x, y, new, np.array([alpha]), **given)[0]
    np.testing.assert_allclose(found, one, atol=1e-6)


@pytest.mark.parametrize("kind", ["multiclass", "ordinal"])
def test_classes_that_are_not_fitted_keep_a_small_chance(kind: str) -> None:
    x, y, new = rows(60, 3)
    y = np.where(y == 1, 2, y)
    found = likelihood_path(x, y, new, np.array([1.0]), kind=kind, classes=4)[0]
    np.testing.assert_allclose(found[:, 1], 0.5 / 62)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    folds = np.where(y == 3, 0, 1 + np.arange(60) % 3)  # a class that stands in one fold only
    assert np.isfinite(inner_losses(x, y, folds, ALPHAS, kind=kind, classes=4)).all()
    alone = likelihood_path(x, np.full(60, 2.0), new, ALPHAS, kind=kind, classes=4)
    assert alone.shape == (9, 11, 4)
    np.testing.assert_allclose(alone[..., 2], 60.5 / 62)


def test_nearly_separable_rows_converge() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 30))
    y = (x[:, 0] > 0).astype(float)
    tight = likelihood_path(x, y, x, np.array([1e-3]), kind="binary")[0]
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1e3, tol=1e-10, solver="newton-cholesky")
    ).fit(x, y)
    np.testing.assert_allclose(tight, model.decision_function(x), rtol=1e-4)


def test_no_features_give_the_shares() -> None:
    empty, y = np.empty((6, 0)), np.array([0.0, 0, 0, 1, 1, 2])
    found = likelihood_path(empty, y, empty[:2], ALPHAS[:1], kind="multiclass", classes=3)
    np.testing.assert_allclose(found, np.tile([1 / 2, 1 / 3, 1 / 6], (1, 2, 1)))
