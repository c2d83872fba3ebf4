from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.errors import StageError
from medssl.evaluation import heart_rate_variability as module
from medssl.evaluation.heart_rate_variability import (
    VARIABILITY_COLUMNS,
    Beats,
    find_intervals,
    heart_rate_variability_features,
    is_normal,
    refine,
    variability,
)
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

RATE = 128.0


def column(name: str) -> int:
    return VARIABILITY_COLUMNS.index(name)


def beat_times(seconds: float, *, low: float = 0.04, high: float = 0.02) -> np.ndarray:
    """Beats about 0.9 s apart, swinging at 0.1 Hz (LF) and at 0.25 Hz (HF)."""
    times = [0.4]
    while times[-1] < seconds:
        now = times[-1]
        swing = low * np.sin(2 * np.pi * 0.1 * now) + high * np.sin(2 * np.pi * 0.25 * now)
        times.append(now + 0.9 + swing)
    return np.array(times[:-1])


def electrocardiogram(times: np.ndarray, seconds: float, *, rate: float = RATE) -> np.ndarray:
    """Synthetic: at every beat, which may fall between samples, a narrow wave and a T wave."""
    grid = np.arange(round(seconds * rate)) / rate
    signal = 0.01 * np.random.default_rng(0).normal(size=len(grid))
    for beat in times:
        signal += np.exp(-(((grid - beat) / 0.012) ** 2))
        signal += 0.15 * np.exp(-(((grid - beat - 0.25) / 0.05) ** 2))
    return signal


def by_hand(times: np.ndarray) -> dict[str, float]:
    """Task Force definitions, written out."""
    intervals = 1000 * np.diff(times)
    steps = np.diff(intervals)
    return {
        "mean_nn": float(intervals.mean()),
        "sdnn": float(intervals.std(ddof=1)),
        "rmssd": float(np.sqrt((steps**2).mean())),
        "pnn20": float(100 * (np.abs(steps) > 20).sum() / len(intervals)),
    }


def store_of(folder: Path, signals: dict[str, np.ndarray], segment: float, **gaps: int) -> Store:
    """Each participant's signal in segments; `gaps` names one segment that is left out."""
    length = round(segment * RATE)
    records = [
        Record(
            participant=ParticipantId(name), session="s", recording=f"{name}-1",
            modality=Modality.ECG, rate=RATE, channels=("I",), units="mV",
            data=signal[None, at : at + length].astype(np.float32), start=at / RATE,
            source_digest=f"{name}{at}",
        )
        for name, signal in signals.items()
        for at in range(0, len(signal) - length + 1, length)
        if at // length != gaps.get(name, -1)
    ]  # fmt: skip
    people = pd.DataFrame({"age": range(len(signals))}, index=pd.Index(list(signals)))
    return write_store(folder / "store", records, participants=people)


def test_known_intervals_of_five_minutes(tmp_path: Path) -> None:
    times = beat_times(300.0)
    store = store_of(tmp_path, {"p": electrocardiogram(times, 300.0)}, 10.0)
    table = heart_rate_variability_features(store, store.rows(), Modality.ECG)
    assert table.by == "record"
    assert table.columns == VARIABILITY_COLUMNS
    assert (table.values == table.values[0]).all()  # of the recording, for each of its 30 records
    found = dict(zip(VARIABILITY_COLUMNS, table.values[0], strict=True))
    for name, value in by_hand(times).items():
        assert found[name] == pytest.approx(value, rel=0.05 if name == "pnn20" else 0.02), name
    assert found["irregular"] == 0
    # A sine of amplitude a has power a²/2: here 40 and 20 ms.
    assert found["log_lf"] == pytest.approx(np.log(800), abs=0.1)
    assert found["log_hf"] == pytest.approx(np.log(200), abs=0.15)
    assert found["lf_share"] == pytest.approx(0.8, abs=0.03)


def test_less_is_said_of_less(tmp_path: Path) -> None:
    """5 s: nothing. 20 s: no spread. 40 s: no spectrum. 300 s with a gap: no spectrum either."""
    seconds = {"five": 5.0, "twenty": 20.0, "forty": 40.0, "broken": 300.0}
    signals = {name: electrocardiogram(beat_times(s), s) for name, s in seconds.items()}
    store = store_of(tmp_path, signals, 5.0, broken=30)
    rows = store.rows()
    table = heart_rate_variability_features(store, rows, Modality.ECG)
    owners = store.column("participant", rows)
    known = {name: np.isfinite(table.values[owners == name][0]) for name in seconds}
    assert not known["five"].any()
    assert table.note == "1 of 4 participants without"
    spectral = [column(name) for name in ("log_lf", "log_hf", "lf_share")]
    spread = [column(name) for name in ("sdnn", "cvnn", "mad_nn", "iqr_nn")]
    for name, expected in (("twenty", False), ("forty", True), ("broken", True)):
        assert known[name][spread].all() == expected, name
        assert not known[name][spectral].any(), name
        assert known[name][column("rmssd")], name


