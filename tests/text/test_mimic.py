"""MIMIC-CXR text is cut as the published parser cuts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.errors import EMPTY_REPORT, TextError
from medssl.text.headers import SPELLINGS, canonical_name
from medssl.text.mimic import parse_mimic
from medssl.text.mimic_exceptions import MISNAMED, SPANS

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)
 
 INDICATION:  ___F with cough  // pneumonia?
 
 TECHNIQUE:  Chest PA and lateral
 
 FINDINGS: 
 
 Heart size is 2.5 cm.  No effusion.
 Seen by Dr. ___.
 
 IMPRESSON: 
 
 No acute process.
"""


def named(report):
    return [(section.name, section.text) for section in report.sections]


def test_a_report_is_cut_at_its_headers():
    report = parse_mimic(REPORT)
    assert named(report) == [
        ("preamble", "FINAL REPORT"),
        ("examination", "CHEST (PA AND LAT)"),
        ("indication", "___F with cough // pneumonia?"),
        ("technique", "Chest PA and lateral"),
        ("findings", "Heart size is 2.5 cm. No effusion. Seen by Dr. ___."),
        ("impression", "No acute process."),
    ]
    assert all(REPORT[s.offset :].startswith(s.text.split()[0]) for s in report.sections)
    assert parse_mimic(REPORT.replace("\n", "\r\n")).to_text() == report.to_text()


def test_without_a_conclusion_the_last_paragraph_is_one():
    text = " FINAL REPORT\n INDICATION:  Cough.\n \n Clear lungs.\n \n No effusion.\n"
    assert named(parse_mimic(text))[1:] == [
        ("indication", "Cough."),
        ("last paragraph", "Clear lungs. No effusion."),
    ]
    blank = " FINDINGS:\n \n INDICATION: Cough.\n \n Clear lungs.\n"
    assert named(parse_mimic(blank)) == [
        ("indication", "Cough."),
        ("last paragraph", "Clear lungs."),
    ]
    assert named(parse_mimic("One.\n \n Two.")) == [("text", "One."), ("last paragraph", "Two.")]


def test_headers_above_pictures_stand_over_findings():
    text = "\n CHEST, TWO VIEWS:  \n \n Clear.\n"
    assert named(parse_mimic(text)) == [("findings", "Clear.")]
    title = "\n CHEST, PA AND LATERAL:\n \n INDICATION:  Cough.\n FINDINGS: Clear.\n"
    assert named(parse_mimic(title)) == [("indication", "Cough."), ("findings", "Clear.")]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("FINDINGS/IMPRESSION", "impression"),
        ("REASON FOR EXAM", "indication"),
        ("Finidngs", "findings"),
        ("RECOMMENDATION(S)", "recommendations"),
        ("WETREAD", "wet read"),
        ("PRIOR COMPARISON", "comparison"),
        ("PORTABLE AP", "findings"),
        ("NOTE-TO, ALL", "note to all"),
        ("( )", "text"),
    ],
)
def test_spellings_have_one_name(header, name):
    assert canonical_name(header) == name


def test_no_spelling_stands_for_two_names():
    spellings = [one for found in SPELLINGS.values() for one in found.split(", ")]
    assert len(spellings) == len(set(spellings))
    assert all(name in found.split(", ") for name, found in SPELLINGS.items())


def test_studies_with_a_rule_of_their_own():
    assert (len(MISNAMED), len(SPANS)) == (23, 31)
    filler = "x" * 40
    text = f"\n INDICATION:  {filler}\n \n All of it stands here.\n"
    study = next(name for name, section in MISNAMED.items() if section == "indication")
    for key in (study, study.removeprefix("s")):
        assert ("findings", filler) in named(parse_mimic(text, key))
    spanned, (start, stop) = "s50196495", SPANS["s50196495"]
    long = "\n INDICATION: short.\n" + "y " * 300
    report = parse_mimic(long, spanned)
    assert report.sections[-1].name == "findings"
    assert report.sections[-1].text == " ".join(long[start:stop].split())
    empty = "s50798377"
    assert SPANS[empty] == (0, 0)
    assert "impression" not in [name for name, _ in named(parse_mimic(REPORT, empty))]


@given(st.text(st.sampled_from("AZ :\n.,x()"), max_size=80))
def test_no_word_is_lost(text):
    """All words but those of headers are in the sections, in order."""
    try:
        sections, code = parse_mimic(text).sections, ""
    except TextError as error:
        sections, code = (), error.code
    assert code == ("" if sections else EMPTY_REPORT)
    place = 0
    for section in sections:
        assert section.offset >= place
        place = section.offset + 1
        for word in section.text.split():
            assert word in text[section.offset :]


def test_a_long_line_of_capitals_takes_no_time_squared():
    assert named(parse_mimic("\n" + "A" * 200_000))[0][0] == "text"
