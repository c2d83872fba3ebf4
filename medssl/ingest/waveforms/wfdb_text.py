"""The lines of a WFDB header as text, whatever is in them: nothing here raises on content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_HEADER_BYTES: Final = 4 << 20
"""Room for the headers of records that were cut into a hundred thousand segments."""


@dataclass(frozen=True, slots=True)
class HeaderText:
    """A header's lines, as the WFDB format splits them.

    Args:
        lines: All lines but comments and empty ones; the first is the record's own.
        comments: Comment lines without their `#`.
    """

    lines: tuple[str, ...]
    comments: tuple[str, ...]

    @property
    def several(self) -> bool:
        """Whether the record is made of segments with headers of their own."""
        return bool(self.lines) and re.match(r"[-\w]+/\d+(\s|$)", self.lines[0]) is not None

    @property
    def words(self) -> list[list[str]]:
        """Words of the lines after the first: one line a signal, or a segment."""
        return [line.split() for line in self.lines[1:]]


def header_text(path: Path) -> HeaderText:
    r"""Read a header as UTF-8, or as Latin-1 where it is not that.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "r.hea")
    ...     _ = path.write_bytes("r 1 250\n# Größe: 1\nr.dat 16 200/µV\n".encode("latin-1"))
    ...     print(header_text(path))
    HeaderText(lines=('r 1 250', 'r.dat 16 200/µV'), comments=('Größe: 1',))
    """
    if not path.is_file():
        return HeaderText((), ())  # opening a pipe would wait for ever
    with path.open("rb") as file:
        content = file.read(MAX_HEADER_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    # Not str.splitlines: it also splits at marks that Latin-1 letters can look like.
    stripped = [line.strip() for line in re.split(r"\r\n|\r|\n", text)]
    return HeaderText(
        lines=tuple(line for line in stripped if line and not line.startswith("#")),
        comments=tuple(line.strip(" \t#") for line in stripped if line.startswith("#")),
    )


def is_plain_name(name: str) -> bool:
    """Whether a name stays in its folder: no folder part, no link to elsewhere.

    >>> [is_plain_name(name) for name in ("rec_1.dat", "../x.dat", "/x.dat", "a::http:b")]
    [True, False, False, False]
    """
    # "::" and ":" would chain remote file systems in fsspec, which wfdb opens files through.
    return name not in {"", ".", ".."} and not re.search(r"[/\\:\0]", name)


def named_files(path: Path) -> tuple[str, ...]:
    """Names of the files that a header claims, when they are plain names.

    These are its signal files; of a record in segments, the segments' headers and signal files. A
    header of segments is never a segment itself, so that two which name each other claim nothing.
    """
    text = header_text(path)
    names = [words[0] for words in text.words if words[0] != "~" and is_plain_name(words[0])]
    if not text.several:
        return tuple(dict.fromkeys(name for name in names if not name.endswith(".hea")))
    files: list[str] = []
    for name in dict.fromkeys(names):
        segment = path.with_name(f"{name}.hea")
        if segment.is_file() and not header_text(segment).several:
            files += [segment.name, *named_files(segment)]
    return tuple(dict.fromkeys(files))
