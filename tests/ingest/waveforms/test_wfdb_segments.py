"""Recordings in segments: gaps stay gaps, and headers that lie are verdicts."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wfdb

from medssl.ingest import ingest
from medssl.ingest.discover import discover
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.wfdb_reader import read_wfdb
from medssl.ingest.waveforms.wfdb_text import named_files
from medssl.store import Store

DATA = Path(__file__).parents[2] / "data" / "wfdb" / "segments"
VARIABLE = "r/4 2 250 2000\nr_layout 0\nr_1 500\n~ 700\nr_2 800\n"


@pytest.fixture
def read(wfdb_config):
    def call(folder, name="r", **changes):
        config = wfdb_config(folder, **changes)
        return read_wfdb(folder / f"{name}.hea", config.sources[0], folder=folder)

    return call


@pytest.fixture
def refuse(read):
    def call(folder, name="r", **changes):
        with pytest.raises(Unreadable) as verdict:
            read(folder, name, **changes)
        return verdict.value.reason

    return call


@pytest.fixture
def variable(tmp_path, write_record, make_heartbeat):
    """Lead I, then a gap, then II in volts and I in other order."""
    one, two = make_heartbeat(2, seed=1), make_heartbeat(3.2, seed=2)
    second = np.stack([two * 1e-3, -two], axis=1)
    write_record(tmp_path, "r_1", signal=one[:, None])
    write_record(
        tmp_path, "r_2", signal=second, sig_name=["II", "I"], units=["V", "mV"],
        adc_gain=[1e6, 1000.0],
    )  # fmt: skip
    (tmp_path / "r_layout.hea").write_text(
        "r_layout 2 250 0\n~ 0 200/mV 16 0 0 0 0 I\n~ 0 200/mV 16 0 0 0 0 II\n"
    )
    (tmp_path / "r.hea").write_text(VARIABLE + "# Age: 60\n")
    return tmp_path, one, two


def test_a_variable_layout_maps_names_and_units_and_leaves_gaps_missing(variable, read):
    folder, one, two = variable
    found = read(folder, channels=["I", "II"])
    expected = np.full((2, 2000), np.nan)
    expected[0, :500], expected[0, 1200:], expected[1, 1200:] = one, -two, two
    np.testing.assert_allclose(found.signal, expected, atol=6e-4)
    assert found.comments == ("Age: 60",)
    assert found.units == "mV"


def test_ranges_over_gaps_are_the_whole(variable, read):
    (track,) = read(variable[0], channels=["II", "I"]).tracks
    whole = track.read(0, 2000)
    edges = [0, 1, 499, 501, 900, 1199, 1200, 1201, 1999, 2000]
    parts = [track.read(a, b) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    np.testing.assert_array_equal(track.read(600, 700), np.full((2, 100), np.nan))


def test_wfdb_reads_the_same_where_it_can(variable, read):
    folder, _, _ = variable
    raw = wfdb.rdrecord(str(folder / "r"), channel_names=["I"])
    np.testing.assert_allclose(read(folder, channels=["I"]).signal, raw.p_signal.T)


def test_a_real_fixed_layout_is_one_recording(tmp_path, read, wfdb_config):
    folder = tmp_path / "raw"
    shutil.copytree(DATA, folder)
    found = read(folder, "v102s", channels=["V", "II"])
    once = read(folder, "v102s_2", channels=["V", "II"]).signal
    np.testing.assert_array_equal(found.signal, np.tile(once, 3))
    config = wfdb_config(
        folder, channels=["II"], participant={"pattern": r"(?P<participant>v102s)"}
    )
    listed = discover(config.sources[0], position=0, key="k")
    assert [task.files for task in listed.tasks] == [
        ("v102s.hea", "v102s.dat", "v102s_1.hea", "v102s_2.hea", "v102s_3.hea")
    ]
    assert listed.ledger == []
    report = ingest(config, tmp_path / "store")
    assert report.sources["ecg"].recordings == 1
    # Samples that the converter marked as invalid are gaps.
    assert report.sources["ecg"].seconds + report.dropped_seconds.get("gaps", 0) == 12


def test_a_segment_whose_header_is_gone_takes_the_others_with_it(tmp_path, wfdb_config):
    folder = tmp_path / "raw"
    shutil.copytree(DATA, folder)
    (folder / "v102s_2.hea").unlink()
    (folder / "w.hea").write_text((DATA / "v102s_1.hea").read_text().replace("v102s.dat", "w.dat"))
    shutil.copy(DATA / "v102s.dat", folder / "w.dat")
    config = wfdb_config(folder, channels=["V"], participant={"pattern": r"(?P<participant>.)"})
    report = ingest(config, tmp_path / "store")
    assert report.ledger == {"missing_data_file": 4}
    rows = Store.open(tmp_path / "store").ledger.to_pylist()
    assert {row["path"] for row in rows} == {
        "v102s.hea", "v102s.dat", "v102s_1.hea", "v102s_3.hea",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("master", "reason"),
    [
        ("r/5 2 250 2000\nr_layout 0\nr_1 500\n~ 700\nr_2 800\n", Reason.UNREADABLE_HEADER),
        ("r/4 2 250 2001\nr_layout 0\nr_1 500\n~ 700\nr_2 800\n", Reason.UNREADABLE_HEADER),
        ("r/4 2 250 2000\nr_layout 0\nr_1 400\n~ 800\nr_2 800\n", Reason.WRONG_BYTE_COUNT),
        ("r/4 2 250 500\nr_layout 0\nr_1 -500\n~ 200\nr_2 800\n", Reason.UNREADABLE_HEADER),
        ("r/4 2 250\nr_layout 0\nr_1 500\n~ 9999999999999\nr_2 800\n", Reason.CLAIMS_TOO_LARGE),
        ("r/3 2 250 1000\nr_layout 0\nr_1 500\nr_1 500\n", Reason.UNSUPPORTED_FORMAT),
        ("r/2 2 250 500\nr_layout 0\nr 500\n", Reason.UNREADABLE_HEADER),
        ("r/2 2 250 500\nr_layout 0\nother 500\n", Reason.UNREADABLE_HEADER),
        ("r/2 2 250 500\nr_layout 0\n../r_1 500\n", Reason.PATH_OUTSIDE_FOLDER),
        ("r/2 2 250 500\nr_layout 0\nnone 500\n", Reason.MISSING_DATA_FILE),
        ("r/2 2 250 500\nnone 0\nr_1 500\n", Reason.MISSING_DATA_FILE),
        ("r/2 2 250 700\nr_layout 0\n~ 700\n", Reason.ALL_NAN),
        ("r/2 2 500 500\nr_layout 0\nr_1 500\n", Reason.UNREADABLE_HEADER),
        ("r/2 3 250 500\nr_layout 0\nr_1 500\n", Reason.UNREADABLE_HEADER),
        ("r/2 1 250 1300\nr_1 500\nr_2 800\n", Reason.UNREADABLE_HEADER),
        ("r/1 2 250\n", Reason.UNREADABLE_HEADER),
        ("r/0 2 250 0\n", Reason.UNREADABLE_HEADER),
        ("r/2 2 250 0\nr_1 0\nr_2 0\n", Reason.UNREADABLE_HEADER),
    ],
)
def test_lists_of_segments_that_lie(variable, refuse, master, reason):
    folder, _, _ = variable
    (folder / "r.hea").write_text(master)
    (folder / "other.hea").write_text("other/1 1 250 500\nr 500\n")
    assert refuse(folder) is reason


def test_two_lists_that_name_each_other_claim_nothing(tmp_path, refuse):
    (tmp_path / "r.hea").write_text("r/1 1 250 500\nq 500\n")
    (tmp_path / "q.hea").write_text("q/1 1 250 500\nr 500\n")
    assert named_files(tmp_path / "r.hea") == named_files(tmp_path / "q.hea") == ()
    assert refuse(tmp_path, "r") is refuse(tmp_path, "q") is Reason.UNREADABLE_HEADER


def test_a_segment_of_another_rate_or_unit_is_refused(variable, refuse):
    folder, _, _ = variable
    header = folder / "r_1.hea"
    text = header.read_text()
    header.write_text(text.replace("1 250 500", "1 360 500"))
    assert refuse(folder) is Reason.UNSUPPORTED_FORMAT
    header.write_text(text.replace("/mV", "/mmHg"))
    assert refuse(folder) is Reason.UNKNOWN_UNITS
    header.write_text(text.replace("16 1000.0(0)", "16x2 1000.0(0)").replace("250 500", "250 250"))
    (folder / "r.hea").write_text(VARIABLE.replace("500", "250").replace("2000", "1750"))
    assert refuse(folder) is Reason.UNSUPPORTED_FORMAT


def test_a_channel_that_no_segment_holds_is_refused(variable, refuse):
    folder, _, _ = variable
    (folder / "r.hea").write_text("r/2 2 250 500\nr_layout 0\nr_1 500\n")
    assert refuse(folder, channels=["I", "II"]) is Reason.ALL_NAN
    assert refuse(folder, channels=["V"]) is Reason.MISSING_CHANNEL


def test_any_truncation_of_a_list_or_a_segment_is_a_verdict(variable, read):
    folder, one, _ = variable
    reasons = set()
    for name in ("r", "r_1", "r_layout"):
        header = folder / f"{name}.hea"
        whole = header.read_bytes()
        for length in range(len(whole)):
            header.write_bytes(whole[:length])
            try:
                found = read(folder).signal
            except Unreadable as verdict:
                reasons.add(verdict.reason)
            else:  # only trailing words that mean nothing were lost
                np.testing.assert_allclose(found[0, :500], one, atol=6e-4)
        header.write_bytes(whole)
    assert Reason.UNREADABLE_HEADER in reasons
    assert Reason.READER_FAILED not in reasons


def test_checksums_of_segments_count(variable, refuse, read):
    folder, _, _ = variable
    data = folder / "r_2.dat"
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    assert refuse(folder, channels=["I", "II"]) is Reason.WRONG_CHECKSUM
    assert read(folder, channels=["I"], checksums="ignore").signal.shape == (1, 2000)
