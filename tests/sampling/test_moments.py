import itertools

import numpy as np
import pytest

from medssl.errors import StageError
from medssl.records import Record
from medssl.sampling.moments import match_moments
from medssl.store import write_store
from medssl.types import Modality

SEEN = itertools.count()


def record(participant, recording, modality, start, rate=64.0):
    data = np.random.default_rng(next(SEEN)).normal(size=(1, 16)).astype(np.float32)
    return Record(
        participant=participant, session="s", recording=recording, modality=Modality(modality),
        data=data, source_digest="0" * 32, rate=rate, channels=("c",), units="mV", start=start,
        source=modality,
    )  # fmt: skip


def keys(store, rows):
    names = ("participant", "recording", "start")
    return list(zip(*(store.column(name, rows) for name in names), strict=True))


def matched(store, **changes):
    return match_moments(store, store.rows(modality="ppg"), store.rows(modality="ecg"), **changes)


def test_records_of_one_recording_and_start_are_one_moment(tmp_path):
    records = [
        record(person, recording, modality, start)
        for person, recording in (("p2", "a"), ("p1", "b"), ("p1", "c"))
        for modality in ("ppg", "ecg")
        for start in (0.0, 7.5, 15.0)
    ]
    store = write_store(tmp_path / "store", records)
    moments = matched(store)
    assert len(moments) == 9
    assert moments.alone == (0, 0)
    assert keys(store, moments.first) == keys(store, moments.second)
    assert (moments.first == store.rows(modality="ppg")).all()
    assert (store.column("modality", moments.second) == "ecg").all()
    assert (moments.participants == store.column("participant", moments.first)).all()


def test_records_alone_are_left_out_and_counted(tmp_path):
    store = write_store(
        tmp_path / "store",
        [
            record("p1", "a", "ppg", 0.0),
            record("p1", "a", "ecg", 0.0),
            record("p1", "a", "ppg", 10.0),  # the ECG has a gap here
            record("p1", "b", "ppg", 0.0),  # another recording
            record("p1", "c", "ecg", 0.0),
            record("p2", "a", "ecg", 10.0),  # another participant
            record("p2", "d", "ecg", 5.0),
        ],
    )
    moments = matched(store)
    assert keys(store, moments.first) == [("p1", "a", 0.0)]
    assert moments.alone == (2, 3)


def test_a_moment_with_two_candidates_is_left_out(tmp_path):
    store = write_store(
        tmp_path / "store",
        [
            *(
                record("p1", "a", modality, start)
                for modality in ("ppg", "ecg")
                for start in (0, 9)
            ),
            record("p1", "a", "ecg", 9, rate=128.0),
        ],
    )
    moments = matched(store)
    assert keys(store, moments.first) == [("p1", "a", 0.0)]
    assert moments.alone == (1, 2)


def test_starts_at_two_rates_are_equal_up_to_rounding(tmp_path):
    seconds = [7 * k / 3 for k in range(1, 40)]
    store = write_store(
        tmp_path / "store",
        [record("p1", "a", "ppg", s) for s in seconds]
        + [record("p1", "a", "ecg", np.nextafter(s, 0)) for s in seconds],
    )
    assert len(matched(store)) == len(seconds)


def test_a_selection_of_rows_is_matched_alone(tmp_path):
    records = [record("p1", "a", m, s) for m in ("ppg", "ecg") for s in (0.0, 1.0, 2.0)]
    store = write_store(tmp_path / "store", records)
    ppg, ecg = store.rows(modality="ppg"), store.rows(modality="ecg")
    moments = match_moments(store, ppg[1:], ecg[:2])
    assert store.column("start", moments.first).tolist() == [1.0]
    assert moments.alone == (1, 1)


def test_no_moment_at_all_says_how_to_ingest(tmp_path):
    store = write_store(
        tmp_path / "store", [record("p1", "a", "ppg", 0.0), record("p1", "b", "ecg", 0.0)]
    )
    with pytest.raises(
        StageError, match=r"no record of ppg and ecg .* two sources with one cohort"
    ):
        matched(store)
    with pytest.raises(StageError, match="no record of ppg and none"):
        match_moments(store, store.rows(modality="ppg"), np.empty(0, dtype=np.int64))
