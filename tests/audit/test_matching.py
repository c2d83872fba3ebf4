from __future__ import annotations

import numpy as np
import pytest

from medssl.audit.matching import (
    CEILING,
    FLOOR,
    copy_threshold,
    lagged_distance,
    nearest_matches,
)


def slow_distance(left: np.ndarray, right: np.ndarray, reach: int) -> tuple[float, int]:
    """The same definition, lag by lag, at whole lags, for one channel."""
    a, b = np.diff(left), np.diff(right)
    best = (2.0, 0)
    for lag in range(-reach, reach + 1):
        x, y = (a[lag:], b[: len(b) - lag]) if lag >= 0 else (a[:lag], b[-lag:])
        best = min(best, (1 - float(x @ y / np.sqrt((x @ x) * (y @ y))), lag))
    return best


@pytest.mark.parametrize("lag", [-9, 0, 13])
def test_distance_equals_a_loop_over_lags(lag: int) -> None:
    wave = np.cumsum(np.random.default_rng(0).normal(size=400))
    left, right = wave[50 + lag : 250 + lag], wave[50:250]
    right = 4 * right + 7 + 0.3 * np.random.default_rng(1).normal(size=200)
    distance, found = lagged_distance(left[None, None], right[None, None], tolerance=0.1)
    expected, at = slow_distance(left, right, 19)
    assert found[0] == pytest.approx(at, abs=0.5)
    # Quarter lags can only come nearer than whole ones.
    assert expected - 0.05 < distance[0] <= expected + 1e-9
    assert at == -lag


def test_distance_of_unrelated_noise_is_about_one() -> None:
    generator = np.random.default_rng(0)
    pair = generator.normal(size=(2, 50, 2, 300))
    distance, _ = lagged_distance(pair[0], pair[1], tolerance=0.1)
    assert np.all((distance > 0.6) & (distance < 1.0))


def test_nearest_matches_never_meets_the_same_participant() -> None:
    generator = np.random.default_rng(0)
    waves = generator.normal(size=(12, 1, 300))
    waves[1] = waves[0]
    people = np.array(["a", "a", *"bbccddeeff"])
    matches = nearest_matches(lambda at: waves[at], people)
    assert [m.position for m in matches] == list(range(12))
    assert all(people[m.position] != people[m.partner] for m in matches)
    assert min(m.distance for m in matches) > 0.3


def test_flat_and_broken_waves_are_left_out() -> None:
    """Two loose electrodes differ by the ripples of resampling only, and are no shared signal."""
    waves = np.random.default_rng(0).normal(size=(6, 1, 200))
    ripples = 1e-6 * np.exp(-np.arange(200.0)) * np.cos(np.arange(200.0))
    waves[1], waves[2] = -0.005 + ripples, -0.005 + 3 * ripples
    waves[4, 0, 3] = np.nan
    matches = nearest_matches(lambda at: waves[at], np.array(list("abcdef")))
    assert [m.position for m in matches] == [0, 3, 5]


def test_a_spike_that_two_signals_share_does_not_make_them_one() -> None:
    waves = np.random.default_rng(0).normal(size=(2, 1, 1, 300))
    waves[:, 0, 0, 120] += 200.0
    assert lagged_distance(waves[0], waves[1], tolerance=0.1)[0][0] > 0.5


def test_one_participant_has_nobody_to_meet() -> None:
    waves = np.random.default_rng(0).normal(size=(4, 1, 100))
    assert nearest_matches(lambda at: waves[at], np.array(["a"] * 4)) == []


def test_threshold_keeps_its_promise_on_power_law_tails() -> None:
    """Of 200 clean data sets of 500 records, about expected_false · 200 have one below it."""
    generator = np.random.default_rng(0)
    ratios = generator.uniform(size=(200, 500)) ** (1 / 8)
    false = sum(int((row < copy_threshold(row, expected_false=0.05)).sum()) for row in ratios)
    assert false <= 25


def test_threshold_is_not_moved_by_copies_nor_made_of_too_little() -> None:
    clean = np.random.default_rng(0).uniform(size=300) ** (1 / 4)
    with_copies = np.concatenate([clean, np.full(30, 1e-3)])
    assert copy_threshold(with_copies) == copy_threshold(clean) <= CEILING
    assert copy_threshold(clean[:10]) == 0.0
    assert FLOOR > 0
