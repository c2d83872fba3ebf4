"""Plain text: sections where it has headers, one section `text` where it has none."""

from __future__ import annotations

import re
from dataclasses import replace

from medssl.text.errors import EMPTY_REPORT, TextError
from medssl.text.headers import SPELLINGS, cut_sections, spans
from medssl.text.report import TEXT, Report

_KNOWN = "|".join(re.escape(name) for names in SPELLINGS.values() for name in names.split(", "))
_HEADER = re.compile(rf"(?:^|(?<=\n))[ \t]*([A-Z][A-Z ()/,&-]{{2,60}}|(?i:{_KNOWN})):(?=\s|$)")


def parse_plain(text: str, section: str = TEXT) -> Report:
    r"""Cut a text at its headers: at the start of a line, words in capitals and a colon.

    Known headers count in any letters (`Findings:`). What stands above the first header is
    `preamble`. A note without headers is one section, which `TextPolicy.sections` can name.

    Args:
        text: All of it.
        section: What a text without headers is called.

    Raises:
        TextError: There is no text (`EMPTY_REPORT`).

    >>> [section.name for section in parse_plain("Findings: Clear.\nIMPRESSION: Normal.").sections]
    ['findings', 'impression']
    >>> parse_plain("Cough: two weeks.").sections[0].name
    'text'
    """
    cut = cut_sections(text, spans(text, _HEADER))
    sections = tuple(replace(one, name=section) if one.name == TEXT else one for one in cut)
    if not sections:
        raise TextError(EMPTY_REPORT)
    return Report(sections, "plain")
