from __future__ import annotations

import numpy as np
import pytest

from medssl.errors import IngestError
from medssl.filters import Filter
from medssl.ingest import ingest
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.segments import Segmenter
from medssl.ingest.waveforms import preprocess
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.resample import resample
from medssl.store import Store, verify

BLOCK = 8 * 1_500


def long_signal(make_heartbeat, *, channels=1):
    signal = np.stack([make_heartbeat(60, seed=seed) for seed in range(channels)], axis=1)
    signal += np.linspace(-1, 3, len(signal))[:, None]
    signal[3_000:3_100, 0] = np.nan
    signal[9_000, -1] = np.nan
    return signal


def stored(folder):
    store = Store.open(folder)
    table = store.records.to_pandas()
    return table, store.read(np.arange(len(table)))


@pytest.fixture
def small_blocks(monkeypatch):
    """Makes blocks of six seconds instead of minutes."""
    monkeypatch.setattr(preprocess, "BLOCK_BYTES", BLOCK)


@pytest.mark.parametrize("overlap", [0, 1.5])
@pytest.mark.parametrize("filter", [None, {"low": 2, "high": 40}])
def test_a_store_made_in_blocks_is_the_store_made_in_one_piece(
    tmp_path, write_record, wfdb_config, make_heartbeat, overlap, filter, request
):
    write_record(
        tmp_path / "raw", "p1_a", signal=long_signal(make_heartbeat, channels=2),
        fmt=["16", "16"],
    )  # fmt: skip
    write_record(tmp_path / "raw", "p2_a", seconds=5)
    config = wfdb_config(
        tmp_path / "raw", channels=["I"], overlap_seconds=overlap, filter=filter, quality=True
    )
    whole = ingest(config, tmp_path / "whole")
    request.getfixturevalue("small_blocks")
    parts = ingest(config, tmp_path / "parts")
    left, segments = stored(tmp_path / "whole")
    right, pieces = stored(tmp_path / "parts")
    own = ["record", "participant", "session", "recording", "start", "rate", "filter", "overlap"]
    assert left[own].equals(right[own])
    np.testing.assert_allclose(pieces, segments, rtol=0, atol=1e-6 * np.abs(segments).max())
    np.testing.assert_allclose(right.quality, left.quality, atol=1e-4)
    assert parts.dropped_seconds == whole.dropped_seconds
    assert parts.sources == whole.sources
    assert set(parts.dropped_seconds) >= {"gaps"}
    assert verify(tmp_path / "parts", deep=True) == []
    assert len(right[right.participant == right.participant[0]].offset.unique()) > 4


def test_filter_and_overlap_stand_in_the_store_and_in_the_contract(
    tmp_path, write_record, wfdb_config, make_heartbeat
):
    write_record(tmp_path / "raw", "p1_a", signal=make_heartbeat(20)[:, None] + 5)
    config = wfdb_config(
        tmp_path / "raw", filter={"low": 0.5, "high": 40, "notch": 60}, overlap_seconds=0.5
    )
    ingest(config, tmp_path / "store")
    contract = Store.open(tmp_path / "store").contract("ecg")
    assert contract.filter == Filter(low=0.5, high=40, notch=60)
    assert contract.overlap == pytest.approx(0.5, abs=1 / 125)
    assert contract.step == config.sources[0].step
    segments = Store.open(tmp_path / "store").read(np.arange(4))
    assert abs(segments.mean()) < 0.1  # the offset of 5 mV is gone


def test_what_is_stored_is_the_filtered_and_resampled_recording(
    tmp_path, write_record, wfdb_config, make_heartbeat
):
    path = write_record(tmp_path / "raw", "p1_a", signal=make_heartbeat(10)[:, None])
    ingest(wfdb_config(tmp_path / "raw", filter={"low": 1}), tmp_path / "store")
    signal = np.frombuffer(path.with_suffix(".dat").read_bytes(), dtype="<i2")[None] / 1000
    expected = resample(
        Filter(low=1).apply(signal, 250), from_rate=250, to_rate=125, level=np.zeros((1, 1))
    )
    found = Store.open(tmp_path / "store").read(np.arange(5))
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ({}, {"filter": {"low": 0.5}}, "filter None and not"),
        ({"filter": {"low": 0.5}}, {"filter": {"low": 0.5, "order": 2}}, "with filter"),
        ({"filter": {"low": 0.5}}, {}, "and not None"),
        ({}, {"overlap_seconds": 1}, "overlap None and not 1.0"),
    ],
)
def test_two_recipes_of_one_source_are_not_mixed(
    tmp_path, write_record, wfdb_config, first, then, said
):
    write_record(tmp_path / "raw", "p1_a")
    ingest(wfdb_config(tmp_path / "raw", **first), tmp_path / "store")
    write_record(tmp_path / "raw", "p2_a")
    with pytest.raises(IngestError, match=said):
        ingest(wfdb_config(tmp_path / "raw", **then), tmp_path / "store")
    report = ingest(wfdb_config(tmp_path / "raw", **first), tmp_path / "store")
    assert report.records > 0


