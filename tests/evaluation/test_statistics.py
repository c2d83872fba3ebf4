from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from medssl.evaluation.metrics import auroc, mae, partial_auroc
from medssl.evaluation.statistics import (
    JACKKNIFE,
    METHODS,
    Interval,
    WeightedMetric,
    bca_tails,
    bootstrap,
    draw_counts,
    jackknife_groups,
    jackknife_interval,
    resample,
)


def weighted_mean(values: np.ndarray) -> WeightedMetric:
    return lambda w: w @ values / w.sum(axis=1)


def test_equals_a_slow_loop_over_participants() -> None:
    rng = np.random.default_rng(0)
    owners = rng.choice(list("abcdefgh"), size=40)
    values = rng.normal(size=40)
    fast = bootstrap(weighted_mean(values), owners, replicates=200, seed=3, method="percentile")
    names = np.unique(owners)
    drawn = np.random.default_rng(3).integers(0, len(names), size=(200, len(names)))
    slow = []
    for draw in drawn:
        rows = np.concatenate([np.flatnonzero(owners == names[i]) for i in draw])
        slow.append(values[rows].mean())
    assert fast.value == pytest.approx(values.mean())
    assert (fast.low, fast.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))
    assert (fast.n_participants, fast.n_records) == (8, 40)


def test_copies_of_records_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(1)
    owners = np.repeat([f"p{i}" for i in range(30)], 2)
    values = rng.normal(size=60)
    once = bootstrap(weighted_mean(values), owners, seed=5)
    many = bootstrap(weighted_mean(np.repeat(values, 9)), np.repeat(owners, 9), seed=5)
    assert (many.low, many.high) == pytest.approx((once.low, once.high))
    assert many.n_participants == once.n_participants
    assert many.n_records == 9 * once.n_records


def test_interval_is_far_wider_than_that_over_records_when_records_agree() -> None:
    rng = np.random.default_rng(2)
    level = np.repeat(rng.normal(size=20), 50)
    owners = np.repeat([f"p{i}" for i in range(20)], 50)
    by_participant = bootstrap(weighted_mean(level), owners, seed=0)
    by_record = bootstrap(weighted_mean(level), np.arange(1000).astype(str), seed=0)
    ratio = (by_participant.high - by_participant.low) / (by_record.high - by_record.low)
    assert ratio > 5  # √50 ≈ 7.1 in expectation


def test_deterministic_in_seed_and_blind_to_row_order() -> None:
    rng = np.random.default_rng(4)
    owners, values = np.repeat(np.arange(25).astype(str), 2), rng.normal(size=50)
    first = bootstrap(weighted_mean(values), owners, seed=9)
    assert first == bootstrap(weighted_mean(values), owners, seed=9)
    assert first != bootstrap(weighted_mean(values), owners, seed=10)
    order = rng.permutation(50)
    shuffled = bootstrap(weighted_mean(values[order]), owners[order], seed=9)
    assert (shuffled.low, shuffled.high) == pytest.approx((first.low, first.high))


def test_coverage_of_a_mean_error() -> None:
    """Simulated: 40 participants, 3 correlated records each; the true MAE is E|N(0, s)|."""
    rng = np.random.default_rng(0)
    truth = np.sqrt(1.25) * np.sqrt(2 / np.pi)
    owners = np.repeat(np.arange(40).astype(str), 3)
    inside = 0
    for run in range(300):
        error = np.repeat(rng.normal(size=40), 3) + 0.5 * rng.normal(size=120)
        found = bootstrap(
            lambda w, error=error: mae(np.zeros(120), error, w), owners, replicates=300, seed=run
        )
        inside += found.low <= truth <= found.high
    assert 0.88 <= inside / 300 <= 0.98


