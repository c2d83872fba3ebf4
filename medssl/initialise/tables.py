"""Tables beside the recordings, and which of their columns hold participants or files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from medssl.errors import IngestError, MissingExtraError
from medssl.ingest.tables import read_table
from medssl.initialise.listing import plural, spread, suffix

SUFFIXES: Final = frozenset({".csv", ".tsv", ".xlsx", ".xlsm"})
_MAX_TABLES: Final = 20
MAX_BYTES: Final = 32 << 20
_HEADER_ROWS: Final = (1, 2, 3)
_PERSON: Final = re.compile(
    r"(patient|participant|subject|person|animal|proband)s?([ _.-]*(id|no|nr|num|number|code))?",
    re.IGNORECASE,
)


def names_people(name: str) -> bool:
    """Whether a column's name says that it holds participants.

    >>> names_people("patient_id"), names_people("Subject"), names_people("age")
    (True, True, False)
    """
    return _PERSON.fullmatch(name.strip()) is not None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with column names.

    Args:
        path: POSIX path relative to the folder.
        header_row: The row with the names, from 1.
        rows: Cells as text, by column name.
        title: How it is called in findings; names no participant.
    """

    path: str
    header_row: int
    rows: tuple[dict[str, str], ...]
    title: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names that occur once and are not empty."""
        return tuple(name for name in self.rows[0] if name)

    def values(self, column: str) -> list[str]:
        """Cells of a column."""
        return [row.get(column, "") for row in self.rows]


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """A column whose values are identifiers.

    Args:
        table: The table.
        column: The column.
        found: Share of the identifiers that it holds.
        overlap: Shared values, as a share of all values of both sides.
    """

    table: Table
    column: str
    found: float
    overlap: float


def read_tables(folder: Path, paths: Iterable[str]) -> tuple[list[Table], list[str]]:
    """Read what may be tables about participants.

    Args:
        folder: The folder.
        paths: Files that are no recordings.

    Returns:
        The tables, and remarks about those that cannot be used.
    """
    chosen = [path for path in paths if suffix(path) in SUFFIXES and not _is_readme(path)]
    tables, notes = [], []
    for path in spread(chosen, _MAX_TABLES):
        title = f"{suffix(path)} table"
        try:
            if (folder / path).stat().st_size > MAX_BYTES:
                notes.append(f"a {title} of more than {MAX_BYTES >> 20} MB was not looked into")
                continue
            table = look_at_table(folder, path)
        except (IngestError, MissingExtraError, OSError) as error:
            told = str(error) if isinstance(error, MissingExtraError) else "it is no such table"
            notes.append(f"a {title} was not looked into: {told}")
            continue
        if isinstance(table, str):
            notes.append(f"a {title} {table}")
        elif table is not None:
            tables.append(table)
    if len(chosen) > _MAX_TABLES:
        notes.append(f"{_MAX_TABLES} of {len(chosen)} further tables were looked into")
    return tables, list(dict.fromkeys(notes))


def _is_readme(path: str) -> bool:
    return PurePosixPath(path).name.casefold().startswith(("readme", "licen"))


def look_at_table(folder: Path, path: str) -> Table | str | None:
    """The table, or what is wrong with it, or None when it holds nothing.

    Raises:
        IngestError: It cannot be read as a table.
        MissingExtraError: An xlsx table, and openpyxl is not installed.
        OSError: The file cannot be read.
    """
    for header_row in _HEADER_ROWS:
        raw = read_table(folder / path, header_row=header_row)
        rows = raw.rows
        if not rows:
            return None
        names = list(dict.fromkeys(raw.columns))
        width = len(names)
        named = [name for name in names if name and not _is_number(name)]
        if width < 2 or len(named) < 0.8 * width:
            continue
        if _looks_like_data(rows, names):
            return "has no row with column names: add one to use its labels"
        title = f"{suffix(path)} table of {plural(len(rows), 'row')}"
        twice = {name for name in names if raw.columns.count(name) > 1}
        once = [{name: cell for name, cell in row.items() if name not in twice} for row in rows]
        return Table(path, header_row, tuple(once), title)
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _looks_like_data(rows: Sequence[dict[str, str]], names: Sequence[str]) -> bool:
    """Whether the would-be header is written like the cells below it, such as A00001."""
    first = names[0]
    if not any(c.isdigit() for c in first):
        return False
    written = re.sub(r"\d", "9", first)
    below = [re.sub(r"\d", "9", row.get(first, "")) for row in rows[:50]]
    return below.count(written) > 0.8 * len(below)


def best_match(tables: Iterable[Table], identifiers: Collection[str]) -> KeyMatch | None:
    """The column that agrees best with identifiers; None when none holds half of them."""
    wanted = set(identifiers)
    best: KeyMatch | None = None
    for table in tables:
        for column in table.columns:
            held = {value for value in table.values(column) if value}
            shared = len(wanted & held)
            match = KeyMatch(table, column, shared / len(wanted), shared / len(wanted | held))
            if match.found >= 0.5 and (best is None or match.overlap > best.overlap):
                best = match
    return best


def file_columns(table: Table, paths: Sequence[str]) -> tuple[str, str] | None:
    """The columns with recordings and with their participants, when their names say so."""
    people = [name for name in table.columns if names_people(name)]
    if len(people) != 1:
        return None
    stems = {PurePosixPath(path).with_suffix("").as_posix() for path in paths} | set(paths)
    for column in table.columns:
        held = {PurePosixPath(value.replace("\\", "/")).as_posix() for value in
                table.values(column) if value}  # fmt: skip
        if column not in people and len(held & stems) >= 0.9 * len(paths):
            return column, people[0]
    return None