def test_a_rate_too_low_for_the_filter_is_a_verdict(tmp_path, write_record, wfdb_config):
    write_record(tmp_path / "raw", "p1_a")
    write_record(tmp_path / "raw", "p2_a", fs=75)
    report = ingest(wfdb_config(tmp_path / "raw", filter={"high": 40}), tmp_path / "store")
    assert report.ledger["filter_too_high"] == 2  # header and data
    assert report.stored_files == 2


@pytest.mark.parametrize(("rate", "stored_files"), [(250, 4), (250.01, 4), (500, 2), (251, 2)])
def test_a_file_that_says_another_rate_is_a_verdict(
    tmp_path, write_record, wfdb_config, rate, stored_files
):
    write_record(tmp_path / "raw", "p1_a")
    write_record(tmp_path / "raw", "p2_a", fs=rate)
    report = ingest(wfdb_config(tmp_path / "raw", rate_in=250), tmp_path / "store")
    assert report.stored_files == stored_files
    assert report.ledger.get("unexpected_rate", 0) == 4 - stored_files


def fragile(fails_at, samples=30_000):
    """A recording that breaks when it is read beyond a sample."""
    values = np.random.default_rng(0).normal(size=(1, samples))

    def read(start, stop):
        if stop > fails_at:
            raise OSError
        return values[:, start:stop]

    track = Track(channels=("I",), rate=125, length=samples, read=read)
    return Recording(tracks=(track,), units="mV")


def test_a_recording_that_breaks_in_its_middle_leaves_no_record(
    tmp_path, write_record, wfdb_config, monkeypatch, small_blocks
):
    write_record(tmp_path / "raw", "p1_a")
    write_record(tmp_path / "raw", "p2_a")
    write_record(tmp_path / "raw", "p3_a")
    from medssl.ingest.waveforms import readers

    opened = readers.open_recording

    def open_or_break(path, *given, **named):
        return fragile(20_000) if path.name == "p2_a.hea" else opened(path, *given, **named)

    monkeypatch.setattr(readers, "open_recording", open_or_break)
    report = ingest(wfdb_config(tmp_path / "raw"), tmp_path / "store")
    assert report.ledger == {"reader_failed": 2}
    assert report.records == 10
    assert report.dropped_seconds == {}
    assert verify(tmp_path / "store", deep=True) == []
    store = Store.open(tmp_path / "store")
    assert set(store.ledger.to_pandas().detail) == {"OSError"}
    (shard,) = (tmp_path / "store" / "shards").iterdir()
    assert shard.stat().st_size < 20_000  # nothing of the broken one is in it


def segmenter(recording, config):
    return Segmenter(
        recording, config.sources[0], graded=False,
        shared={
            "participant": "p1", "session": "s1", "recording": "r1", "modality": "ecg",
            "source_digest": "d", "source": "ecg",
        },
    )  # fmt: skip


@pytest.mark.parametrize("blocks", ["one", "small"])
def test_why_a_recording_gives_nothing(tmp_path, wfdb_config, blocks, request):
    if blocks == "small":
        request.getfixturevalue("small_blocks")
    config = wfdb_config(tmp_path)

    def reason(signal):
        recording = Recording.of(signal, rate=125, channels=("I", "II"), units="mV")
        with pytest.raises(Unreadable) as verdict:
            list(segmenter(recording, config).blocks())
        return verdict.value.reason

    values = np.ones((2, 10_000))
    assert reason(values[:, :249]) is Reason.TOO_SHORT
    gaps = values.copy()
    gaps[0, ::200] = np.nan
    assert reason(gaps) is Reason.GAPS
    silent = values.copy()
    silent[1] = np.inf
    assert reason(silent) is Reason.ALL_NAN
