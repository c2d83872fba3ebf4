"""Facts of headers."""

from datetime import UTC, datetime

import numpy as np
import pytest
from pydicom import Dataset

from medssl.ingest.ledger import Unreadable
from medssl.ingest.radiographs.dicom_facts import days_since_1970
from medssl.ingest.radiographs.dicom_reader import read_header

GREY = np.zeros((20, 20), dtype=np.uint8)


def code(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeMeaning = meaning
    return item


def test_all_facts(write_dicom):
    facts = read_header(
        write_dicom(
            GREY, PatientID="p 1", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4",
            ViewPosition="PA", ImageLaterality="U", StudyDate="20200102", StudyTime="060000",
            Manufacturer="Maker", ManufacturerModelName="Model 7", InstitutionName="Ward",
            BodyPartExamined="CHEST", Modality="DX", BurnedInAnnotation="NO",
        )
    )  # fmt: skip
    assert (facts.participant, facts.study, facts.series) == ("p 1", "1.2.3", "1.2.3.4")
    assert facts.instance
    assert facts.instance.startswith("1.2.826")
    assert (facts.view, facts.laterality, facts.body_part) == ("PA", "U", "CHEST")
    moment = datetime(2020, 1, 2, 6, tzinfo=UTC)
    assert facts.time == moment.timestamp() / 86400
    assert (facts.device, facts.site, facts.modality) == ("Maker Model 7", "Ward", "DX")
    assert facts.burned_in is False


def test_a_header_that_says_nothing(write_dicom):
    facts = read_header(write_dicom(GREY, PatientID="", StudyDate="", Manufacturer=" "))
    told = {name: getattr(facts, name) for name in facts.__slots__ if name != "instance"}
    assert set(told.values()) == {None}


@pytest.mark.parametrize(
    ("position", "meaning", "view"),
    [
        ("AP", "lateral", "AP"),
        ("", "postero-anterior", "PA"),
        ("LLO", "left lateral", "lateral"),
        ("LLO", "oblique", None),
    ],
)
def test_the_view_is_the_position_or_the_meaning_of_the_code(write_dicom, position, meaning, view):
    path = write_dicom(GREY, ViewPosition=position, ViewCodeSequence=[code(meaning)])
    assert read_header(path).view == view


@pytest.mark.parametrize(
    ("date", "time", "days"),
    [
        ("19700101", None, 0),
        ("19700102", "12", 1.5),
        ("1970.01.02", "12:00:00", 1.5),
        ("19691231", "180000.5", -0.25 + 0.5 / 86400),
        ("19700102", "nonsense", 1),
        ("19700230", None, None),
        ("00000101", None, None),
        ("", "120000", None),
        (None, None, None),
        ("20200101-20200102", None, None),
    ],
)
def test_days(date, time, days):
    assert days_since_1970(date, time) == (days if days is None else pytest.approx(days, abs=1e-9))


def test_pixels_are_not_read(write_dicom, from_pydicom, tmp_path):
    path = write_dicom(GREY, PatientID="p")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00") + 12])
    assert read_header(path).participant == "p"


def test_no_header(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"")
    with pytest.raises(Unreadable, match="empty_file"):
        read_header(tmp_path / "a.dcm")
    (tmp_path / "a.dcm").write_bytes(b"x" * 200)
    with pytest.raises(Unreadable, match="unreadable_header"):
        read_header(tmp_path / "a.dcm")
