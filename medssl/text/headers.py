"""Section headers in running text: where they stand, and the one name of their many spellings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from medssl.text.report import TEXT, Section

PREAMBLE: Final = "preamble"
LAST_PARAGRAPH: Final = "last paragraph"

SPELLINGS: Final[dict[str, str]] = {
    "addendum": "addendum",
    "comment": "comment",
    "comparison": "comparison, comparisons, comparison exam, comparison film, reference exam, "
    "comparision, comparsion, comparrison, comparisions",
    "date": "date",
    "examination": "examination, exam, type of examination",
    "findings": "findings, finding, reference findings, findins, findindgs, findgings, findngs, "
    "findnings, finidngs",
    "history": "history, clinical history, clinical information, patient history, pfi",
    "impression": "impression, conclusion, findings and impression, findings/impression, "
    "findings/ impression, impresson, imprression, imoression, impressoin, imprssion, impresion, "
    "imperssion, mpression, impession, ndication",
    "indication": "indication, reason for examination, reason for exam, clinical indication, "
    "idication",
    "notification": "notification",
    "recommendations": "recommendations, recommendation, recommendation(s)",
    "technique": "technique",
    "wet read": "wet read, wetread",
}
"""Canonical names and the spellings found in MIMIC-CXR, after the published section parser
(MIT-LCP/mimic-cxr, `txt/section_parser.py`, MIT), two of which look odd and are kept so that the
sections agree: `pfi` is a history there, `ndication` an impression."""

_CANONICAL = {spelling: name for name, found in SPELLINGS.items() for spelling in found.split(", ")}
_TOLD = {*SPELLINGS, PREAMBLE, TEXT, LAST_PARAGRAPH}
_PARTS = ("impression", "findings", "history", "comparison", "addendum")
_VIEWS = re.compile(
    "chest|portable|pa and lat|lateral and pa|ap and lateral|lateral and ap|frontal and|two views|"
    "frontal view|pa view|ap view|one view|lateral view|bone window|frontal upright|"
    "frontal semi-upright|ribs"
)
_NO_LETTERS = re.compile(r"[^a-z]+")


def canonical_name(header: str) -> str:
    """The name of a header's section; an unknown header keeps its own words.

    A header that names the picture, as in `CHEST, TWO VIEWS:`, stands above the findings.

    >>> canonical_name("IMPRESSON"), canonical_name("CHEST, PA AND LATERAL")
    ('impression', 'findings')
    >>> canonical_name("WOUND (LEFT)")
    'wound left'
    """
    lower = header.strip().lower()
    if lower in _CANONICAL:
        return _CANONICAL[lower]
    for part in _PARTS:
        if part in lower:
            return part
    if _VIEWS.search(lower):
        return "findings"
    return _NO_LETTERS.sub(" ", lower).strip() or TEXT


def told_name(name: str) -> str:
    """The name of a section as it may leave the machine: one of ours, or `other`.

    An unknown header keeps its own words in the store, and these may be somebody's name.

    >>> told_name("findings"), told_name("dr smith john")
    ('findings', 'other')
    """
    return name if name in _TOLD else "other"


def spans(text: str, header: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    """Name, start and stop of every section that the headers cut, blank ones included.

    Args:
        text: The whole source.
        header: Matches a header with all before its section; group 1 holds its words.

    Yields:
        The text above the first header as `preamble` (or as `text`, where there is no header),
        then one span a header.
    """
    name, start = None, 0
    for found in header.finditer(text):
        yield name or PREAMBLE, start, found.start()
        name, start = canonical_name(found[1]), found.end()
    yield name or TEXT, start, len(text)


def cut_sections(text: str, found: Iterator[tuple[str, int, int]]) -> tuple[Section, ...]:
    """Spans as sections, without blank ones."""
    cut = (Section.cut(name, text[start:stop], start) for name, start, stop in found)
    return tuple(section for section in cut if section is not None)
