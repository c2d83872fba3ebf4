"""Names of the files in a folder, and which of them are looked into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from medssl.errors import ConfigError
from medssl.ingest.listing import is_text, list_files, matches

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder and its files.

    Args:
        folder: The folder, absolute.
        files: POSIX paths relative to it, sorted, without hidden files.
        hidden: How many files or their folders have a name that begins with a dot.
        unreadable: How many have a name that is not UTF-8, which ingest refuses.
    """

    folder: Path
    files: tuple[str, ...]
    hidden: int
    unreadable: int = 0

    def included(self, globs: Sequence[str]) -> tuple[str, ...]:
        """Files that match one of the globs."""
        return tuple(path for path in self.files if any(matches(path, glob) for glob in globs))


def list_folder(folder: Path) -> Listing:
    """List a folder; nothing is opened.

    Raises:
        ConfigError: There is no such folder, or no file in it.
        IngestError: A folder below it cannot be listed.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        msg = f"{folder} {what}: give the folder that holds the recordings"
        raise ConfigError(msg)
    folder = folder.resolve()
    found = list(list_files(folder))
    every = [path for path in found if is_text(path)]
    shown = tuple(path for path in every if not _is_hidden(path) and not _is_special(folder / path))
    if not shown:
        hidden = f" but {len(found)} hidden or special or oddly named file(s)" if found else ""
        msg = f"{folder} holds no file{hidden}: give the folder that holds the recordings"
        raise ConfigError(msg)
    return Listing(folder, shown, len(every) - len(shown), len(found) - len(every))


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device: opening one may wait for ever."""
    return path.exists() and not path.is_file() and not path.is_dir()


def suffix(path: str) -> str:
    """The file name's extension in lower case; `.nii.gz` is one extension.

    >>> suffix("a/B.NII.gz"), suffix("a/README")
    ('.nii.gz', '')
    """
    name = PurePosixPath(path.casefold())
    return ".nii.gz" if name.name.endswith(".nii.gz") else name.suffix


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly spaced, the first and the last among them.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    if len(items) <= count:
        return list(items)
    if count == 1:
        return [items[0]]
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "recording"), plural(1200, "recording")
    ('1 recording', '1,200 recordings')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
