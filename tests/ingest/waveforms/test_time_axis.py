from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.resample import factors
from medssl.ingest.waveforms.time_axis import even_rate, seconds_of, to_even


def sine(times):
    return np.sin(2 * np.pi * 1.2 * np.asarray(times))[None]


def jittered(*, count=600, rate=30.0, scale=0.004, seed=0):
    times = np.arange(count) / rate + np.random.default_rng(seed).normal(scale=scale, size=count)
    return np.sort(times)


def test_even_times_leave_the_samples_alone():
    times = 7 + np.arange(300) / 125
    signal = np.random.default_rng(0).normal(size=(2, 300))
    even = to_even(signal, times)
    assert even.rate == 125.0
    assert even.filled is None
    assert even.jitter < 1e-12
    np.testing.assert_array_equal(even.signal, signal)


def test_jitter_of_even_times_is_what_was_added():
    rng = np.random.default_rng(0)
    times = np.arange(5000) / 100 + rng.uniform(-0.002, 0.002, 5000)
    assert to_even(sine(times), times).jitter == pytest.approx(0.004 / np.sqrt(12), rel=0.05)


def test_uneven_samples_go_to_their_place_in_time():
    """The same curve, sampled unevenly and with lost frames, comes back where it was."""
    times = np.delete(jittered(), [100, 101, 250, 400])
    even = to_even(sine(times), times)
    assert even.rate == 30.0 or abs(even.rate - 30.0) < 0.6
    grid = times[0] + np.arange(even.signal.shape[1]) / even.rate
    np.testing.assert_allclose(even.signal, sine(grid), atol=0.03)
    # Taking the samples as even would be wrong by more than the whole amplitude.
    assert np.abs(sine(times)[:, :590] - sine(grid)[:, :590]).max() > 0.4


def test_interpolation_is_pchip_and_never_leaves_the_range_of_the_samples():
    times = np.array([0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.6, 0.7, 0.9, 1.0])
    signal = np.array([[0.0, 0, 0, 1, 1, 1, 0, 0, 0, 0]])
    even = to_even(signal, times, nominal=20, max_gap_seconds=1)
    grid = np.arange(21) / 20
    np.testing.assert_allclose(even.signal[0], PchipInterpolator(times, signal[0])(grid))
    assert even.signal.min() == 0.0
    assert even.signal.max() == 1.0


def test_gaps_are_missing_and_short_ones_are_marked():
    times = np.concatenate([np.arange(100), [103], np.arange(105, 200), np.arange(260, 400)]) / 50
    even = to_even(sine(times), times, max_gap_seconds=0.1)
    assert even.rate == 50.0
    assert even.signal.shape[1] == 400
    missing = np.flatnonzero(np.isnan(even.signal[0]))
    np.testing.assert_array_equal(missing, np.arange(200, 260))
    assert even.filled is not None
    np.testing.assert_array_equal(np.flatnonzero(even.filled), [100, 101, 102, 104])


def test_without_a_limit_four_intervals_are_bridged_and_five_are_not():
    for lost, missing in ((3, 0), (4, 4)):
        times = np.delete(np.arange(400), np.arange(100, 100 + lost)) / 50
        times = np.concatenate([times, times[-1] + np.array([3, 4]) / 50])  # makes it uneven
        even = to_even(sine(times), times)
        assert np.isnan(even.signal).sum() == missing


def test_a_missing_sample_stays_missing_in_its_own_channel():
    times = jittered(count=200)
    signal = np.vstack([sine(times), sine(times)])
    signal[0, 50] = np.nan
    even = to_even(signal, times, nominal=30)
    grid = times[0] + np.arange(even.signal.shape[1]) / 30
    beside = (grid > times[49]) & (grid < times[51])
    np.testing.assert_array_equal(np.isnan(even.signal[0]), beside)
    assert beside.any()
    assert np.isfinite(even.signal[1]).all()
    assert np.isnan(to_even(signal * np.nan, times).signal).all()


def test_a_declared_rate_is_the_rate_of_the_grid():
    times = jittered()
    assert to_even(sine(times), times, nominal=25).rate == 30.0  # even ones have their own
    times = np.delete(times, [50, 51])
    assert to_even(sine(times), times, nominal=25).rate == 25


def test_jitter_counts_lost_samples_as_lost_and_not_as_late():
    times = np.delete(np.arange(3000), np.arange(500, 3000, 250)) / 100
    assert to_even(sine(times), times).jitter == pytest.approx(0, abs=1e-9)
    late = times + 0.005 * (np.arange(len(times)) >= 1500)
    assert to_even(sine(late), late).jitter == pytest.approx(
        0.00125, rel=0.01
    )  # a quarter of the step


def test_samples_that_share_a_tick_are_spread_over_it():
    """A clock that ticks every 15 ms, and samples every 10 ms: heartpy's data3.csv."""
    true = np.arange(2000) / 100
    ticks = np.floor(true / 0.015) * 0.015
    ticks[1500:] += 5.0
    even = to_even(sine(true), ticks, nominal=100)
    assert even.rate == 100
    seconds = np.arange(1490) / 100
    # What is left is half a tick: the clock knows no better.
    np.testing.assert_allclose(even.signal[0, :1490], sine(seconds)[0], atol=0.12)
    assert np.isnan(even.signal[0, 1510:1990]).all()
    assert not even.filled[:1490].any()
    rate = to_even(sine(true[:1500]), np.delete(ticks, range(1500, 2000)) ** 1.001).rate
    assert rate == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize(
    ("times", "detail"),
    [
        ([0.0, np.nan, 0.2], "1 of 3 times are missing"),
        ([0.0, np.inf, 0.2], "1 of 3 times are missing"),
        ([0.3, 0.2, 0.1], "no two times in rising order"),
        ([1.0, 1.0], "no two times in rising order"),
        ([1.0], "no two times in rising order"),
        ([0.0, 0.1, 0.05, 0.3], "1 of 4 times fall"),
        ([0.0] * 9 + [1.0, 2.0], "9 samples at one time: the clock is too coarse"),
        ([0.0, 0.01, 0.02, 0.03, 3600.0], "gaps: 5 samples in 3.6e"),
    ],
)
def test_times_that_tell_no_order_are_refused_with_the_evidence(times, detail):
    with pytest.raises(Unreadable) as verdict:
        to_even(np.zeros((1, len(times))), np.array(times))
    assert verdict.value.reason is Reason.UNEVEN_TIME
    assert detail in verdict.value.detail


def test_units_and_dates_give_the_same_seconds():
    expected = [0.0, 0.5, 1.25]
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        start = 1.6e9 * factor
        values = start + np.array(expected) * factor
        np.testing.assert_allclose(seconds_of(values, unit), expected, atol=1e-6)
    texts = ["2016-11-24 13:58:58.5", "2016-11-24T13:58:59", "2016-11-24 14:58:59.75+01:00"]
    assert seconds_of(texts, "datetime").tolist() == expected
    assert np.isnan(seconds_of(["2016-11-24", "soon", None], "datetime")).tolist() == [0, 1, 1]


@pytest.mark.parametrize("rate", [30.00485436893204, 100 / 3, 116.98666666666666, 62.4725])
def test_rates_of_time_columns_can_be_resampled_from(rate):
    up, down = factors(rate, 64)
    assert up / down == pytest.approx(64 / rate, rel=1e-12)


def test_the_rate_is_the_simplest_one_that_rounded_times_allow():
    printed = np.array([float(f"{number / 125:.5g}") for number in range(20_001)])
    assert even_rate(printed) == 125.0
    assert even_rate(np.arange(256) / 25.6) == 25.6
