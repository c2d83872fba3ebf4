"""Tables with a row for each image, as a source's `manifest` needs them."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from medssl.ingest.manifest import by_name, places_of
from medssl.initialise.radiographs.roles import Roles, roles_of
from medssl.initialise.tables import Table

_LISTED: Final = 0.9
"""Share of the images that a table must list."""


@dataclass(frozen=True, slots=True)
class ImageTable:
    """A table that lists images.

    Args:
        table: The table.
        file: Its column with their names.
        base: The folder, below the one that was given, from which the names lead to the images;
            empty for the folder itself.
        rows: Image → its rows, several where the table has one for each question or sentence.
        roles: What its other columns tell.
        bare: Whether it gives names without folders, which a manifest cannot find.
    """

    table: Table
    file: str
    base: str
    rows: dict[str, list[dict[str, str]]]
    roles: Roles
    bare: bool = False

    @property
    def path(self) -> str:
        """The table, as a source in `base` names it."""
        return posixpath.relpath(self.table.path, self.base or ".")

    @property
    def several(self) -> bool:
        """Whether an image has several rows."""
        return any(len(rows) > 1 for rows in self.rows.values())

    def told(self, paths: Sequence[str], columns: Sequence[str]) -> tuple[str | None, ...]:
        """What columns say of each image together; None where a cell is empty or rows differ."""
        return tuple(self._said(path, columns) for path in paths)

    def _said(self, path: str, columns: Sequence[str]) -> str | None:
        said = {tuple(row.get(name, "") for name in columns) for row in self.rows.get(path, ())}
        parts = said.pop() if len(said) == 1 else ()
        return "/".join(parts) if parts and all(parts) else None

    @property
    def config(self) -> dict[str, Any]:
        """The start of the source's manifest."""
        head = {} if self.table.header_row == 1 else {"header_row": self.table.header_row}
        return {"table": self.path, "file": self.file, **head}


def find_image_table(paths: Sequence[str], tables: Sequence[Table]) -> ImageTable | None:
    """The table that lists most images; one that tells participants comes first.

    Args:
        paths: Images, relative to the folder.
        tables: Tables beside them.
    """
    found = []
    for table in tables:
        columns = _columns(table, paths)
        for base in dict.fromkeys(("", _common(paths))):
            found += _in_base(table, columns, paths, base)
        found += _bare(table, columns, paths)
    return max(found, key=_worth, default=None)


def _columns(table: Table, paths: Sequence[str]) -> list[str]:
    """Columns that hold names like those of nearly all images, whatever folder they say."""
    files = [PurePosixPath(path) for path in paths]
    names = {file.name for file in files}, {file.stem for file in files}
    found = []
    for column in table.columns:
        held = {cell.replace("\\", "/").rpartition("/")[2] for cell in table.values(column)}
        if max(len(held & own) / len(own) for own in names) >= _LISTED:
            found.append(column)
    return found


def _worth(one: ImageTable) -> tuple[bool, bool, int, int]:
    return not one.bare, bool(one.roles.participants), len(one.rows), -len(one.base)


def _common(paths: Sequence[str]) -> str:
    """The innermost folder that holds all images."""
    parents = [PurePosixPath(path).parent.as_posix() for path in paths]
    shared = posixpath.commonpath(parents) if parents else ""
    return "" if shared == "." else shared


def _in_base(
    table: Table, columns: Sequence[str], paths: Sequence[str], base: str
) -> list[ImageTable]:
    below = {posixpath.relpath(path, base or "."): path for path in paths}
    names = by_name(below)
    said = posixpath.relpath(table.path, base or ".")
    found = []
    for column in columns:
        rows: dict[str, list[dict[str, str]]] = {}
        for row in table.rows:
            places = places_of(row.get(column, ""), said)
            name = next((names[place] for place in places if place in names), None)
            if name is not None:
                rows.setdefault(below[name], []).append(row)
        if len(rows) >= _LISTED * len(paths) and all(table.values(column)):
            found.append(ImageTable(table, column, base, rows, roles_of(table, files=column)))
    return found


def _bare(table: Table, columns: Sequence[str], paths: Sequence[str]) -> list[ImageTable]:
    """Tables with bare names of images that lie in several folders."""
    if len({PurePosixPath(path).parent for path in paths}) == 1:
        return []
    bare: dict[str, set[str]] = {}
    for path in paths:
        file = PurePosixPath(path)
        for name in (file.name, file.stem):
            bare.setdefault(name, set()).add(path)
    found = []
    for column in columns:
        rows: dict[str, list[dict[str, str]]] = {}
        for row in table.rows:
            same = bare.get(row.get(column, ""), set())
            if len(same) == 1:
                rows.setdefault(next(iter(same)), []).append(row)
        if len(rows) >= _LISTED * len(paths):
            roles = roles_of(table, files=column)
            found.append(ImageTable(table, column, "", rows, roles, bare=True))
    return found
