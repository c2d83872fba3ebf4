from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.rank import (
    effective_rank_difference,
    effective_rank_interval,
    singular_values,
)
from medssl.evaluation.representation import (
    alignment,
    dead_dimensions,
    effective_rank,
    participant_alignment,
    participant_dispersion_ratio,
    rankme,
    summarise,
    uniformity,
)
from medssl.evaluation.statistics import resample


def slow_rank(z: np.ndarray, eps: float = 0.0) -> float:
    sigma = np.linalg.svd(z, compute_uv=False)
    p = sigma / sigma.sum() + eps
    return float(np.exp(-sum(x * np.log(x) for x in p if x > 0)))


@pytest.mark.parametrize("shape", [(300, 20), (20, 300), (20, 20)])
def test_ranks_equal_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    z = np.random.default_rng(0).normal(size=shape) * np.geomspace(1, 1e-3, shape[1]) + 0.5
    assert effective_rank(z, centred=False) == pytest.approx(slow_rank(z), rel=1e-6)
    assert effective_rank(z, centred=True) == pytest.approx(slow_rank(z - z.mean(0)), rel=1e-5)
    assert rankme(z, centred=False) == pytest.approx(slow_rank(z, 1e-7), rel=1e-6)


def test_orthonormal_rows_have_their_number_as_rank() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(256, 8)))[0].T
    z = np.repeat(basis, 40, axis=0)
    assert effective_rank(z, centred=False) == pytest.approx(8, abs=1e-9)
    assert np.count_nonzero(singular_values(z)) == 8


def test_ranks_of_published_checks() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 8)) @ np.linalg.qr(rng.normal(size=(256, 8)))[0].T
    assert rankme(z, centred=False) == pytest.approx(7.97, abs=0.05)
    assert rankme(z + 20, centred=False) < 4
    assert rankme(z + 20, centred=True) == pytest.approx(7.97, abs=0.05)
    assert rankme(rng.normal(size=(128, 256)), centred=False) == pytest.approx(118, abs=2)
    assert rankme(z, centred=False, eps=1e-5) > rankme(z, centred=False)


def test_rank_is_blind_to_scale_and_rotation() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(100, 6)) * [5, 4, 3, 2, 1, 0.5]
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    expected = effective_rank(z, centred=False)
    assert effective_rank(1e-4 * z @ rotation, centred=False) == pytest.approx(expected)


def test_rank_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not defined"):
        effective_rank(np.zeros((4, 3)), centred=False)
    with pytest.raises(ValueError, match="not defined"):
        rankme(np.ones((4, 3)), centred=True)


@pytest.mark.parametrize("centred", [False, True])
def test_rank_interval_leaves_groups_out(centred: bool) -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(10).astype(str), 4)
    z = rng.normal(size=(40, 6)) + 2
    found = effective_rank_interval(z, owners, centred=centred)
    assert found.value == pytest.approx(effective_rank(z, centred=centred))
    left_out = [effective_rank(z[owners != name], centred=centred) for name in np.unique(owners)]
    error = np.sqrt(9 / 10 * np.var(left_out) * 10)
    assert found.high - found.value == pytest.approx(2.262157 * error, rel=1e-5)


