"""Plain notes, with and without headers."""

import pytest

from medssl.text.errors import EMPTY_REPORT, TextError
from medssl.text.plain import parse_plain


def named(text):
    return [(section.name, section.text) for section in parse_plain(text).sections]


def test_a_note_without_headers_is_one_section():
    assert named("A 55-year-old woman.\nRatio: 3:1. Seen at 12:30.") == [
        ("text", "A 55-year-old woman. Ratio: 3:1. Seen at 12:30.")
    ]


def test_headers_cut_and_what_stands_above_is_kept():
    text = "Radiology\nFindings:\nClear.\n  IMPRESSION: Normal.\nCLINICAL INFORMATION: Cough"
    assert named(text) == [
        ("preamble", "Radiology"),
        ("findings", "Clear."),
        ("impression", "Normal."),
        ("history", "Cough"),
    ]


def test_headers_stand_at_the_start_of_a_line():
    assert named("The findings: clear. IMPRESSION: none")[0][0] == "text"
    assert named("COVID:19 PCR")[0][0] == "text"


@pytest.mark.parametrize("text", ["", " \n ", "FINDINGS:\n IMPRESSION: "])
def test_no_text_is_a_verdict(text):
    with pytest.raises(TextError) as caught:
        parse_plain(text)
    assert caught.value.code == EMPTY_REPORT
