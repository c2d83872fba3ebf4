"""Reads one report: a file, or what a table says of one study."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.reports.table import read_entry
from medssl.ingest.reports.verdicts import reasoned
from medssl.ingest.sidecars import sidecar_comments
from medssl.ingest.sources import BaseReportSource, ReportSource, ReportTableSource
from medssl.text.decoding import decode_text
from medssl.text.mimic import parse_mimic
from medssl.text.openi import parse_openi
from medssl.text.plain import parse_plain
from medssl.text.report import Report

MAX_BYTES: Final = 4 << 20
"""Largest report; a page has 4 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """One report.

    Args:
        report: Its sections.
        comments: What else the file says, such as `"MeSH: Cardiomegaly; Edema"`.
        encoding: How its bytes were read.
    """

    report: Report
    comments: tuple[str, ...] = ()
    encoding: str = "utf-8"

    @property
    def text(self) -> str:
        """As stored."""
        return self.report.to_text()


def read_report(
    path: Path, source: BaseReportSource, *, folder: Path, member: str = ""
) -> ReadReport:
    """Read a report.

    Args:
        path: Its file.
        source: The source it belongs to.
        folder: Folder of the source, which no file may leave.
        member: Its key in a table.

    Raises:
        Unreadable: With the reason and evidence, and no word of the text.
    """
    if isinstance(source, ReportTableSource):
        return ReadReport(report=read_entry(path, source, member).report)
    assert isinstance(source, ReportSource)
    read = _parse(_bytes(path), source, name=path.stem)
    beside = sidecar_comments(path.relative_to(folder).as_posix(), source, folder=folder)
    return replace(read, comments=read.comments + beside)


def _parse(data: bytes, source: ReportSource, *, name: str) -> ReadReport:
    with reasoned():
        if source.layout == "openi":
            found = parse_openi(data)
            terms = {"MeSH": found.mesh_major, "MeSH automatic": found.mesh_automatic}
            comments = tuple(f"{key}: {'; '.join(said)}" for key, said in terms.items() if said)
            return ReadReport(report=found.report, comments=comments)
        text, encoding = decode_text(data)
        if source.layout == "mimic":
            return ReadReport(report=parse_mimic(text, name), encoding=encoding)
        return ReadReport(report=parse_plain(text, source.section), encoding=encoding)


def _bytes(path: Path) -> bytes:
    if not path.is_file():  # opening a pipe would wait for ever
        raise Unreadable(Reason.NOT_A_RECORDING, "no longer a file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    if len(data) > MAX_BYTES:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"a report above {MAX_BYTES} bytes")
    return data
