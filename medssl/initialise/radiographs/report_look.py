"""Look at text files: which are reports, and in which layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from medssl.initialise import text_kinds
from medssl.initialise.listing import spread, suffix
from medssl.text.decoding import decode_text
from medssl.text.errors import TextError
from medssl.text.mimic import parse_mimic
from medssl.text.openi import parse_openi
from medssl.text.plain import parse_plain
from medssl.text.report import TEXT, Report

Layout = Literal["openi", "mimic", "plain"]

MAX_FILES: Final = 200
"""Files of each extension that are looked into."""
_FEW: Final = 8
"""Those of them that are looked into first."""
_MAX_BYTES: Final = 256 << 10
"""Longer ones are no reports."""
_MIMIC: Final = re.compile(r"\A\s*FINAL (?:REPORT|ADDENDUM)|\n {1,40}FINAL REPORT")
_WORDS: Final = 3
"""Fewer words in a row are no sentence."""
READ: Final = ("findings", "impression")
"""Sections that encoders are shown by default."""


@dataclass(slots=True)
class ReportLook:
    """Files of one report each.

    Args:
        paths: All of them.
        layout: How they are written.
        opened: Those looked into.
        texts: Reports of the readable ones among them.
        unreadable: Those that cannot be read, by reason.
        others: Text files of another ending that are reports too, and are left out.
    """

    paths: tuple[str, ...]
    layout: Layout
    opened: int = 0
    texts: dict[str, Report] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)
    others: int = 0

    @property
    def sections(self) -> Counter[str]:
        """How many of the reports read have which section."""
        named = ({section.name for section in one.sections} for one in self.texts.values())
        return Counter(name for names in named for name in sorted(names))

    @property
    def section(self) -> str | None:
        """What texts without headers are to be called; None where most have headers."""
        if self.layout != "plain" or 2 * self.sections[TEXT] <= len(self.texts):
            return None
        return READ[0]

    @property
    def policy(self) -> dict[str, str]:
        """Settings of the text policy: sections of other names, or languages, are read as well."""
        if self.section or any(name in self.sections for name in READ):
            return {}
        return {"missing": "other"}

    @property
    def read(self) -> float:
        """Share of the reports looked into of which an encoder reads something."""
        if self.policy:
            return len(self.texts) / max(self.opened, 1)
        names = {*READ, TEXT} if self.section else set(READ)
        good = sum(any(s.name in names for s in one.sections) for one in self.texts.values())
        return good / max(self.opened, 1)


def look_at_reports(folder: Path, paths: Sequence[str]) -> ReportLook | None:
    """Find the reports among text files, by an evenly spaced sample of each extension.

    Args:
        folder: The folder.
        paths: Its `.xml` and `.txt` files.

    Returns:
        The largest kind of report; None when there is none.
    """
    kinds = []
    for ending in (".xml", ".txt"):
        members = tuple(path for path in paths if suffix(path) == ending)
        look = _look(folder, members, xml=ending == ".xml") if members else None
        kinds += [] if look is None else [look]
    if not kinds:
        return None
    chosen = max(kinds, key=lambda one: len(one.paths))
    chosen.others = sum(len(one.paths) for one in kinds) - len(chosen.paths)
    return chosen


def _look(folder: Path, paths: tuple[str, ...], *, xml: bool) -> ReportLook | None:
    # Files of numbers are told by a few of those that the look at signals opens too.
    few = spread(spread(paths, text_kinds.MAX_FILES), _FEW)
    if len(paths) > _FEW and _opened(folder, tuple(few), few, xml=xml) is None:
        return None
    return _opened(folder, paths, spread(paths, MAX_FILES), xml=xml)


def _opened(
    folder: Path, paths: tuple[str, ...], chosen: Sequence[str], *, xml: bool
) -> ReportLook | None:
    """What some of the files tell; None when most are no reports."""
    found = ReportLook(paths, "openi" if xml else "plain")
    mimic = other = 0
    for path in chosen:
        found.opened += 1
        try:
            data = _bytes(folder, path)
            text = "" if xml else decode_text(data)[0]
            report = parse_openi(data).report if xml else parse_plain(text)
        except TextError as error:
            found.unreadable[error.code] += 1
        except OSError as error:
            found.unreadable[error.strerror or type(error).__name__] += 1
        else:
            if not xml and not _is_report(report):
                other += 1
                continue
            found.texts[path] = report
            mimic += bool(_MIMIC.search(text))
    if 2 * len(found.texts) <= found.opened:
        return None
    if other:
        found.unreadable["no words in a row"] += other
    if 2 * mimic > len(found.texts):
        found.layout = "mimic"
        found.texts = {path: parse_mimic(_source(folder, path), PurePosixPath(path).stem)
                       for path in found.texts}  # fmt: skip
    return found


def _bytes(folder: Path, path: str) -> bytes:
    file = folder / path
    if not file.resolve().is_relative_to(folder):
        raise OSError(0, "links out of the folder")
    with file.open("rb") as opened:
        data = opened.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise OSError(0, "too long for a report")
    return data


def _source(folder: Path, path: str) -> str:
    return decode_text(_bytes(folder, path))[0]


def _is_report(report: Report) -> bool:
    """Whether it has known sections, or words rather than numbers."""
    if any(section.name in READ for section in report.sections):
        return True
    text = " ".join(section.text for section in report.sections)
    pieces = text.split()
    words = sum(re.fullmatch(r"[^\W\d_]{2,}[.,;:!?)]*", piece) is not None for piece in pieces)
    return words >= _WORDS and 2 * words > len(pieces)
