from __future__ import annotations

import neurokit2 as nk
import numpy as np
import pytest

from medssl.ingest.waveforms.beats import clean, find_beats, self_similarity
from medssl.types import Modality

RATES = {Modality.ECG: 128.0, Modality.PPG: 64.0}


def beats_of(rows, rate, modality):
    return find_beats(rows, clean(rows, rate, modality), rate, modality)


def standardised(signals):
    rows = signals[:, 0].astype(np.float64)
    rows = rows - np.median(rows, axis=1, keepdims=True)
    return rows / rows.std(axis=1, keepdims=True)


@pytest.fixture(params=RATES)
def real(request, ecg, ppg):
    """Rows of real signals, their rate and their modality."""
    signals = ecg if request.param is Modality.ECG else np.tile(ppg, 3)
    return standardised(signals[:20]), RATES[request.param], request.param


@pytest.mark.parametrize("rate", [None, 90.0, 250.0])
def test_cleaning_is_that_of_neurokit2(real, rate):
    rows, own, modality = real
    rate = rate or own
    theirs = nk.ecg_clean if modality is Modality.ECG else nk.ppg_clean
    expected = np.stack([theirs(row, sampling_rate=rate) for row in rows])
    np.testing.assert_allclose(clean(rows, rate, modality), expected, rtol=0, atol=1e-12)


def test_template_is_the_mean_correlation_with_the_others(real):
    rows, rate, modality = real
    for row, beats in zip(rows, beats_of(rows, rate, modality), strict=True):
        signal = clean(row[None], rate, modality)[0]
        if modality is Modality.ECG:
            peaks = nk.ecg_findpeaks(signal, sampling_rate=rate)["ECG_R_Peaks"]
            before, after = round(0.25 * rate), round(0.4 * rate)
        else:
            peaks = nk.ppg_findpeaks(signal, sampling_rate=rate)["PPG_Peaks"]
            before = after = round(np.median(np.diff(peaks)) / 2)
        pieces = [
            signal[p - before : p + after]
            for p in peaks
            if p >= before and p + after <= signal.size
        ]
        pieces = [(piece - piece.mean()) / np.linalg.norm(piece - piece.mean()) for piece in pieces]
        alike = [
            np.corrcoef(piece, sum(other for other in pieces if other is not piece))[0, 1]
            for piece in pieces
        ]
        assert beats.template == pytest.approx(np.mean(alike), abs=1e-9)
        assert beats.peaks.tolist() == list(peaks)


def slow_similarity(signal, rate):
    best = -1.0
    for lag in range(round(0.33 * rate), min(round(1.5 * rate), int(0.6 * signal.size)) + 1):
        best = max(best, np.corrcoef(signal[:-lag], signal[lag:])[0, 1])
    return best


@pytest.mark.parametrize("rate", [25.0, 64.0, 100.0])
def test_self_similarity_agrees_with_a_slow_loop(ppg, rate):
    rng = np.random.default_rng(0)
    rows = np.concatenate([standardised(ppg[:30]), rng.normal(size=(5, 128))])
    rows[30, 5] = 1e6  # one sample that outweighs all others
    found = self_similarity(rows, rate)
    expected = [slow_similarity(row, rate) for row in rows]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_a_piece_too_short_for_one_beat_interval_has_no_similarity():
    assert self_similarity(np.ones((2, 20)), 64.0).tolist() == [-1.0, -1.0]


def test_one_odd_signal_does_not_spoil_the_others(ecg, monkeypatch):
    rows = standardised(ecg[:3])
    expected = beats_of(rows, 128.0, Modality.ECG)
    found_by_theirs = nk.ecg_findpeaks
    calls = []

    def failing(signal, **options):
        calls.append(1)
        if len(calls) == 2:
            raise IndexError
        return found_by_theirs(signal, **options)

    monkeypatch.setattr(nk, "ecg_findpeaks", failing)
    found = beats_of(rows, 128.0, Modality.ECG)
    assert found[1] is None
    assert [found[0].score, found[2].score] == [expected[0].score, expected[2].score]
