from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import silhouette_samples as reference_silhouette

from medssl.evaluation.mixing import (
    expected_lisi,
    inverse_simpson,
    neighbourhoods,
    normalised_lisi,
    silhouette_samples,
)


def blobs(count: int = 240, *, apart: float, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    codes = np.arange(count) % labels
    z = generator.normal(size=(count, 5))
    z[:, 0] += apart * codes
    return z, np.array(["abc"[code] for code in codes])


def slow_lisi(z: np.ndarray, labels: np.ndarray, people: np.ndarray, perplexity: float) -> list:
    """The definition, one row at a time, the width found by a root finder."""
    found = []
    for i in range(len(z)):
        distances = np.linalg.norm(z - z[i], axis=1)
        others = np.flatnonzero(people != people[i])
        k = int(3 * perplexity)
        near = others[np.argsort(distances[others])][:k]
        d = distances[near]

        def weights(log_beta: float, d: np.ndarray = d) -> np.ndarray:
            p = np.exp(-math.exp(log_beta) * (d - d.min()))
            return p / p.sum()

        def gap(log_beta: float, weights=weights) -> float:
            p = weights(log_beta)
            return float(-(p * np.log(p)).sum()) - math.log(perplexity)

        p = weights(brentq(gap, -6, 4))
        shares = [p[labels[near] == label].sum() for label in np.unique(labels)]
        found.append(1 / sum(share**2 for share in shares))
    return found


@pytest.mark.parametrize("apart", [0.0, 2.0])
def test_silhouette_is_that_of_scikit_learn(apart: float) -> None:
    z, labels = blobs(apart=apart)
    np.testing.assert_allclose(silhouette_samples(z, labels), reference_silhouette(z, labels))


def test_silhouette_leaves_rows_of_one_participant_out() -> None:
    z, labels = blobs(120, apart=1.0)
    people = np.array([f"p{i % 40}" for i in range(120)])
    found = silhouette_samples(z, labels, people)
    for i in range(120):
        others = people != people[i]
        distances = np.linalg.norm(z - z[i], axis=1)
        means = {k: distances[others & (labels == k)].mean() for k in "abc"}
        a = means.pop(str(labels[i]))
        b = min(means.values())
        assert found[i] == pytest.approx((b - a) / max(a, b))


def test_silhouette_edges() -> None:
    with pytest.raises(ValueError, match="two labels"):
        silhouette_samples(np.ones((3, 2)), np.array(["a", "a", "a"]))
    lonely = silhouette_samples(np.array([[0.0], [1.0], [5.0]]), np.array(["a", "a", "b"]))
    assert lonely[2] == 0
    assert (silhouette_samples(np.ones((4, 2)), np.array(["a", "a", "b", "b"])) == 0).all()


def lisi(
    z: np.ndarray, labels: np.ndarray, people: np.ndarray | None = None, perplexity: float = 30.0
) -> np.ndarray:
    return inverse_simpson(labels, neighbourhoods(z, people, perplexity=perplexity))


@pytest.mark.parametrize("repeated", [False, True])
def test_lisi_is_its_definition(repeated: bool) -> None:
    z, labels = blobs(120, apart=1.5)
    people = np.array([f"p{i // 3 if repeated else i}" for i in range(120)])
    wanted = slow_lisi(z, labels, people, 10.0)
    np.testing.assert_allclose(lisi(z, labels, people, perplexity=10.0), wanted, rtol=1e-4)


def test_lisi_does_not_see_an_offset() -> None:
    z, labels = blobs(apart=1.0)
    np.testing.assert_allclose(lisi(z + 1000.0, labels), lisi(z, labels), rtol=1e-6)


def test_separated_is_one_and_mixed_is_what_chance_gives() -> None:
    z, labels = blobs(300, apart=100.0)
    assert lisi(z, labels, perplexity=20.0).max() == pytest.approx(1.0, abs=1e-6)
    z, labels = blobs(300, apart=0.0)
    near = neighbourhoods(z)
    assert near.perplexity == 30
    expected = expected_lisi(labels, near)
    assert inverse_simpson(labels, near).mean() == pytest.approx(expected, rel=0.03)
    # E Σ p² = Σ π² + (1 − Σ π²) Σ w² for labels drawn independently.
    squared = float((near.weights**2).sum(axis=1).mean())
    assert expected == pytest.approx(1 / (1 / 3 + 2 / 3 * squared), rel=0.03)


def test_unequal_labels_are_expected_to_mix_less() -> None:
    z, _ = blobs(300, apart=0.0)
    rare = np.array(["a"] * 270 + ["b"] * 30)
    assert expected_lisi(rare, neighbourhoods(z)) == pytest.approx(1 / (0.81 + 0.01), rel=0.05)
    assert normalised_lisi(np.array([1.22]), 2)[0] == pytest.approx(0.22)


def test_few_rows_and_equal_rows_are_finite() -> None:
    near = neighbourhoods(np.ones((4, 2)))
    np.testing.assert_allclose(near.weights, 1 / 3)
    assert np.isfinite(lisi(np.array([[0.0], [1.0]]), np.array(["a", "b"]))).all()
    with pytest.raises(ValueError, match="two participants"):
        neighbourhoods(np.ones((3, 2)), np.array(["p", "p", "p"]))


def test_perplexity_is_met() -> None:
    z, _ = blobs(apart=0.0)
    weights = neighbourhoods(z, perplexity=12.0).weights
    entropy = -(weights * np.log(weights)).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), 12.0, rtol=1e-6)
