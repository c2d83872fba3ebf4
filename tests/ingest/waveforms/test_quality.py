from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import butter, sosfiltfilt
from sklearn.metrics import roc_auc_score

from medssl.ingest.waveforms.components import clipped_share, moments
from medssl.ingest.waveforms.quality import Quality, grade, grade_all
from medssl.samples import sample_path
from medssl.store.schema import GRADES
from medssl.types import Modality


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


def test_many_segments_together_are_graded_as_each_alone(ppg, ecg):
    for signals, rate, modality in (
        (ppg, 64.0, Modality.PPG), (ecg, 128.0, Modality.ECG), (ppg, 64.0, Modality.RESPIRATION),
    ):  # fmt: skip
        segments = np.concatenate([signals, spoil(signals, "noise", rate=rate)]).astype(np.float64)
        segments = np.stack([segments[::2, 0], segments[1::2, 0]], axis=1)
        segments[3], segments[5, 1], segments[7, 0, 2] = 1.0, segments[5, 1].clip(max=0), np.nan
        together = grade_all(segments, rate, modality)
        alone = [grade(segment, rate, modality) for segment in segments]
        assert [one.reasons for one in together] == [one.reasons for one in alone]
        for one, other in zip(together, alone, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-9)
            assert one.components == pytest.approx(other.components, abs=1e-9, nan_ok=True)


def components(segments, rate, modality, **shares):
    grades = grade_all(np.asarray(segments), rate, modality, **shares)
    assert all(set(one.components) == set(GRADES) for one in grades)
    return {name: np.array([one.components[name] for one in grades]) for name in GRADES}


def test_components_of_clean_ecg_and_what_each_says_of_spoilt_ecg(ecg):
    good = components(ecg, 128.0, Modality.ECG)
    assert np.median(good["template"]) > 0.9
    assert np.median(good["kurtosis"]) > 5
    for name in ("flat", "clipped", "missing"):
        assert good[name].max() < 0.02
    noisy = components(spoil(ecg, "noise", rate=128), 128.0, Modality.ECG)
    labels = [1] * len(ecg) + [0] * len(ecg)
    for name in ("template", "kurtosis"):
        assert roc_auc_score(labels, np.concatenate([good[name], noisy[name]])) > 0.92
    held = np.array(ecg)
    held[..., 320:480] = held[..., 320:321]
    still = components(held, 128.0, Modality.ECG)["flat"]
    assert still == pytest.approx(0.25, abs=0.03)
    cut = np.clip(ecg, *np.quantile(ecg, [0.1, 0.9], axis=-1, keepdims=True))
    found = components(cut, 128.0, Modality.ECG)["clipped"]
    np.testing.assert_allclose(found, [clipped_share(one[0]) for one in cut])
    assert np.median(found) > 0.05


def test_components_of_clean_ppg_and_what_each_says_of_spoilt_ppg(ppg):
    two = components(ppg, 64.0, Modality.PPG)
    # In a third of them, two seconds hold fewer than two whole beats.
    assert 0.1 < np.mean(np.isnan(two["template"])) < 0.5
    assert np.nanmedian(two["template"]) > 0.9
    assert two["flat"].max() == two["clipped"].max() == 0.0
    noisy = components(spoil(ppg, "noise", rate=64), 64.0, Modality.PPG)
    labels = [1] * len(ppg) + [0] * len(ppg)
    assert roc_auc_score(labels, np.concatenate([two["skewness"], noisy["skewness"]])) > 0.85
    assert roc_auc_score(labels, -np.concatenate([two["kurtosis"], noisy["kurtosis"]])) > 0.85
    time = np.arange(640) / 64
    phase = (time * 1.2) % 1
    pulse = np.exp(-(((phase - 0.3) / 0.12) ** 2)) + 0.4 * np.exp(-(((phase - 0.6) / 0.15) ** 2))
    long = components([pulse[None], spoil(pulse[None], "noise", rate=64)], 64.0, Modality.PPG)
    assert long["template"][0] > 0.98
    assert long["template"][1] < 0.8


@pytest.mark.parametrize(("modality", "rate", "samples"), [
    (Modality.PPG, 10.0, 300), (Modality.ECG, 128.0, 4), (Modality.PPG, 64.0, 5),
])  # fmt: skip
def test_signals_that_cannot_be_cleaned_fail(modality, rate, samples):
    signals = np.random.default_rng(0).normal(size=(2, 1, samples))
    for quality in grade_all(signals, rate, modality):
        assert (quality.score, quality.reasons) == (0.0, ("failed",))
        assert quality.components["template"] == 0.0


def test_a_wandering_baseline_leaves_the_kurtosis_of_ecg_alone(ecg):
    wander = 3 * ecg.std(axis=-1, keepdims=True) * np.sin(np.arange(640) / 128 * 2 * np.pi * 0.2)
    still, moving = (
        components(one, 128.0, Modality.ECG)["kurtosis"] for one in (ecg, ecg + wander)
    )
    as_stored = moments(ecg + wander)[1][:, 0]
    assert np.median(np.abs(moving / still - 1)) < 0.15
    assert np.median(np.abs(as_stored / still - 1)) > 0.5


def test_a_template_without_beats_is_bad_and_without_a_heart_unknown():
    ramp = np.linspace(0, 1, 640)[None]
    noise = np.random.default_rng(0).normal(size=(1, 640))
    assert grade(ramp, 64.0, Modality.PPG).components["template"] == 0.0
    assert grade(np.zeros((1, 640)), 128.0, Modality.ECG).components["template"] == 0.0
    assert np.isnan(grade(noise, 64.0, Modality.RESPIRATION).components["template"])
    # A rate below the band of the cleaning: it failed, which is bad.
    assert grade(noise, 10.0, Modality.PPG).components["template"] == 0.0


def test_shares_of_the_recording_replace_those_of_the_segment_and_leave_the_score(ecg):
    segments = np.concatenate([ecg[:4], ecg[4:8]], axis=1)
    shares = {
        "flat": np.array([[0.1, 0.2]] * 4), "clipped": np.array([[0.9, 0.3]] * 4),
        "missing": np.array([0.0, 0.1, 0.2, 0.3]),
    }  # fmt: skip
    found = components(segments, 128.0, Modality.ECG, shares=shares)
    assert found["flat"].tolist() == [0.2] * 4
    assert found["clipped"].tolist() == [0.9] * 4
    assert found["missing"].tolist() == [0.0, 0.1, 0.2, 0.3]
    with_shares = grade_all(segments, 128.0, Modality.ECG, shares=shares)
    without = grade_all(segments, 128.0, Modality.ECG)
    assert [one.score for one in with_shares] == [one.score for one in without]


def test_missing_samples_are_counted(ecg):
    segment = np.array(ecg[0], dtype=np.float64)
    segment[0, 10:74] = np.nan
    found = grade(segment, 128.0, Modality.ECG)
    assert (found.score, found.reasons) == (0.0, ("missing",))
    assert found.components["missing"] == pytest.approx(0.1)
