"""Studies: whose they are, and how many of them are whole."""

from __future__ import annotations

import pytest

from medssl.ingest import ingest
from medssl.ingest.deidentify import pseudonym, study_pseudonym
from medssl.store import Store

IMAGE = {"format": "image"}
REPORT = {"format": "report"}


@pytest.fixture
def run(tmp_path, chest_config):
    def read(*sources, store="store", **top):
        report = ingest(chest_config(tmp_path / "raw", *sources, **top), tmp_path / store)
        return report, Store.open(tmp_path / store)

    return read


@pytest.fixture
def raw(tmp_path, write_image, write_text):
    """Images of two participants, and a report of each study but one."""
    for seed, name in enumerate(("p1/a.1", "p1/a.2", "p1/b.1", "p2/c.1", "p2/d.1")):
        write_image(tmp_path / "raw" / f"{name}.png", seed=seed)
    for name in ("p1/a", "p1/b", "p2/c", "p2/e"):
        write_text(tmp_path / "raw" / f"{name}.txt", f"FINDINGS: Report {name[-1]}.")
    return tmp_path / "raw"


def test_images_and_reports_meet_in_their_study(run, raw):
    report, store = run(IMAGE, REPORT)
    frame = store.records.to_pandas()
    kinds = frame.groupby("study").modality.agg(lambda names: "+".join(sorted(names)))
    assert sorted(kinds) == [
        "radiograph", "radiograph+radiograph+report", "radiograph+report", "radiograph+report",
        "report",
    ]  # fmt: skip
    assert report.studies.model_dump() == {"complete": 3, "images_only": 1, "reports_only": 1}
    person = pseudonym("p1", source="chest", key="medssl")
    assert study_pseudonym("a", participant=person, key="medssl") in set(frame.study)
    assert not set(frame.study) & {"a", "b", "c", "d", "e"}


def test_counts_are_those_of_the_whole_store(run, raw, write_text):
    assert run(IMAGE)[0].studies.model_dump() == {
        "complete": 0, "images_only": 4, "reports_only": 0,
    }  # fmt: skip
    report, _ = run(IMAGE, REPORT)
    assert report.studies.model_dump() == {"complete": 3, "images_only": 1, "reports_only": 1}
    write_text(raw / "p2" / "d.txt", "FINDINGS: Late.")
    assert run(REPORT)[0].studies.complete == 4  # a run of reports alone: the images are there


def test_a_study_of_two_participants_is_refused_across_sources(run, raw, write_text):
    write_text(raw / "p2" / "a.txt", "FINDINGS: Whose?")
    report, store = run(IMAGE, REPORT)
    assert report.ledger == {"not_a_recording": 10, "study_of_two_participants": 4}
    refused = {
        row["path"]: row["detail"]
        for row in store.ledger.to_pylist()
        if row["reason"] == "study_of_two_participants"
    }
    assert refused == dict.fromkeys(
        ("p1/a.1.png", "p1/a.2.png", "p1/a.txt", "p2/a.txt"), "2 participants in chest"
    )
    assert report.studies.complete == 2


def test_studies_of_two_cohorts_may_have_one_name(run, raw, write_text):
    write_text(raw / "p2" / "a.txt", "FINDINGS: Of another hospital.")
    report, _ = run(IMAGE, REPORT | {"cohort": "other"})
    assert report.ledger == {"not_a_recording": 10, "study_of_two_participants": 2}
    assert report.studies.complete == 0  # people of two cohorts are not the same


def test_each_file_may_be_a_study(run, raw):
    report, store = run(IMAGE | {"study": {"each_recording": True}})
    assert report.studies.images_only == len(set(store.column("study"))) == 5


def test_a_folder_may_be_a_study(run, raw):
    report, store = run(IMAGE | {"study": {"from_parent": True}})
    assert report.studies.images_only == len(set(store.column("study"))) == 2


def test_waveforms_have_no_studies_in_the_report(tmp_path, write_row, text_config):
    write_row(tmp_path / "raw" / "p1_1.txt")
    report = ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    assert (report.studies, report.views) == (None, {})


def test_the_sample_gives_the_counts_that_its_readme_says(tmp_path, chest_config):
    images = {
        "path": "sample:cxr_nih",
        "participant": None,
        "study": None,
        "edge": 64,
        "manifest": {
            "table": "metadata.csv", "file": "file", "participant": "participant",
            "study": "study", "view": "view", "time": "followup", "time_unit": "order",
            "labels": {name: name for name in ("Effusion", "Cardiomegaly")},
        },
    }  # fmt: skip
    reports = {
        "format": "report_table",
        "path": "sample:cxr_nih",
        "rows": {"participant": "participant", "study": "study"},
        "sections": {"findings": "findings", "impression": "impression"},
        "labels": {"findings": {"said": "effusion"}, "level": "session"},
    }
    report = ingest(chest_config(tmp_path, images, reports), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert (report.participants, report.records) == (58, 256)
    assert report.studies.model_dump() == {"complete": 128, "images_only": 0, "reports_only": 0}
    assert report.views == {"PA": 98, "AP": 30}
    assert set(report.ledger) == {"not_a_recording"}
    rows = store.rows(modality="radiograph")
    labels = store.record_labels.reindex(store.column("record", rows))
    assert labels["Effusion"].sum() == labels["said"].sum() == 22
    assert store.contract("radiograph").edge == 64