def test_rank_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(40).astype(str), 3)
    z = rng.normal(size=(120, 8)) * np.geomspace(1, 0.05, 8)
    flatter = z @ np.diag(np.geomspace(1, 1.3, 8))
    found = effective_rank_difference(flatter, [z], owners, centred=True)
    expected = effective_rank(flatter, centred=True) - effective_rank(z, centred=True)
    assert found.value == pytest.approx(expected)
    alone = effective_rank_interval(z, owners, centred=True)
    assert found.low > 0
    assert found.high - found.low < 0.5 * (alone.high - alone.low)
    same = effective_rank_difference(z, [z, z], owners, centred=False)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_bootstrap_of_the_rank_would_miss_the_estimate() -> None:
    """Why the interval is a jackknife: replicates hold 63 % of the participants."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 50))
    owners = np.arange(60).astype(str)

    def rank(weights: np.ndarray) -> np.ndarray:
        return np.array([effective_rank(z * np.sqrt(w)[:, None], centred=False) for w in weights])

    naive = resample({"rank": rank}, owners, replicates=100).interval("rank")
    assert naive.high < naive.value
    ours = effective_rank_interval(z, owners, centred=False)
    assert ours.low < ours.value < ours.high


def test_alignment_equals_a_loop_over_pairs() -> None:
    rng = np.random.default_rng(0)
    owners = rng.choice(list("abcde"), size=25)
    owners[owners == "e"] = "a"
    owners[0] = "only one"
    z = rng.normal(size=(25, 4)) + 1
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = {
        name: np.mean(pdist(unit[owners == name], "sqeuclidean"))
        for name in np.unique(owners)
        if (owners == name).sum() > 1
    }
    names, values = participant_alignment(z, owners)
    assert dict(zip(names.tolist(), values, strict=True)) == pytest.approx(expected)
    assert alignment(z, owners) == pytest.approx(np.mean(list(expected.values())))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(1, 7), st.integers(0, 99))
def test_uniformity_equals_a_loop_over_pairs(n: int, block: int, seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=(n, 3))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = np.log(np.mean(np.exp(-2 * pdist(unit, "sqeuclidean"))))
    assert uniformity(z, block=block) == pytest.approx(expected)


def test_identical_rows_are_aligned_and_not_uniform() -> None:
    z = np.tile([1.0, 2.0], (6, 1))
    assert alignment(z, np.array(list("aabbcc"))) == pytest.approx(0)
    assert uniformity(z) == pytest.approx(0)


def test_dispersion_equals_its_formula_and_ignores_shift_and_scale() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.array(list("abcdef")), [2, 3, 4, 5, 1, 6])
    z = np.repeat(rng.normal(size=(6, 5)), [2, 3, 4, 5, 1, 6], axis=0) + rng.normal(size=(21, 5))
    several = [n for n in "abcdef" if (owners == n).sum() > 1]
    within = np.mean([z[owners == n].var(axis=0, ddof=1).sum() for n in several])
    means = np.stack([z[owners == n].mean(axis=0) for n in several])
    expected = within / means.var(axis=0, ddof=1).sum()
    assert participant_dispersion_ratio(z, owners) == pytest.approx(expected)
    assert participant_dispersion_ratio(100 + 7 * z, owners) == pytest.approx(expected)
    assert np.isnan(participant_dispersion_ratio(z, np.arange(21).astype(str)))


def test_dead_dimensions_are_scale_free() -> None:
    z = np.random.default_rng(0).normal(size=(50, 4))
    z[:, 2] = 3 + 1e-6 * z[:, 2]
    for scale in (1e-6, 1, 1e6):
        assert dead_dimensions(scale * z).tolist() == [False, False, True, False]
    assert dead_dimensions(np.ones((5, 2))).all()


def embeddings(values: np.ndarray, owners: np.ndarray) -> Embeddings:
    names = np.arange(len(values)).astype(str)
    return Embeddings(names, owners, np.full(len(values), "s"), values)


def test_summary_is_json_and_tells_sizes() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(30).astype(str), 3)
    z = np.repeat(rng.normal(size=(30, 8)), 3, axis=0) + 0.2 * rng.normal(size=(90, 8)) + 4
    found = json.loads(json.dumps(summarise(embeddings(z, owners), seed=1), allow_nan=False))
    assert (found["n"], found["d"], found["participants"]) == (90, 8, 30)
    assert found["participants_with_pairs"] == 30
    assert (
        found["uncentred"]["effective_rank"]["value"] < found["centred"]["effective_rank"]["value"]
    )
    for place in ("centred", "uncentred"):
        for name in ("effective_rank", "alignment"):
            interval = found[place][name]
            assert interval["low"] < interval["value"] < interval["high"]
    ratio = found["participant_dispersion_ratio"]
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert found["uncentred"]["alignment"]["n_participants"] == 30
    assert not found["collapsed"]
    assert found == json.loads(json.dumps(summarise(embeddings(z, owners), seed=1)))


def test_summary_of_a_collapsed_encoder_says_so() -> None:
    found = summarise(embeddings(np.full((12, 4), 0.3), np.repeat(list("abcd"), 3)))
    assert found["collapsed"]
    assert found["dead_dimensions"] == 4
    json.dumps(found, allow_nan=False)


def test_summary_without_pairs_has_no_alignment() -> None:
    z = np.random.default_rng(0).normal(size=(12, 4))
    found = summarise(embeddings(z, np.arange(12).astype(str)))
    assert found["participants_with_pairs"] == 0
    assert found["centred"]["alignment"]["value"] is None
    json.dumps(found, allow_nan=False)
