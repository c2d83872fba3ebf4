from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import butter, sosfiltfilt
from sklearn.metrics import roc_auc_score

from medssl.ingest.waveforms.quality import Quality, clipped_share, flat_share, grade
from medssl.ingest.waveforms.resample import resample
from medssl.samples import sample_path
from medssl.types import Modality


@pytest.fixture(scope="module")
def ppg():
    files = sorted((sample_path("ppg_bp") / "0_subject").glob("*_1.txt"))
    signals = np.array([np.array(file.read_text().split(), dtype=float) for file in files])
    return resample(signals[:, None], from_rate=1000, to_rate=64)[..., :128]


@pytest.fixture(scope="module")
def ecg():
    headers = sorted(sample_path("ecg_id").glob("*/rec_1.hea"))
    raw = [np.fromfile(h.with_suffix(".dat"), dtype="<i2").reshape(-1, 2)[:, 0] for h in headers]
    signals = resample(np.array(raw)[:, None], from_rate=500, to_rate=128)
    return signals[..., 640:1280]


def spoil(segments, how, *, rate, seed=0):
    """Real segments made bad; `how` keeps different properties of the signal."""
    rng = np.random.default_rng(seed)
    scale = segments.std(axis=-1, keepdims=True)
    noise = rng.normal(size=segments.shape)
    if how == "noise":
        return segments + 2 * scale * noise
    if how == "drift":
        walk = noise.cumsum(axis=-1)
        return segments + 2 * scale * walk / walk.std(axis=-1, keepdims=True)
    if how == "band":
        band = butter(3, [0.5, 8], "bandpass", fs=rate, output="sos")
        return sosfiltfilt(band, noise, axis=-1)
    spectrum = np.fft.rfft(segments - segments.mean(axis=-1, keepdims=True))
    turned = np.exp(2j * np.pi * rng.random(spectrum.shape))
    return np.fft.irfft(np.abs(spectrum) * turned, n=segments.shape[-1])


@pytest.mark.parametrize(("how", "auroc"), [
    ("noise", 0.98), ("drift", 0.95), ("band", 0.98), ("phase", 0.95),
])  # fmt: skip
def test_two_seconds_of_real_ppg_score_above_spoilt_ones(ppg, how, auroc):
    bad = spoil(ppg, how, rate=64)
    scores = [grade(segment, 64.0, Modality.PPG).score for segment in [*ppg, *bad]]
    labels = [1] * len(ppg) + [0] * len(bad)
    assert roc_auc_score(labels, scores) > auroc


@pytest.mark.parametrize(("how", "auroc"), [("noise", 0.93), ("band", 0.95), ("phase", 0.95)])
def test_five_seconds_of_real_ecg_score_above_spoilt_ones(ecg, how, auroc):
    bad = spoil(ecg, how, rate=128)
    scores = [grade(segment, 128.0, Modality.ECG).score for segment in [*ecg, *bad]]
    assert roc_auc_score([1] * len(ecg) + [0] * len(bad), scores) > auroc


@pytest.mark.parametrize("modality", [Modality.PPG, Modality.ECG])
def test_the_grade_ignores_offset_gain_and_for_ppg_polarity(ppg, ecg, modality):
    segment, rate = (ppg[0], 64.0) if modality is Modality.PPG else (ecg[0], 128.0)
    wide = np.asarray(segment, dtype=np.float64)
    before = grade(wide, rate, modality)
    assert grade(wide * 1e-6 - 7e-6, rate, modality).score == pytest.approx(before.score, abs=1e-6)
    if modality is Modality.PPG:
        assert grade(-wide, rate, modality).score == pytest.approx(before.score, abs=0.02)


def test_heart_rate_of_real_ppg_agrees_with_the_published_one(ppg):
    import csv

    with (sample_path("ppg_bp") / "labels.csv").open() as file:
        labels = {row["subject_ID"]: float(row["Heart Rate(b/m)"]) for row in csv.DictReader(file)}
    files = sorted((sample_path("ppg_bp") / "0_subject").glob("*_1.txt"))
    published = np.array([labels[file.stem.split("_")[0]] for file in files])
    grades = [grade(segment, 64.0, Modality.PPG) for segment in ppg]
    found = np.array([one.heart_rate for one in grades])
    good = np.array([one.score > 0.9 for one in grades]) & np.isfinite(found)
    assert good.sum() > 60
    assert np.median(np.abs(found - published)[good]) < 8


@pytest.mark.parametrize("modality", [Modality.PPG, Modality.ECG, Modality.RESPIRATION])
@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros((1, 640)), "flat"),
        (np.full((1, 640), 1e6), "flat"),
        (np.where(np.arange(640) < 500, 3.0, np.arange(640.0))[None], "flat"),
        (np.clip(np.sin(np.arange(640) / 20), -0.2, 0.2)[None], None),
        (np.full((1, 640), np.nan), "missing"),
        (np.zeros((1, 0)), "missing"),
    ],
)
def test_flat_clipped_and_missing_score_nothing(modality, signal, reason):
    quality = grade(signal, 128.0, modality)
    assert quality.score == 0.0
    assert quality.reasons[0] in ({reason} if reason else {"flat", "clipped"})


@pytest.mark.parametrize("modality", [Modality.PPG, Modality.ECG])
@pytest.mark.parametrize("samples", [1, 2, 3, 20, 50])
def test_very_short_segments_score_nothing_and_raise_nothing(modality, samples):
    signal = np.random.default_rng(0).normal(size=(1, samples))
    assert grade(signal, 128.0, modality).score == 0.0


@settings(max_examples=60, deadline=None)
@given(
    signal=arrays(
        np.float64,
        st.tuples(st.integers(1, 2), st.integers(0, 200)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    ),
    modality=st.sampled_from([Modality.PPG, Modality.ECG, Modality.RESPIRATION]),
)
def test_anything_gets_a_score_in_the_unit_interval(signal, modality):
    quality = grade(signal, 64.0, modality)
    assert 0.0 <= quality.score <= 1.0


def test_the_worst_channel_decides(ecg):
    good = ecg[0]
    both = np.concatenate([good, np.zeros_like(good)])
    assert grade(good, 128.0, Modality.ECG).score > 0.5
    assert grade(both, 128.0, Modality.ECG).reasons == ("flat",)


def test_something_that_is_no_array_is_bad_quality():
    assert isinstance(grade("words", 64.0, Modality.PPG), Quality)  # type: ignore[arg-type]
    assert grade("words", 64.0, Modality.PPG).reasons == ("failed",)  # type: ignore[arg-type]


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
    else:
        assert flat_share(signal, run=run) == pytest.approx(flat / len(signal))
        assert clipped_share(signal) == pytest.approx(clipped / len(signal))


@pytest.mark.parametrize(("modality", "rate"), [(Modality.PPG, 64.0), (Modality.ECG, 128.0)])
def test_ten_seconds_are_graded_in_15_ms(ppg, ecg, modality, rate):
    source = ppg if modality is Modality.PPG else ecg
    signal = np.concatenate(list(source[:6, 0]), axis=-1)[None, : round(10 * rate)]
    grade(signal, rate, modality)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        grade(signal, rate, modality)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.015
