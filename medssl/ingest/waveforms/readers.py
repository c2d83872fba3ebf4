"""The reader of each format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from medssl.ingest.sources import BaseSource, TextSource, WfdbSource
from medssl.ingest.waveforms.recording import Recording
from medssl.ingest.waveforms.text_reader import read_text
from medssl.ingest.waveforms.wfdb_reader import read_wfdb

READERS: Final[Mapping[type[BaseSource], Callable[..., Recording]]] = {
    WfdbSource: read_wfdb,
    TextSource: read_text,
}
"""Each is called with the path, the source, and `folder=` of the source, which no file may leave;
it raises `Unreadable` with a reason, or gives a `Recording`."""


def open_recording(path: Path, source: Any, *, folder: Path) -> Recording:
    """Open one recording with the reader of its source's format.

    Args:
        path: The file.
        source: The source it belongs to.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    return READERS[type(source)](path, source, folder=folder)
