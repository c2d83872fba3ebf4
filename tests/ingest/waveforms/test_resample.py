from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import medssl
from medssl.errors import IngestError
from medssl.ingest.waveforms.resample import factors, resample


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((125, 64), (64, 125)), ((500, 128), (32, 125)), ((360, 128), (16, 45)),
        ((300, 128), (32, 75)), ((62.4725, 62.4725), (1, 1)), ((0.1, 0.3), (3, 1)),
    ],
)  # fmt: skip
def test_factors_are_exact(pair, expected):
    assert factors(*pair) == expected


@pytest.mark.parametrize(("from_rate", "to_rate"), [(1000, 64), (500, 128), (125, 128), (64, 256)])
def test_a_sine_keeps_its_frequency_phase_amplitude_and_offset(from_rate, to_rate):
    def sine(rate, seconds=8):
        return 2000 + 300 * np.sin(2 * np.pi * 3 * np.arange(round(seconds * rate)) / rate + 0.4)

    found = resample(sine(from_rate)[None], from_rate=from_rate, to_rate=to_rate)[0]
    expected = sine(to_rate)[: len(found)]
    inside = slice(to_rate, -to_rate)
    assert np.abs(found[inside] - expected[inside]).max() < 0.005 * 300


def test_a_large_constant_has_no_step_at_the_ends():
    found = resample(np.full((2, 1000), 2000.0), from_rate=1000, to_rate=64)
    np.testing.assert_array_equal(found, np.full((2, 64), 2000.0, dtype=np.float32))


@given(
    length=st.integers(1, 400), from_rate=st.integers(1, 50), to_rate=st.integers(1, 50)
)  # fmt: skip
def test_length_is_the_ceiling_and_the_type_float32(length, from_rate, to_rate):
    found = resample(np.zeros((1, length)), from_rate=from_rate, to_rate=to_rate)
    assert found.shape == (1, -(-length * to_rate // from_rate))
    assert found.dtype == np.float32


def test_equal_rates_change_nothing():
    array = np.random.default_rng(0).normal(size=(2, 50))
    found = resample(array, from_rate=64, to_rate=64.0)
    np.testing.assert_array_equal(found, array.astype(np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_sample_stays_missing_and_spreads_no_further_than_the_filter(bad):
    array = np.ones((1, 4000))
    array[0, 2000] = bad
    found = resample(array, from_rate=500, to_rate=128)
    missing = np.flatnonzero(~np.isfinite(found[0]))
    assert 512 in missing
    # The filter reaches ten samples of the slower rate to either side.
    assert missing.min() >= 512 - 11
    assert missing.max() <= 512 + 11


@pytest.mark.parametrize("rates", [(0, 64), (64, -1), (np.nan, 64), (1000.001, 64)])
def test_impossible_rates_are_refused_in_one_line(rates):
    with pytest.raises(IngestError) as error:
        resample(np.zeros((1, 8)), from_rate=rates[0], to_rate=rates[1])
    assert "\n" not in str(error.value)


def test_it_is_public():
    assert medssl.resample is resample