def test_bca_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=25) ** 2
    owners = np.arange(25).astype(str)
    ours = bootstrap(weighted_mean(values), owners, replicates=40_000, seed=1)
    theirs = scipy_bootstrap(
        (values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)
    plain = bootstrap(weighted_mean(values), owners, replicates=40_000, seed=1, method="percentile")
    assert abs(plain.high - theirs.high) > 5 * abs(ours.high - theirs.high)
    assert "BCa" in ours.method
    assert "percentile" in plain.method


def test_leaving_out_groups_of_many_participants_gives_the_same_ends() -> None:
    values = np.random.default_rng(0).exponential(size=1500) ** 2
    owners = np.arange(1500).astype(str)
    found = resample({"m": weighted_mean(values)}, owners, replicates=2000, seed=1)
    assert len(found.left_out["m"]) == 500
    single = np.array([np.delete(values, i).mean() for i in range(1500)])
    tails = np.array([0.025, 0.975])
    one, many = (
        bca_tails(found.values["m"], found.draws["m"], x, tails)
        for x in (single, found.left_out["m"])
    )
    np.testing.assert_allclose(one, many, atol=0.004)


def test_bca_lies_too_high_less_often_for_partial_auroc() -> None:
    """Simulated: 20 and 20 participants, binormal, true standardised partial AUROC 0.6011.

    In 400 other runs the percentile interval lay above the truth in 12 % and BCa in 6 %; nominal
    is 2.5 %. Coverage was 0.87 and 0.92.
    """
    rng = np.random.default_rng(0)
    labels = np.repeat([0.0, 1.0], 20)
    owners = np.arange(40).astype(str)
    above = {"bca": 0, "percentile": 0}
    covered = 0
    for run in range(300):
        scores = labels + rng.normal(size=40)
        drawn = resample(
            {"p": lambda w, scores=scores: partial_auroc(labels, scores, w)},
            owners,
            replicates=300,
            seed=run,
        )
        for method in above:
            found = replace(drawn, method=method).interval("p")
            above[method] += found.low > 0.6011
            covered += method == "bca" and found.low <= 0.6011 <= found.high
    assert above["bca"] < 0.75 * above["percentile"]
    assert covered / 300 >= 0.88


def test_coverage_of_auroc() -> None:
    """Simulated: binormal scores with a true AUROC of Φ(1/√2) = 0.760."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0.0, 1.0], 40)
    inside = 0
    for run in range(200):
        scores = labels + rng.normal(size=80)
        found = bootstrap(
            lambda w, scores=scores: auroc(labels, scores, w),
            np.arange(80).astype(str),
            replicates=300,
            seed=run,
        )
        inside += found.low <= 0.76025 <= found.high
    assert 0.89 <= inside / 200 <= 0.985


def test_degenerate_replicates_are_drawn_again_and_counted() -> None:
    labels, scores = np.array([1.0, 0, 0, 0]), np.array([0.5, 0.1, 0.9, 0.2])
    found = resample(
        {"auroc": lambda w: auroc(labels, scores, w)}, np.array(list("abcd")), replicates=400
    )
    assert len(found.draws["auroc"]) == 400
    assert np.isfinite(found.draws["auroc"]).all()
    # Without the only positive: (3/4)⁴ = 0.316 of the draws; only negatives missing: 1/256.
    share = found.degenerate / (found.degenerate + 400)
    assert share == pytest.approx(0.32, abs=0.06)


def test_a_metric_that_is_never_defined_gives_no_interval_and_does_not_hang() -> None:
    labels, scores = np.zeros(3), np.array([0.1, 0.2, 0.3])
    found = resample(
        {"bad": lambda w: auroc(labels, scores, w), "good": weighted_mean(scores)},
        np.array(list("abc")),
        replicates=50,
    )
    assert np.isnan(found.interval("bad").low)
    assert found.interval("good").low < 0.2 < found.interval("good").high
    almost = resample(
        {"m": lambda w: np.where((w == 1).all(axis=1), 1.0, np.nan)},
        np.arange(30).astype(str),
        replicates=20,
    )
    assert np.isnan(almost.interval("m").low)
    assert almost.values["m"] == 1


def test_one_participant_gives_no_interval() -> None:
    found = bootstrap(weighted_mean(np.array([1.0, 2.0])), np.array(["a", "a"]))
    assert found.value == 1.5
    assert np.isnan(found.low)


def test_pairing_removes_what_both_predictors_share() -> None:
    rng = np.random.default_rng(0)
    owners = np.arange(60).astype(str)
    shared = 5 * rng.normal(size=60)
    good, bad = shared + 0.1 * rng.normal(size=60), shared + 0.1 * rng.normal(size=60) + 0.2
    both = {"good": weighted_mean(good), "bad": weighted_mean(bad)}
    drawn = resample(both, owners, seed=1)
    paired = drawn.difference("good", "bad")
    assert paired.value == pytest.approx(good.mean() - bad.mean())
    assert paired.high < 0
    alone = bootstrap(weighted_mean(good), owners, seed=1)
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low)
    same = drawn.difference("good", "good")
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert paired.excludes_zero
    assert not same.excludes_zero


def test_counts_sum_to_the_number_of_participants() -> None:
    counts = draw_counts(np.random.default_rng(0), 7, 500)
    assert counts.shape == (500, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(6 / 7, rel=0.1)


def test_jackknife_of_a_mean_is_its_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=20)
    left_out = np.array([np.delete(values, i).mean() for i in range(20)])
    found = jackknife_interval(values.mean(), left_out, participants=20, records=20)
    error = values.std(ddof=1) / np.sqrt(20)
    assert found.high - values.mean() == pytest.approx(2.0930 * error, rel=1e-4)
    assert found.method == JACKKNIFE


def test_jackknife_groups_keep_participants_whole_and_even() -> None:
    owners = np.repeat(np.arange(45).astype(str), 3)
    groups = jackknife_groups(owners, groups=20, seed=1)
    assert all(len(set(groups[owners == name])) == 1 for name in owners)
    sizes = np.bincount(groups[::3])
    assert len(sizes) == 20
    assert set(sizes.tolist()) <= {2, 3}


def test_interval_as_json_has_no_nan() -> None:
    found = Interval(1.0, float("nan"), float("nan"), 0.95, 1, 1).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["low"] is None


def test_a_thousand_replicates_of_twenty_thousand_participants_are_quick() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 20_000).astype(float)
    scores = labels + rng.normal(size=20_000)
    started = time.perf_counter()
    found = bootstrap(lambda w: auroc(labels, scores, w), np.arange(20_000).astype(str))
    assert time.perf_counter() - started < 20  # about 1 s on one idle core
    assert found.high - found.low < 0.02


def test_a_basic_interval_mirrors_the_percentiles() -> None:
    rng = np.random.default_rng(0)
    values, owners = rng.exponential(size=50), np.arange(50).astype(str)
    drawn = resample({"m": weighted_mean(values)}, owners, method="percentile", seed=1)
    plain, basic = drawn.interval("m"), drawn.interval("m", reading="basic")
    expected = (2 * plain.value - plain.high, 2 * plain.value - plain.low)
    assert (basic.low, basic.high) == pytest.approx(expected)
    assert (plain.method, basic.method) == (METHODS["percentile"], METHODS["basic"])
