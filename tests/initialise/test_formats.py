from __future__ import annotations

import pytest

from medssl.errors import ConfigError
from medssl.ingest.listing import is_paper
from medssl.initialise.answers import parse_answers
from medssl.initialise.formats import other_formats
from medssl.initialise.listing import list_folder, spread
from medssl.initialise.survey import survey_folder


def test_bytes_stand_above_extensions(tmp_path):
    files = {
        "a.dcm": b"\0" * 128 + b"DICM",
        "no_extension": b"\0" * 128 + b"DICM",
        "b.edf": b"0       X X X X",
        "c.dat2": b"\x89HDF\r\n",
        "d.mat": b"MATLAB 5.0 MAT-file",
        "e.parquet": b"PAR1",
        "f.pdf": b"%PDF-1.7",
        "g.nii.gz": b"\x1f\x8b",
        "h.weird": b"hello",
        "i.png": b"%PDF-1.7",
        "j.jpg": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert other_formats(tmp_path, files) == {
        "DICOM": 2, "EDF": 1, "HDF5": 1, "MATLAB": 1, "Parquet": 1, "PDF": 2, "NIfTI": 1,
        "other": 1, "image": 1,
    }  # fmt: skip


def test_hidden_files_are_left_out(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.csv").write_text("1\n")
    (tmp_path / "._1.csv").write_text("1\n")
    with pytest.raises(ConfigError, match="holds no file but 2 hidden"):
        list_folder(tmp_path)
    (tmp_path / "1.csv").write_text("1\n")
    assert list_folder(tmp_path).files == ("1.csv",)


def test_papers_are_those_that_ingest_leaves_out():
    assert all(map(is_paper, ("README.txt", "a/LICENSE", "RECORDS", "reference.csv")))
    assert not any(map(is_paper, ("records_1.csv", "reference_01.csv", "changes_in_hr.csv")))


@pytest.mark.parametrize(("total", "count"), [(3, 5), (10, 3), (100, 40), (7, 1), (0, 4)])
def test_a_sample_is_spread_and_distinct(total, count):
    chosen = spread(range(total), count)
    assert len(chosen) == len(set(chosen)) == min(total, count)
    assert chosen == sorted(chosen)
    if 1 < count <= total:
        assert (chosen[0], chosen[-1]) == (0, total - 1)


def test_two_formats_are_asked_about(tmp_path, write_wfdb, write_csv):
    for k in range(6):
        write_wfdb(tmp_path / "d" / f"r{k}")
        write_csv(tmp_path / "d" / f"t{k}.csv", {"v": [0.1, -0.2] * 50}, header=False)
    listing = list_folder(tmp_path / "d")
    asked = survey_folder(listing, parse_answers([])).question
    assert [value for value, _ in asked.options] == ["wfdb", "text"]
    assert survey_folder(listing, parse_answers(["format=text"])).facts.format == "text"
    wfdb = survey_folder(listing, parse_answers(["format=wfdb"])).facts
    assert (wfdb.format, len(wfdb.paths)) == ("wfdb", 6)
    with pytest.raises(ConfigError, match="WFDB headers tell their rate"):
        survey_folder(listing, parse_answers(["format=wfdb", "rate_in=3"]))
    with pytest.raises(ConfigError, match="none of 18 files match"):
        survey_folder(listing, parse_answers(["include=*.xyz"]))


def test_headers_that_share_a_signal_file_count_once(tmp_path, write_wfdb):
    for k in range(3):
        write_wfdb(tmp_path / f"r{k}")
    (tmp_path / "copy.hea").write_text((tmp_path / "r1.hea").read_text().replace("r1 ", "copy "))
    facts = survey_folder(list_folder(tmp_path), parse_answers([])).facts
    assert facts.unreadable == {"duplicate_source": 1}
    assert facts.readable == 3
