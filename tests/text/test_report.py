"""Reports go to stored text and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.report import TEXT, Report, Section, collapsed

NAMES = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,2}", fullmatch=True)
TEXTS = st.text(min_size=1, max_size=60).map(collapsed).filter(bool)


@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=5))
def test_stored_text_is_read_back_as_it_was(pairs):
    report = Report(tuple(Section(name, text, 0) for name, text in pairs), "plain")
    stored = report.to_text()
    assert stored.count("\n") == len(pairs) - 1
    back = Report.from_text(stored)
    assert [(section.name, section.text) for section in back.sections] == pairs
    assert all(stored[s.offset : s.offset + len(s.text)] == s.text for s in back.sections)
    assert back.to_text() == stored


@given(st.text(max_size=80))
def test_any_text_that_is_not_blank_is_some_report(text):
    if not text.strip():
        with pytest.raises(ValueError, match="at least one section"):
            Report.from_text(text)
        return
    try:
        report = Report.from_text(text)
    except ValueError:  # headers without any text
        assert ": " in text
        return
    assert all(text[s.offset :].startswith(s.text.split()[0]) for s in report.sections)


def test_a_text_without_headers_is_one_section():
    (section,) = Report.from_text(" Clear lungs.\nNo effusion. ").sections
    assert (section.name, section.text, section.offset) == (TEXT, "Clear lungs. No effusion.", 1)


def test_a_name_may_occur_twice():
    report = Report.from_text("FINDINGS: One.\nIMPRESSION: Two.\nFINDINGS: Three.")
    assert [section.text for section in report.named("findings")] == ["One.", "Three."]


@pytest.mark.parametrize(
    ("name", "text"),
    [("Findings", "a"), ("a1", "a"), ("", "a"), ("a", ""), ("a", "b  c"), ("a", "b\n")],
)
def test_sections_are_checked(name, text):
    with pytest.raises(ValueError, match="section"):
        Section(name, text, 0)


def test_a_cut_begins_where_its_text_begins():
    assert Section.cut("findings", "\n  two\n words ", 10) == Section("findings", "two words", 13)
    assert Section.cut("findings", " \n ", 10) is None
