from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.filters import Filter
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.preprocess import Preprocessed
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.resample import resample
from medssl.ingest.waveforms.segment import cut, left_out

TOLERANCE = 1e-6
"""Of the largest sample: what differs between a recording in blocks and in one piece."""


def wander(samples, channels=1, *, seed=0, offset=0.0):
    """A signal with drift, an offset and noise: the hard case for parts that must fit."""
    draw = np.random.default_rng(seed)
    drift = draw.normal(size=(channels, samples)).cumsum(axis=1) / 30
    return drift + draw.normal(size=(channels, samples)) + offset


def counted(signal, rate, channels, asked):
    """A track that notes which ranges were read."""

    def read(start, stop):
        assert 0 <= start <= stop <= signal.shape[1]
        asked.append((start, stop))
        return signal[:, start:stop]

    return Track(channels=channels, rate=rate, length=signal.shape[1], read=read)


def recording(signal, rate, asked=None):
    asked = [] if asked is None else asked
    names = tuple(f"c{number}" for number in range(len(signal)))
    return Recording(tracks=(counted(signal, rate, names, asked),), units="mV")


def joined(signal, *, length, step):
    """Segments and their starts, as ingest would store them."""
    starts, segments = [], []
    for block in signal.blocks(length=length, step=step):
        pieces = cut(block.signal, length=length, step=step)
        starts.append(block.start + pieces.starts)
        segments.append(pieces.segments)
    return np.concatenate(starts), np.concatenate(segments), len(segments)


FILTERS = [None, Filter(low=2, high=20), Filter(high=20, order=2), Filter(low=1), Filter(notch=25)]


@settings(max_examples=60, deadline=None)
@given(
    rates=st.sampled_from([(100, 64), (64, 100), (90, 32), (100, 100), (62.5, 50)]),
    length=st.integers(20, 300),
    overlap=st.integers(0, 299),
    filter=st.sampled_from(FILTERS),
    gaps=st.lists(st.tuples(st.integers(0, 19_000), st.integers(1, 400)), max_size=4),
    samples=st.integers(8_000, 20_000),
    block=st.integers(1_500, 4_000),
)
def test_blocks_give_what_the_whole_gives(rates, length, overlap, filter, gaps, samples, block):
    values = wander(samples, 2, offset=500.0)
    for number, (start, long) in enumerate(gaps):
        values[number % 2, start : start + long] = np.nan
    step = max(1, length - overlap)
    whole = Preprocessed(recording(values, rates[0]), rates[1], filter)
    parts = Preprocessed(recording(values, rates[0]), rates[1], filter, block_bytes=8 * block)
    starts, segments, count = joined(whole, length=length, step=step)
    found, pieces, blocks = joined(parts, length=length, step=step)
    assert count == 1
    assert blocks > 1
    np.testing.assert_array_equal(found, starts)
    scale = np.nanmax(np.abs(values))
    np.testing.assert_allclose(pieces, segments, rtol=0, atol=TOLERANCE * scale)
    (only,) = whole.blocks(length=length, step=step)
    expected = cut(only.signal, length=length, step=step)
    assert left_out(found, time=parts.length, length=length, step=step) == (
        expected.tail, expected.gaps,
    )  # fmt: skip


def test_a_recording_of_one_block_is_resampled_as_one_array():
    values = wander(5_000, 3, offset=-4.0)
    values[1, 700] = np.nan
    (block,) = Preprocessed(recording(values, 500), 128).blocks(length=128, step=128)
    np.testing.assert_array_equal(block.signal, resample(values, from_rate=500, to_rate=128))
    assert block.start == 0


def test_a_recording_of_one_block_is_read_once():
    asked = []
    list(Preprocessed(recording(wander(5_000), 500, asked), 128).blocks(length=128, step=128))
    assert asked == [(0, 5_000)]


def test_no_read_is_longer_than_a_block_and_its_margins():
    asked = []
    signal = Preprocessed(recording(wander(100_000), 100, asked), 64, block_bytes=8 * 2_000)
    list(signal.blocks(length=100, step=50))
    longest = max(stop - start for start, stop in asked)
    assert longest < 2_000 + 200
    assert sum(stop - start for start, stop in asked) < 2.5 * 100_000


def test_equal_rates_without_a_filter_are_read_once_and_left_alone():
    asked = []
    values = wander(10_000)
    signal = Preprocessed(recording(values, 100, asked), 100, block_bytes=8 * 1_000)
    _, segments, _ = joined(signal, length=100, step=100)
    np.testing.assert_array_equal(segments.reshape(-1), values[0].astype(np.float32))
    assert sum(stop - start for start, stop in asked) == 10_000


def test_a_filter_comes_before_resampling():
    values = wander(4_000)
    chosen = Filter(low=0.5, high=20)
    found = Preprocessed(recording(values, 250), 100, chosen).read(0, 1_600)
    expected = resample(chosen.apply(values, 250), from_rate=250, to_rate=100, level=0.0)
    np.testing.assert_array_equal(found, expected)


def test_a_filter_that_passes_offsets_leaves_no_step_at_the_ends():
    values = np.full((1, 4_000), 1e5)
    found = Preprocessed(recording(values, 250), 100, Filter(high=20)).read(0, 1_600)
    np.testing.assert_allclose(found, 1e5, rtol=1e-6)


def test_channels_of_several_rates_come_to_one():
    slow, fast = wander(1_000, 1), wander(4_003, 2, seed=1)
    tracks = (counted(slow, 125, ("resp",), []), counted(fast, 500, ("I", "II"), []))
    for size in (64 * 2**20, 8 * 1_200):
        signal = Preprocessed(Recording(tracks=tracks, units="mV"), 100, block_bytes=size)
        assert signal.length == 800
        _, segments, count = joined(signal, length=80, step=80)
        assert (count == 1) == (size > 10_000)
        stacked = np.concatenate(segments, axis=1)
        np.testing.assert_allclose(
            stacked[:1], resample(slow, from_rate=125, to_rate=100), atol=1e-5
        )
        np.testing.assert_allclose(
            stacked[1:], resample(fast, from_rate=500, to_rate=100)[:, :800], atol=1e-5
        )


def test_an_interpolated_sample_marks_those_that_rest_on_it():
    mask = np.zeros(1_000, dtype=bool)
    mask[500] = True
    one = Recording.of(wander(1_000), rate=100, channels=("a",), units="mV", filled=mask)
    (block,) = Preprocessed(one, 50).blocks(length=50, step=50)
    assert np.flatnonzero(block.filled).tolist() == [250]
    (block,) = Preprocessed(one, 150).blocks(length=50, step=50)
    assert np.flatnonzero(block.filled).tolist() == [749, 750, 751]
    (block,) = Preprocessed(recording(wander(1_000), 100), 50).blocks(length=50, step=50)
    assert block.filled is None


def test_a_rate_that_does_not_go_is_a_verdict():
    with pytest.raises(Unreadable) as verdict:
        Preprocessed(recording(wander(100), 99.9999), 64)
    assert verdict.value.reason is Reason.UNSUPPORTED_FORMAT
    with pytest.raises(Unreadable) as verdict:
        Preprocessed(recording(wander(100), 60), 60, Filter(high=40))
    assert verdict.value.reason is Reason.FILTER_TOO_HIGH
    assert verdict.value.detail == "recorded at 60 Hz, and the filter reaches 40 Hz"


def test_nothing_is_read_of_a_recording_without_a_window():
    asked = []
    assert not list(Preprocessed(recording(wander(99), 100, asked), 100).blocks(length=100, step=1))
    assert asked == []
