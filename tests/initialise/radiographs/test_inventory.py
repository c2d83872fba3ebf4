from __future__ import annotations

import pytest

from medssl.initialise.answers import Answers, parse_answers
from medssl.initialise.listing import list_folder
from medssl.initialise.radiographs.inventory import globs_of, take_inventory
from medssl.initialise.radiographs.report_look import look_at_reports
from tests.initialise.radiographs.conftest import write_dicom, write_image, write_report


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        write_image(tmp_path / f"d/pictures/{number}.PNG", number)
        write_dicom(tmp_path / f"d/pacs/IM{number}", number)
        write_dicom(tmp_path / f"d/uids/1.2.840.{number}", number)
        write_report(tmp_path / f"d/texts/{number}.txt", number)
    (tmp_path / "d/pacs/DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "d/README.txt").write_text("FINDINGS: none. This is about the data.")
    (tmp_path / "d/plan.pdf").write_bytes(b"%PDF-1.4")
    return tmp_path / "d"


def test_files_are_sorted_by_what_they_are(folder):
    found = take_inventory(list_folder(folder), Answers())
    assert found.images == tuple(f"pictures/{n}.PNG" for n in range(6))
    assert found.dicoms == tuple(
        [f"pacs/IM{n}" for n in range(6)] + [f"uids/1.2.840.{n}" for n in range(6)]
    )
    assert found.reports is not None
    assert found.reports.paths == tuple(f"texts/{n}.txt" for n in range(6))
    assert found.papers == 1
    assert found.rest == {".pdf": 1}


@pytest.mark.parametrize(
    ("answer", "files"),
    [("format=image", 6), ("format=dicom", 12), ("format=report", 6), ("modality=cxr", 18),
     ("modality=report", 6), ("include=pacs/*", 6)],
)  # fmt: skip
def test_answers_narrow_what_is_taken(folder, answer, files):
    assert take_inventory(list_folder(folder), parse_answers([answer])).files == files


def test_globs_find_what_they_are_for():
    every = ["a/1.png", "a/b/2.jpg", "a/notes.txt", "c/3.png"]
    assert globs_of(every[:2], every) == (("a/**/*.jpg", "a/**/*.png"), 0)
    assert globs_of(["a/1.png", "c/3.png"], every) == (("**/*.png",), 0)
    assert globs_of(["a/1.2.840.5"], [*every, "a/1.2.840.5"]) == (("a/**",), 3)


def test_layouts_of_reports(tmp_path):
    def look(texts):
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.txt").write_text(text)
        return look_at_reports(tmp_path, [f"{number}.txt" for number in range(len(texts))])

    plain = look(["Heart and lungs are normal.", "There is a small effusion."] * 6)
    assert plain is not None
    assert (plain.layout, plain.section, plain.read) == ("plain", "findings", 1.0)
    headed = look(["FINDINGS: Clear.\nIMPRESSION: Normal."] * 12)
    assert headed is not None
    assert (headed.layout, headed.section) == ("plain", None)
    mimic = look([" FINAL REPORT\n FINDINGS:\n Clear.\n\n IMPRESSION:\n Normal."] * 12)
    assert mimic is not None
    assert mimic.layout == "mimic"
    half = look(["HISTORY: Cough for two weeks.", "FINDINGS: Clear."] * 6)
    assert half is not None
    assert half.read == 0.5
    assert look(["1 2 3\n4 5 6\n7 8 9"] * 12) is None
    assert look(["t,ecg\n0,1\n1,2"] * 12) is None


def test_xml_of_another_kind_holds_no_reports(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.xml").write_text("<note><to>You</to></note>")
    assert look_at_reports(tmp_path, [f"{number}.xml" for number in range(6)]) is None
