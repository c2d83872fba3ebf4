from __future__ import annotations

import csv
import hashlib

import pytest

from medssl.errors import IngestError
from medssl.samples import sample_path


def test_ppg_bp_holds_three_segments_of_131_participants():
    files = sorted((sample_path("ppg_bp") / "0_subject").glob("*.txt"))
    people = [file.stem.split("_")[0] for file in files]
    assert len(files) == 393
    assert len(set(people)) == 131
    assert all(people.count(one) == 3 for one in set(people))


def test_ppg_bp_labels_cover_every_participant_and_keep_the_published_names():
    with (sample_path("ppg_bp") / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    people = {f.stem.split("_")[0] for f in (sample_path("ppg_bp") / "0_subject").glob("*.txt")}
    assert {row["subject_ID"] for row in rows} == people
    assert [row["Sex(M/F)"] for row in rows].count("Male") == 69
    ages = [int(row["Age(year)"]) for row in rows]
    assert (min(ages), max(ages)) == (21, 86)


def test_the_signal_that_two_participants_share_is_kept():
    folder = sample_path("ppg_bp") / "0_subject"
    assert (folder / "23_3.txt").read_bytes() == (folder / "24_1.txt").read_bytes()


def test_ecg_id_holds_up_to_three_whole_recordings_of_54_participants():
    folders = sorted(folder for folder in sample_path("ecg_id").iterdir() if folder.is_dir())
    assert len(folders) == 54
    for folder in folders:
        headers = sorted(folder.glob("*.hea"))
        assert 2 <= len(headers) <= 3
        assert not list(folder.glob("*.atr"))
        for header in headers:
            assert header.with_suffix(".dat").stat().st_size == 2 * 2 * 10_000


def test_the_samples_stay_small_and_say_their_licences():
    root = sample_path("ecg_id").parent
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    assert 9e6 < size < 12e6
    licences = (root / "LICENCES.md").read_text(encoding="utf-8")
    for word in ("CC0", "CC BY 4.0", "ODC-By", "10.1038/sdata.2018.20", "10.13026/C2J01F"):
        assert word in licences


def test_a_published_file_is_unchanged():
    data = (sample_path("ppg_bp") / "0_subject" / "23_3.txt").read_bytes()
    assert hashlib.md5(data).hexdigest() == "d16049113f118bfa63d66f23e3756e36"


def test_an_unknown_sample_is_named_with_the_nearest():
    with pytest.raises(IngestError, match="did you mean ppg_bp"):
        sample_path("ppgbp")
