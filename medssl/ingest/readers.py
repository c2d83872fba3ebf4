"""What pass 1 asks of files of any format: what they hold, their comments, their headers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.members import Member
from medssl.ingest.sidecars import sidecar_comments
from medssl.ingest.sources import (
    BaseReportSource,
    DicomSource,
    ReportTableSource,
    Source,
    WaveformSource,
)


def list_members(path: Path, source: Source, *, folder: Path) -> tuple[Member, ...] | None:
    """The recordings in one file; None for a source whose files hold one each.

    Args:
        path: The file.
        source: The source it belongs to.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    try:
        if isinstance(source, ReportTableSource):
            from medssl.ingest.reports.table import list_entries

            return list_entries(path, source)
        if isinstance(source, WaveformSource):
            from medssl.ingest.waveforms import readers

            return readers.list_members(path, source, folder=folder)
    except Unreadable:
        raise
    except Exception as error:
        # As in the batch: one odd file must not end a run over thousands.
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    return None


def comments_of(path: str, source: Source, *, folder: Path) -> tuple[str, ...]:
    """Comments of a file's header and sidecar, without its signals, pixels or text.

    Args:
        path: The file, relative to the folder.
        source: Its source.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    if isinstance(source, WaveformSource):
        from medssl.ingest.waveforms import readers

        return readers.comments_of(path, source, folder=folder)
    if isinstance(source, BaseReportSource):
        from medssl.ingest.reports.reader import read_report

        return read_report(folder / path, source, folder=folder).comments
    own: tuple[str, ...] = ()
    if isinstance(source, DicomSource):
        from medssl.ingest.headers import read_dicom_header

        own = read_dicom_header(folder / path).comments
    return own + sidecar_comments(path, source, folder=folder)


def header_facts(path: str, source: Source, *, folder: Path) -> Mapping[str, str]:
    """What the header of a file says of whose it is, by the words of medssl.

    Args:
        path: The file, relative to the folder.
        source: Its source.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: There is no such header.
    """
    if not isinstance(source, DicomSource):
        return {}
    from medssl.ingest.headers import read_dicom_header

    return read_dicom_header(folder / path).told
