from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import signal

from medssl.filters import Filter

RATE = 250.0


def tone(frequency, seconds=20, rate=RATE):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)[None]


def gain(settings, frequency):
    """What is left of a tone, away from the ends."""
    filtered = settings.apply(tone(frequency), RATE)
    middle = slice(round(7 * RATE), round(13 * RATE))
    return np.sqrt(2) * filtered[0, middle].std()


@pytest.mark.parametrize(
    ("settings", "kept", "gone"),
    [
        (Filter(low=0.5, high=40), (2, 10, 25), (0.1, 90)),
        (Filter(low=5), (15, 60), (0.5,)),
        (Filter(high=40), (0.5, 10), (100,)),
        (Filter(notch=50), (10, 40, 60), (50,)),
        (Filter(low=0.5, high=100, notch=60), (2, 30, 50), (60, 0.1)),
    ],
)
def test_it_keeps_its_band_and_takes_out_the_rest(settings, kept, gone):
    assert [gain(settings, frequency) for frequency in kept] == pytest.approx(
        [1] * len(kept), abs=0.05
    )
    assert [gain(settings, frequency) for frequency in gone] == pytest.approx(
        [0] * len(gone), abs=0.02
    )


def test_an_edge_is_where_half_the_amplitude_is_left():
    # |H|² of a Butterworth filter is 1/2 at its edge; both directions multiply to it.
    assert gain(Filter(low=5), 5) == pytest.approx(0.5, abs=0.01)
    assert gain(Filter(high=40, order=2), 40) == pytest.approx(0.5, abs=0.01)


def test_it_is_what_scipy_does_with_the_same_settings():
    values = np.random.default_rng(0).normal(size=(2, 5000))
    sections = signal.butter(3, [0.5, 40], "bandpass", fs=RATE, output="sos")
    np.testing.assert_allclose(
        Filter(low=0.5, high=40, order=3).apply(values, RATE),
        signal.sosfiltfilt(sections, values),
        rtol=1e-12,
    )


def test_nothing_is_shifted_in_time():
    bump = np.exp(-(((np.arange(2001) - 1000) / 20) ** 2))[None]
    for chosen in (Filter(low=0.5, high=20), Filter(high=10), Filter(notch=50)):
        filtered = chosen.apply(bump, RATE)[0]
        assert filtered.argmax() == 1000
        np.testing.assert_allclose(filtered, filtered[::-1], atol=5e-3)


@pytest.mark.parametrize(
    "settings", [Filter(low=0.5), Filter(low=0.5, high=40), Filter(high=40, notch=50)]
)
def test_a_constant_stays_or_goes_as_it_says(settings):
    filtered = settings.apply(np.full((1, 3000), 2048.0), RATE)
    np.testing.assert_allclose(filtered, 2048.0 if settings.passes_offset else 0.0, atol=1e-6)


def test_gaps_stay_gaps_and_each_piece_is_filtered_alone():
    settings = Filter(low=1, high=40)
    values = np.random.default_rng(1).normal(size=(2, 4000))
    values[0, 1000:1010] = np.nan
    values[0, 2500] = np.inf
    filtered = settings.apply(values, RATE)
    assert np.isnan(filtered[0, 1000:1010]).all()
    assert np.isnan(filtered[0, 2500])
    assert np.isfinite(filtered).sum() == 2 * 4000 - 11
    for start, stop in ((0, 1000), (1010, 2500), (2501, 4000)):
        np.testing.assert_array_equal(
            filtered[0, start:stop], settings.apply(values[:1, start:stop], RATE)[0]
        )
    np.testing.assert_array_equal(filtered[1], settings.apply(values[1:], RATE)[0])


def test_a_piece_no_longer_than_the_mirrored_ends_stays_missing():
    settings = Filter(low=1, high=40)
    padding = settings.padding(RATE)
    values = np.random.default_rng(2).normal(size=(1, 1000))
    values[0, [200, 201 + padding, 203 + 2 * padding]] = np.nan
    there = np.isfinite(settings.apply(values, RATE)[0])
    assert not there[200 : 202 + padding].any()
    assert there[202 + padding : 203 + 2 * padding].all()
    assert there[:200].all()
    assert np.isnan(settings.apply(values[:, :padding], RATE)).all()
    assert settings.apply(values[:, :0], RATE).shape == (1, 0)


@pytest.mark.parametrize(
    "settings",
    [
        Filter(low=0.05, high=40), Filter(low=0.5, order=8), Filter(high=3, order=1),
        Filter(notch=50), Filter(low=0.5, high=40, notch=50),
    ],
)  # fmt: skip
def test_beyond_its_reach_a_disturbance_is_gone(settings):
    reach = settings.reach(RATE)
    values = np.random.default_rng(3).normal(size=(1, 3 * reach)).cumsum(axis=1)
    cut = settings.apply(values[:, reach:], RATE)[:, reach:]
    whole = settings.apply(values, RATE)[:, 2 * reach :]
    assert np.abs(cut - whole).max() < 1e-6 * np.abs(values).max()
    assert reach > settings.padding(RATE)


@given(
    low=st.none() | st.floats(0.01, 50),
    high=st.none() | st.floats(0.5, 100),
    order=st.integers(1, 8),
    notch=st.none() | st.sampled_from([50.0, 60.0]),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_allowed_gives_finite_numbers(low, high, order, notch):
    try:
        chosen = Filter(low=low, high=high, order=order, notch=notch)
    except ValidationError:
        return
    assert Filter.parse(chosen.text) == chosen
    if low is not None and high is not None and high < 1.05 * low:
        return  # a band of no width at all passes nothing
    values = np.random.default_rng(4).normal(size=(1, 2000)) * 1e3 + 1e6
    filtered = chosen.apply(values, RATE)
    assert np.isfinite(filtered).all()
    assert np.abs(filtered).max() < 1e7


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "give the filter an edge"),
        ({"low": 40, "high": 0.5}, "must be below high"),
        ({"low": 0}, "greater than or equal to 0.01"),
        ({"high": -1}, "greater than 0"),
        ({"high": float("inf")}, "finite number"),
        ({"high": 40, "order": 0}, "greater than or equal to 1"),
        ({"high": 40, "lo": 1}, "Extra inputs"),
    ],
)
def test_settings_without_sense_are_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        Filter.model_validate(values)


def test_a_rate_fits_when_its_half_is_above_every_edge():
    assert Filter(high=40).fits(81)
    assert not Filter(high=40).fits(80)
    assert not Filter(low=0.5, high=20, notch=50).fits(100)
    assert Filter(low=0.5).fits(100)


def test_its_text_is_stable():
    assert Filter(low=0.5, high=40).text == '{"high": 40.0, "low": 0.5, "order": 4}'
    assert Filter(notch=50).label == "notch at 50 Hz (Q = 30), zero phase"
    assert Filter(high=40, order=2).label == "below 40 Hz, Butterworth of order 2, zero phase"
