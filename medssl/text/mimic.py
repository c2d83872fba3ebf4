"""Reports of MIMIC-CXR: free text, cut into sections as the published parser cuts it."""

from __future__ import annotations

import re
from typing import Final

from medssl.text.errors import EMPTY_REPORT, TextError
from medssl.text.headers import LAST_PARAGRAPH, cut_sections, spans
from medssl.text.mimic_exceptions import MISNAMED, SPANS
from medssl.text.report import Report

CONCLUSIONS: Final = ("impression", "findings")

_HEADER = re.compile(r"(?:\A|\n) ?(?=[ ()/,-]*[A-Z])([A-Z ()/,-]{1,100}):\s")
_PARAGRAPH = re.compile(r"\n ?\r?\n")


def parse_mimic(text: str, study: str | None = None) -> Report:
    r"""Cut a report into sections.

    A header is a line's first words in capitals and a colon. Blank sections are left out. Where
    neither an impression nor findings remain, what follows the first paragraph of the last section
    is `last paragraph`: many reports are one header and a few paragraphs.

    The published parser is `txt/section_parser.py` of MIT-LCP/mimic-cxr (MIT); names, order and
    exceptions are its. Differences: `last_paragraph` is spelt with a blank, blank sections of every
    name are left out, and a header may stand in the first line or without MIMIC's leading blank.

    Args:
        text: The whole file.
        study: Number of the study, with or without its `s`; 54 malformed reports have a rule of
            their own, whose section is `findings` here.

    Raises:
        TextError: There is no text (`EMPTY_REPORT`).

    >>> report = parse_mimic(" FINAL REPORT\n FINDINGS: Clear lungs.\n\n IMPRESSON: Normal.")
    >>> [(section.name, section.text) for section in report.sections[1:]]
    [('findings', 'Clear lungs.'), ('impression', 'Normal.')]
    """
    key = None if study is None else "s" + study.removeprefix("s")
    found = _spans(text)
    if key in SPANS:
        start, stop = SPANS[key]
        found = [span for span in found if span[0] not in (*CONCLUSIONS, LAST_PARAGRAPH)]
        if stop:  # a rule without a span says that the report has no findings
            found = [span for span in found if span[2] <= start] + [("findings", start, stop)]
    elif key in MISNAMED:
        places = [place for place, span in enumerate(found) if span[0] == MISNAMED[key]]
        for place in places[-1:]:
            found[place] = ("findings", *found[place][1:])
    sections = cut_sections(text, iter(found))
    if not sections:
        raise TextError(EMPTY_REPORT)
    return Report(sections, "mimic")


def _spans(text: str) -> list[tuple[str, int, int]]:
    found = [
        (name, start, stop)
        for name, start, stop in spans(text, _HEADER)
        if name not in CONCLUSIONS or text[start:stop].strip()
    ]
    if found and not any(name in CONCLUSIONS for name, _, _ in found):
        name, start, stop = found[-1]
        cut = _PARAGRAPH.search(text, start, stop)
        if cut is not None:
            found[-1:] = [(name, start, cut.start()), (LAST_PARAGRAPH, cut.end(), stop)]
    return found
