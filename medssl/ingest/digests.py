"""Digests of what records are made from."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from medssl.files import digest_bytes, digest_file, digest_json
from medssl.ingest.discover import RecordingTask
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.records_of import guarded
from medssl.ingest.sources import BaseReportSource, ReportTableSource, Source


def source_digest(task: RecordingTask, source: Source, folder: Path) -> str:
    """Digest of what a recording is made from: its files, or the text of a row.

    Raises:
        Unreadable: A file cannot be read, or lies outside the folder.
    """
    digests = []
    for path in (task.file, *task.companions):
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a file links outside the folder")
        try:
            stat = (folder / path).stat()
            if not isinstance(source, ReportTableSource):
                digests.append(_digest(folder / path, stat.st_mtime_ns, stat.st_size))
        except OSError as error:
            raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    if isinstance(source, ReportTableSource):
        # A row that is added to the table must not make new reports of all others.
        return text_digest(task, source, folder)
    return digests[0] if len(digests) == 1 else digest_json(digests)


@lru_cache(maxsize=8)
def _digest(path: Path, mtime: int, size: int) -> str:
    """Digest of a file, remembered for the next recording in it as long as it does not change."""
    return digest_file(path)


def text_digest(task: RecordingTask, source: Source, folder: Path) -> str:
    """Digest of a report's text, as the store has it.

    Raises:
        Unreadable: There is none.
    """
    from medssl.ingest.reports.reader import read_report

    assert isinstance(source, BaseReportSource)
    with guarded():
        read = read_report(folder / task.file, source, folder=folder, member=task.member)
    return digest_bytes(read.text.encode())
