"""Reports in a table: one a study, or one a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from medssl.config import nearest
from medssl.errors import IngestError
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.members import Member
from medssl.ingest.reports.verdicts import reasoned
from medssl.ingest.sources import ReportTableSource
from medssl.ingest.tables import RawTable, read_table
from medssl.text.errors import EMPTY_REPORT, TextError
from medssl.text.plain import parse_plain
from medssl.text.report import Report, Section

MAX_BYTES: Final = 512 << 20
"""Largest table; it is held in memory, and so is one text for each report."""

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One report of a table.

    Args:
        reports: What each row says that adds something.
        told: Whose it is.
        repeats: Further rows that say the same.
        disagree: A fact that its rows do not agree on; empty when they do.
    """

    reports: tuple[Report, ...]
    told: Mapping[str, str]
    repeats: int = 0
    disagree: str = ""

    @property
    def report(self) -> Report:
        """The report.

        Raises:
            Unreadable: There is no text, or its rows do not agree whose it is.
        """
        if self.disagree:
            detail = f"rows of one study differ in their {self.disagree}"
            raise Unreadable(Reason.RULES_DISAGREE, detail)
        if not self.reports:
            raise Unreadable(Reason.EMPTY_REPORT)
        return Report(tuple(s for one in self.reports for s in one.sections), "table")


def list_entries(path: Path, source: ReportTableSource) -> tuple[Member, ...]:
    """All reports of a table.

    Raises:
        Unreadable: It is no table, is too large, or has not the configured columns.
    """
    return tuple(
        Member(key=key, told=entry.told, repeats=entry.repeats)
        for key, entry in _entries(path, source).items()
    )


def read_entry(path: Path, source: ReportTableSource, key: str) -> Entry:
    """One report of a table.

    Raises:
        Unreadable: As for `list_entries`, or it is gone.
    """
    entry = _entries(path, source).get(key)
    if entry is None:
        raise Unreadable(Reason.READER_FAILED, "the table changed while it was read")
    return entry


@dataclass(frozen=True, slots=True)
class _Request:
    """What the entries of a table depend on."""

    path: Path
    mtime: int
    size: int
    source: ReportTableSource = field(hash=False)  # settings hold mappings, which have no hash


def _entries(path: Path, source: ReportTableSource) -> dict[str, Entry]:
    try:
        stat = path.stat()
    except OSError as error:
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    if stat.st_size > MAX_BYTES:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"a table above {MAX_BYTES} bytes")
    return _read(_Request(path, stat.st_mtime_ns, stat.st_size, source))


@lru_cache(maxsize=2)
def _read(request: _Request) -> dict[str, Entry]:
    """The entries of a table, remembered as long as it does not change."""
    source = request.source
    table = _table(request.path, source)
    entries: dict[str, Entry] = {}
    for key, rows in _groups(table, source):
        for place, entry in enumerate(_distinct(rows, source), start=1):
            wanted = key if place == 1 else f"{key}.{place}"
            while wanted in entries:  # a study of two people, which pass 1 refuses
                wanted += "'"
            entries[wanted] = entry
    return entries


def _table(path: Path, source: ReportTableSource) -> RawTable:
    if not path.stat().st_size:
        raise Unreadable(Reason.EMPTY_FILE)
    try:
        table = read_table(path, header_row=source.rows.header_row)
    except IngestError as error:
        raise Unreadable(Reason.UNREADABLE_TEXT, "no table in UTF-8") from error
    for name in source.columns:
        count = table.columns.count(name)
        if count != 1:
            near = nearest(name, table.columns)
            raise Unreadable(Reason.MISSING_CHANNEL, f"{count} columns are called {name!r}{near}")
    return table


def _groups(table: RawTable, source: ReportTableSource) -> Iterator[tuple[str, Rows]]:
    """Rows of one study, in their order, with the key of their report."""
    rule = source.rows
    studies: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for number, row in enumerate(table.rows, start=1):
        if not rule.takes(row):
            continue
        told = rule.told(row)
        if not rule.study:
            yield f"r{number}", [row]
        else:
            # A row without a study is alone, and pass 1 refuses it.
            place = (told["participant"], told["study"] or f"\0{number}")
            studies.setdefault(place, []).append(row)
    for (_, study), rows in studies.items():
        yield study.replace("\0", "r"), rows


def _distinct(rows: Rows, source: ReportTableSource) -> Iterator[Entry]:
    """One entry for rows that are joined or say the same; else one for each that differs."""
    said: dict[str, tuple[Report | None, list[Mapping[str, str]]]] = {}
    for row in rows:
        report = _report(row, source)
        text = "" if report is None else report.to_text()
        said.setdefault(text, (report, []))[1].append(row)
    # Rows without a text add nothing to a study that has one.
    full = {text: one for text, one in said.items() if text} or said
    if source.rows.several == "join":
        reports = tuple(report for report, _ in full.values() if report is not None)
        yield _entry(reports, rows, source, repeats=len(rows) - len(full))
        return
    for report, same in full.values():
        reports = () if report is None else (report,)
        yield _entry(reports, same, source, repeats=len(same) - 1)


def _entry(
    reports: tuple[Report, ...], rows: Rows, source: ReportTableSource, *, repeats: int
) -> Entry:
    told = [source.rows.told(row) for row in rows]
    differ = [name for name in told[0] if len({one[name] for one in told}) > 1]
    return Entry(
        reports=reports, told=told[0], repeats=repeats, disagree=differ[0] if differ else ""
    )


def _report(row: Mapping[str, str], source: ReportTableSource) -> Report | None:
    """What one row says; None when it says nothing."""
    if source.sections:
        cut = (Section.cut(name, row[column], 0) for name, column in source.sections.items())
        sections = tuple(section for section in cut if section is not None)
        return Report(sections, "table") if sections else None
    try:
        return parse_plain(" ".join(row[column] for column in source.text), source.section)
    except TextError as error:
        if error.code == EMPTY_REPORT:
            return None
        with reasoned():
            raise
