from __future__ import annotations

import csv
import hashlib
import shutil

import pytest

from medssl.errors import IngestError
from medssl.samples import sample_path, template_reports
from medssl.text.findings import NIH, label_findings


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


def rows_of(name):
    with (sample_path("cxr_nih") / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cxr_nih_holds_follow_ups_with_findings():
    rows = rows_of("metadata.csv")
    images = sorted((sample_path("cxr_nih") / "images").glob("*.png"))
    assert [f"images/{image.name}" for image in images] == sorted(row["file"] for row in rows)
    people = [row["participant"] for row in rows]
    assert (len(images), len(set(people))) == (128, 58)
    assert sum(people.count(one) > 1 for one in set(people)) >= 30
    for finding in ("Effusion", "Infiltration", "Atelectasis", "Cardiomegaly"):
        with_it = {row["participant"] for row in rows if row[finding] == "1"}
        assert 14 <= len(with_it) <= 20
    for image in images[:5]:
        assert image.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_its_template_reports_are_made_anew_byte_for_byte(tmp_path):
    committed = sample_path("cxr_nih") / "reports.csv"
    shutil.copy(committed.with_name("metadata.csv"), tmp_path)
    template_reports.main(tmp_path)
    assert (tmp_path / "reports.csv").read_bytes() == committed.read_bytes()
    readme = (committed.parent / "README.md").read_text(encoding="utf-8")
    assert "not radiologists' reports" in readme


def test_the_templates_say_what_the_labels_say_and_nothing_else():
    reports = {row["study"]: row for row in rows_of("reports.csv")}
    words = set()
    for row in rows_of("metadata.csv"):
        report = reports.pop(row["study"])
        assert report["participant"] == row["participant"]
        text = f"FINDINGS: {report['findings']}\nIMPRESSION: {report['impression']}"
        said = label_findings(text)
        assert "uncertain" not in said.values()
        for label, finding in NIH.items():
            assert (said.get(finding) == "present") == (row[label] == "1")
        words |= set(text.lower().replace(".", "").split())
        denied = sum(value == "absent" for name, value in said.items() if name in NIH.values())
        assert denied >= 2
    assert not reports
    assert not words & {"left", "right", "bilateral", "possible", "small", "mild", "severe"}


def test_the_samples_stay_small_and_say_their_licences():
    root = sample_path("ecg_id").parent
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    assert 9e6 < size < 12e6
    licences = (root / "LICENCES.md").read_text(encoding="utf-8")
    chest = sum(f.stat().st_size for f in sample_path("cxr_nih").rglob("*") if f.is_file())
    assert chest < 700_000
    assert "provided by the NIH Clinical Center" in " ".join(licences.split())
    for word in ("CC0", "CC BY 4.0", "ODC-By", "10.1038/sdata.2018.20", "10.13026/C2J01F"):
        assert word in licences


def test_a_published_file_is_unchanged():
    data = (sample_path("ppg_bp") / "0_subject" / "23_3.txt").read_bytes()
    assert hashlib.md5(data).hexdigest() == "d16049113f118bfa63d66f23e3756e36"


def test_an_unknown_sample_is_named_with_the_nearest():
    with pytest.raises(IngestError, match="did you mean ppg_bp"):
        sample_path("ppgbp")
