"""Files below a folder: listed in one order, matched with globs, and told from papers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from medssl.errors import IngestError

_PAPERS: Final = re.compile(
    r"(readme|licen[cs]es?|copying|changelog|changes|records|records-.*|sha256sums.*|reference"
    r"|annotators)(\.(txt|md|csv|rst|html?|pdf))?",
    re.IGNORECASE,
)
"""Files that accompany data sets and are no recordings, whatever `include` says."""


def list_files(folder: Path) -> Iterator[str]:
    """Every file below a folder, as a sorted POSIX path relative to it; links are not followed.

    Raises:
        IngestError: A folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        msg = f"cannot list a folder below {folder} ({error.strerror}): make it readable"
        raise IngestError(msg) from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*names, *links]):
            yield Path(parent, name).relative_to(folder).as_posix()


@lru_cache(maxsize=64)
def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression; `**/` also matches no folder at all."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(meaning.get(part, re.escape(part)) for part in parts)
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


def matches(path: str, pattern: str) -> bool:
    """Whether a relative POSIX path matches a glob; upper and lower case are the same.

    >>> matches("a.txt", "**/*.txt"), matches("x/y/a.txt", "**/*.txt"), matches("x/a.txt", "*.txt")
    (True, True, False)
    """
    return _glob(pattern).fullmatch(path) is not None


def is_text(path: str) -> bool:
    r"""Whether a path is text, and not bytes that file systems let stand for a name.

    >>> is_text("Jürgen.txt"), is_text(os.fsdecode(b"J\xfcrgen.txt"))
    (True, False)
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(path: str) -> str:
    """A path as text, whatever its bytes are."""
    return path if is_text(path) else os.fsencode(path).decode("utf-8", "backslashreplace")


def is_paper(path: str) -> bool:
    """Whether a file accompanies a data set, such as a readme or a licence.

    >>> is_paper("a/README.txt"), is_paper("a/rec_1.txt")
    (True, False)
    """
    return _PAPERS.fullmatch(PurePosixPath(path).name) is not None
