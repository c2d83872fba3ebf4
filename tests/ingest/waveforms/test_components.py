from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from medssl.ingest.waveforms import components
from medssl.ingest.waveforms.components import (
    clipped_share,
    constant,
    flat_share,
    moments,
    raw_shares,
    worst,
)
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.resample import resample


def test_sample_and_hold_is_not_flat(ppg):
    held = np.repeat(ppg[0, 0, ::4], 4)
    assert flat_share(held, run=13) == 0.0


@given(
    signal=arrays(np.float64, st.integers(3, 40), elements=st.sampled_from([0.0, 1.0, 2.0])),
    run=st.integers(2, 6),
)
def test_flat_and_clipped_shares_agree_with_a_slow_count(signal, run):
    flat = clipped = start = 0
    for end in range(1, len(signal) + 1):
        if end == len(signal) or signal[end] != signal[start]:
            length = end - start
            flat += length if length >= run else 0
            at_end = signal[start] in (signal.min(), signal.max())
            clipped += length if at_end and length >= 3 else 0
            start = end
    if np.ptp(signal) == 0:
        assert flat_share(signal, run=run) == 1.0
        assert clipped_share(signal) == 1.0
    else:
        assert flat_share(signal, run=run) == pytest.approx(flat / len(signal))
        assert clipped_share(signal) == pytest.approx(clipped / len(signal))


def test_many_signals_at_once_are_each_on_its_own():
    signals = np.random.default_rng(0).integers(0, 3, (4, 3, 50)).astype(float)
    for function in (clipped_share, constant, lambda s: flat_share(s, run=4)):
        together = function(signals)
        assert together.shape == (4, 3)
        one_by_one = [[function(signal) for signal in row] for row in signals]
        np.testing.assert_array_equal(together, one_by_one)


@pytest.mark.parametrize("gain", [1e-15, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, -3.0])
def test_nothing_depends_on_units(ppg, gain, offset):
    """An absolute threshold fired on 0 of 64,697 windows of another project."""
    signal = ppg[0].astype(np.float64)
    signal = signal - signal.mean()
    signal[:, 40:90] = signal[:, 40:41]
    signal = np.minimum(signal, np.quantile(signal, 0.9))
    scaled = (signal + offset * np.ptp(signal)) * gain
    assert flat_share(scaled, run=13) == pytest.approx(50 / 128)
    assert clipped_share(scaled) == clipped_share(signal) > 0.05
    np.testing.assert_allclose(moments(scaled), moments(signal), rtol=1e-6)
    assert not constant(scaled)
    assert constant(np.full(128, gain) + offset * gain)


def test_moments_are_those_of_scipy():
    signals = np.random.default_rng(0).gamma(1.0, size=(5, 2, 300)) * 1e-4 + 7
    skewness, kurtosis = moments(signals)
    np.testing.assert_allclose(skewness, stats.skew(signals, axis=-1), rtol=1e-9)
    np.testing.assert_allclose(kurtosis, stats.kurtosis(signals, axis=-1, fisher=False), rtol=1e-9)


def test_moments_of_known_signals():
    noise = np.random.default_rng(0).normal(size=200_000)
    assert moments(noise) == pytest.approx((0.0, 3.0), abs=0.05)
    assert moments(np.sin(np.linspace(0, 2 * np.pi, 999))) == pytest.approx((0.0, 1.5), abs=0.01)
    assert moments(np.full(9, 3.0)) == (0.0, 0.0)
    spike = np.zeros(100)
    spike[50] = 1.0
    assert moments(spike)[1] == pytest.approx(100, rel=0.02)


def test_real_ecg_is_peaked_and_real_ppg_leans_up(ecg, ppg):
    assert np.median(moments(ecg)[1]) > 5
    assert np.median(moments(ppg)[1]) < 3
    assert np.mean(moments(ppg)[0] > 0) > 0.9


def test_clipping_is_seen_in_the_recording_and_gone_after_resampling(raw_ppg):
    tops = np.minimum(raw_ppg, np.quantile(raw_ppg, 0.8, axis=1, keepdims=True))
    after, before = [], []
    for signal in tops:
        recording = Recording.of(signal[None], rate=1000.0, channels=["ppg"], units="counts")
        before.append(raw_shares(recording, np.zeros(1), 2.0)["clipped"][0, 0])
        after.append(clipped_share(resample(signal[None], from_rate=1000, to_rate=64))[0])
    assert np.median(before) == pytest.approx(0.2, abs=0.03)
    assert max(after) == 0.0


def tracks(signals, rates, *, log=None):
    """A recording of several tracks, which notes the ranges that are read."""

    def reader(signal):
        def read(start, stop):
            assert 0 <= start < stop <= signal.shape[1]
            if log is not None:
                log.append(stop - start)
            return signal[:, start:stop]

        return read

    return Recording(
        units="mV",
        tracks=tuple(
            Track(
                channels=tuple(f"{rate}-{row}" for row in range(len(signal))), rate=rate,
                length=signal.shape[1], read=reader(signal),
            )
            for signal, rate in zip(signals, rates, strict=True)
        ),
    )  # fmt: skip


@pytest.mark.parametrize("span", [1, 700, 1 << 20])
def test_shares_of_segments_are_those_of_their_samples(monkeypatch, span):
    monkeypatch.setattr(components, "_SPAN", span)
    rng = np.random.default_rng(0)
    signals = [rng.integers(0, 4, (2, 600)).astype(float), rng.normal(size=(1, 301))]
    signals[0][1, 250:400] = 2.0
    signals[1][0, 100:130] = 9.0
    log = []
    starts = np.array([0.0, 0.5, 2.0, 4.0, 5.0])
    found = raw_shares(tracks(signals, (100.0, 50.0), log=log), starts, 1.0)
    for row, start in enumerate(starts):
        expected = []
        for signal, rate in zip(signals, (100, 50), strict=True):
            piece = signal[:, round(start * rate) :][:, :rate]
            run = max(3, round(0.2 * rate))
            expected += [(flat_share(one, run=run), clipped_share(one)) for one in piece]
        assert [*zip(found["flat"][row], found["clipped"][row], strict=True)] == expected
    assert found["flat"][2].tolist() == pytest.approx([0.0, 0.5, 0.6], abs=0.1)
    assert found["flat"][4].tolist() == [0.0, 0.0, 0.0]
    assert max(log) <= max(span, 200)


def test_a_segment_that_ends_with_a_recording_of_odd_rate_is_whole():
    signal = np.zeros((1, 99))  # 3.04 s at 32.5 Hz
    shares = raw_shares(tracks([signal], (32.5,)), np.array([0.0, 1.05]), 2.0)
    assert shares["flat"].tolist() == [[1.0], [1.0]]


def test_the_worst_channel_counts():
    values = {name: np.array([[0.2, 0.7], [np.nan, 0.5]]) for name in ("template", "flat")}
    found = worst({**values, "skewness": np.full((2, 2), np.nan)})
    assert found["template"].tolist() == [0.2, 0.5]
    assert found["flat"].tolist() == [0.7, 0.5]
    assert np.isnan(found["skewness"]).all()