def test_no_interval_and_no_difference_bridges_a_gap(tmp_path: Path) -> None:
    times = beat_times(120.0)
    whole = store_of(tmp_path / "a", {"p": electrocardiogram(times, 120.0)}, 10.0)
    broken = store_of(tmp_path / "b", {"p": electrocardiogram(times, 120.0)}, 10.0, p=6)
    both = [
        heart_rate_variability_features(store, store.rows(), Modality.ECG).values[0]
        for store in (whole, broken)
    ]
    # A bridged gap of ten seconds would be no plausible interval; a bridged difference would show.
    assert both[1][column("rmssd")] == pytest.approx(both[0][column("rmssd")], rel=0.1)
    assert both[1][column("irregular")] == 0
    steps = np.array([800.0, 810.0, 800.0, 810.0])
    parts = [Beats(shift + steps, np.cumsum(shift + steps) / 1000, 4, 4.0, np.full(3, np.nan))
             for shift in (0.0, 400.0)]  # fmt: skip
    assert variability(parts)[column("rmssd")] == pytest.approx(10.0)


def test_ectopic_beats_are_left_out_and_counted() -> None:
    times = beat_times(60.0, low=0.0, high=0.01)
    early = times.copy()
    early[20] -= 0.4
    found = find_intervals(electrocardiogram(early, 60.0), rate=RATE, modality=Modality.ECG)
    plain = find_intervals(electrocardiogram(times, 60.0), rate=RATE, modality=Modality.ECG)
    assert found.plausible == plain.plausible == len(plain.intervals)
    assert len(found.intervals) == len(plain.intervals) - 2
    values = variability([found])
    assert values[column("irregular")] == pytest.approx(2 / found.plausible)
    assert values[column("rmssd")] == pytest.approx(variability([plain])[column("rmssd")], rel=0.1)


def test_normal_is_within_a_fifth_of_the_median_around() -> None:
    rng = np.random.default_rng(0)
    intervals = rng.uniform(0.5, 1.2, size=40)
    expected = []
    for place, own in enumerate(intervals):
        around = intervals[max(0, place - 5) : place + 6]
        expected.append(abs(own - np.median(around)) <= 0.2 * np.median(around))
    assert is_normal(intervals).tolist() == expected
    assert is_normal(np.empty(0)).tolist() == []


def test_beats_are_placed_between_samples() -> None:
    places = np.array([10.3, 25.8, 40.0])
    grid = np.arange(50.0)
    signal = np.exp(-(((grid[:, None] - places) / 4) ** 2)).sum(axis=1)
    np.testing.assert_allclose(refine(signal, np.array([10, 26, 40])), places, atol=0.02)
    edge = np.array([3.0, 1.0, 0.0])
    assert refine(edge, np.array([0])).tolist() == [0.0]


@pytest.mark.parametrize("modality", [Modality.PPG, Modality.ECG])
@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(2000),
        np.full(2000, np.nan),
        np.arange(20.0),
        np.r_[np.zeros(1999), 1.0],
    ],
)
def test_what_has_no_beats_is_not_made_up(signal: np.ndarray, modality: Modality) -> None:
    values = variability([find_intervals(signal, rate=RATE, modality=modality)])
    assert values.shape == (len(VARIABILITY_COLUMNS),)
    assert np.isnan(values).all()


def test_a_failing_neurokit_means_that_it_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import neurokit2

    def fail(*_: object, **__: object) -> None:
        raise IndexError

    monkeypatch.setattr(neurokit2, "hrv_time", fail)
    signal = electrocardiogram(beat_times(20.0), 20.0)
    values = variability([find_intervals(signal, rate=RATE, modality=Modality.ECG)])
    assert np.isnan(values[column("mean_nn")])
    assert values[column("irregular")] == 0


def test_processes_and_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPECTRAL", 20.0)
    signals = {f"p{i}": electrocardiogram(beat_times(100.0, low=0.01 * i), 100.0) for i in range(3)}
    store = store_of(tmp_path, signals, 10.0)
    seen: list[tuple[int, int]] = []
    one = heart_rate_variability_features(
        store, store.rows(), Modality.ECG, per_participant=2, progress=lambda *at: seen.append(at)
    )
    assert seen[-1] == (6, 6)
    two = heart_rate_variability_features(
        store, store.rows(), Modality.ECG, per_participant=2, workers=2
    )
    np.testing.assert_array_equal(one.values[:, :11], two.values[:, :11])
    every = heart_rate_variability_features(
        store,
        store.rows(),
        Modality.ECG,
        per_participant=None,
        progress=lambda *at: seen.append(at),
    )
    assert seen[-1] == (15, 15)
    assert not np.array_equal(one.values, every.values, equal_nan=True)


def test_samples_of_2_seconds_say_nothing(ppg_store: Store) -> None:
    table = heart_rate_variability_features(ppg_store, ppg_store.rows(), Modality.PPG)
    assert np.isnan(table.values).all()
    assert table.keys.tolist() == ppg_store.column("record").tolist()


def test_other_modalities_are_refused(store: Store) -> None:
    with pytest.raises(StageError, match="needs ppg or ecg, not respiration"):
        heart_rate_variability_features(store, store.rows(), Modality.RESPIRATION)
