"""Comments of a recording that stand in a text file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import Source

MAX_BYTES: Final = 1 << 20


def sidecar_of(path: str, source: Source) -> str | None:
    """Where the sidecar of a recording would be, relative to the folder of its source."""
    return source.sidecar.path_of(path) if source.sidecar is not None else None


def sidecar_comments(path: str, source: Source, *, folder: Path) -> tuple[str, ...]:
    """The `key: value` lines of a recording's sidecar; none when it has no sidecar.

    Args:
        path: The recording, relative to the folder.
        source: Its source.
        folder: Folder of the source, which the sidecar may not leave.

    Raises:
        Unreadable: The sidecar is no text, too large, or outside the folder.
    """
    name = sidecar_of(path, source)
    if name is None or not (folder / name).is_file():
        return ()
    lines = _lines(folder / name, folder)
    return tuple(line.strip() for line in lines if ":" in line)


def _lines(path: Path, folder: Path) -> list[str]:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a file links outside the folder")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    if len(content) > MAX_BYTES:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"a sidecar above {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Unreadable(Reason.UNREADABLE_TEXT, "the sidecar is not text in UTF-8") from error
