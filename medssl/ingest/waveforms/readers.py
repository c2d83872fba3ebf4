"""The reader of each format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.members import Member
from medssl.ingest.sidecars import sidecar_comments
from medssl.ingest.sources import (
    EdfSource,
    MatlabSource,
    ParquetSource,
    TextSource,
    WaveformSource,
    WfdbSource,
)
from medssl.ingest.waveforms.edf_reader import read_edf
from medssl.ingest.waveforms.matlab_reader import matlab_members, read_matlab
from medssl.ingest.waveforms.parquet_reader import parquet_members, read_parquet
from medssl.ingest.waveforms.recording import Recording
from medssl.ingest.waveforms.text_reader import read_text
from medssl.ingest.waveforms.wfdb_reader import read_wfdb
from medssl.ingest.waveforms.wfdb_text import header_text

READERS: Final[Mapping[type[WaveformSource], Callable[..., Recording]]] = {
    WfdbSource: read_wfdb,
    TextSource: read_text,
    EdfSource: read_edf,
    MatlabSource: read_matlab,
    ParquetSource: read_parquet,
}
"""Each is called with the path, the source, and `folder=` of the source, which no file may leave;
it raises `Unreadable` with a reason, or gives a `Recording`."""

MEMBERS: Final[Mapping[type[WaveformSource], Callable[..., tuple[Member, ...]]]] = {
    MatlabSource: matlab_members,
    ParquetSource: parquet_members,
}
"""What lists the recordings in one file of a source with `recordings`, called like a reader. Such
a reader also takes `member=`, the key of one of them."""


def open_recording(path: Path, source: Any, *, folder: Path, member: str = "") -> Recording:
    """Open one recording with the reader of its source's format.

    Args:
        path: The file.
        source: The source it belongs to.
        folder: Folder of the source, which no file may leave.
        member: Which recording of a file that holds several.

    Raises:
        Unreadable: With the reason and evidence.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        raise Unreadable(Reason.NOT_A_RECORDING, "no longer a file")
    options = {"member": member} if member else {}
    recording = READERS[type(source)](path, source, folder=folder, **options)
    beside = sidecar_comments(path.relative_to(folder).as_posix(), source, folder=folder)
    return replace(recording, comments=recording.comments + beside) if beside else recording


def comments_of(path: str, source: WaveformSource, *, folder: Path) -> tuple[str, ...]:
    """Comments of a recording's header and sidecar, without its signals.

    Args:
        path: The recording, relative to the folder.
        source: Its source.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    own: tuple[str, ...] = ()
    if isinstance(source, WfdbSource):
        own = header_text(folder / path).comments
    elif not isinstance(source, TextSource):
        return open_recording(folder / path, source, folder=folder).comments
    return own + sidecar_comments(path, source, folder=folder)


def list_members(path: Path, source: Any, *, folder: Path) -> tuple[Member, ...] | None:
    """The recordings in one file; None for a source whose files hold one each.

    Args:
        path: The file.
        source: The source it belongs to.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    if getattr(source, "recordings", None) is None:
        return None
    try:
        return MEMBERS[type(source)](path, source, folder=folder)
    except Unreadable:
        raise
    except Exception as error:
        # As in the batch: one odd file must not end a run over thousands.
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
