"""Labels of participants: read from tables and header comments, merged, never guessed."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from medssl.config import nearest
from medssl.errors import IngestError, require
from medssl.ingest.rules import LabelRule
from medssl.store.schema import PARTICIPANT
from medssl.types import ParticipantId

Label = str | float

ABSENT: Final = frozenset({"", "nan", "na", "n/a", "null", "?", "unknown"})
"""Raw values that mean nobody knows."""

NUMERIC: Final = frozenset({"age"})
"""Labels that are numbers in every store, whatever is written in the raw tables."""

UNLISTED: Final = object()
"""A raw value that `values` should have listed."""


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as text.

    Args:
        columns: Names in the header row, as often as they stand there.
        rows: Cells by column name, those of short rows empty; of columns with one name the last.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, str]]


def read_table(path: Path, *, header_row: int = 1) -> RawTable:
    """Read a csv, tsv or xlsx table as text.

    Args:
        path: The table.
        header_row: The row with the column names, from 1; rows above it are left out.

    Raises:
        IngestError: The table is absent, or of another format.
        MissingExtraError: An xlsx table, and openpyxl is not installed.
    """
    if not path.is_file():
        msg = f"no table at {path}: correct the table's path"
        raise IngestError(msg)
    suffix = path.suffix.lower()
    if suffix in {".xlsx", ".xlsm"}:
        cells = _excel_cells(path)
    elif suffix in {".csv", ".tsv", ".txt"}:
        cells = _text_cells(path, "," if suffix == ".csv" else "\t")
    else:
        msg = f"table {path} is neither csv, tsv nor xlsx: convert it"
        raise IngestError(msg)
    if len(cells) < header_row:
        msg = f"table {path} has no row {header_row}: correct header_row"
        raise IngestError(msg)
    names = tuple(name.strip() for name in cells[header_row - 1])
    rows = [
        {name: cell.strip() for name, cell in zip_longest(names, row[: len(names)], fillvalue="")}
        for row in cells[header_row:]
        if any(cell.strip() for cell in row)
    ]
    return RawTable(names, rows)


def _text_cells(path: Path, delimiter: str) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"table {path} is not delimited text in UTF-8: convert it"
        raise IngestError(msg) from error


def _excel_cells(path: Path) -> list[list[str]]:
    openpyxl = require("openpyxl", extra="excel", purpose="reading .xlsx tables")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = [["" if cell is None else str(cell) for cell in row] for row in book.active.values]
        book.close()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        msg = f"table {path} is not an Excel workbook: convert it to csv"
        raise IngestError(msg) from error
    return rows


def require_columns(columns: Sequence[str], names: Iterable[str], *, path: Path) -> None:
    """Refuse a table that has not each of the configured columns once.

    Args:
        columns: Names in the table's header row.
        names: Columns that are configured.
        path: The table.

    Raises:
        IngestError: Names the first missing column and the nearest one there is, or the first
            column that several could be meant by.
    """
    for name in names:
        if name not in columns:
            msg = f"table {path} has no column {name!r}{nearest(name, columns)}"
            raise IngestError(msg)
        if columns.count(name) > 1:
            msg = f"table {path} has {columns.count(name)} columns {name!r}: rename all but one"
            raise IngestError(msg)


def is_absent(value: str) -> bool:
    """Whether a raw value says that nothing is known.

    >>> is_absent(" ? "), is_absent("0")
    (True, False)
    """
    return value.strip().casefold() in ABSENT


def translate(rule: LabelRule, label: str, raw: str) -> Label | object | None:
    """The value behind a raw one: None when absent, `UNLISTED` when `values` lacks it."""
    raw = raw.strip()
    listed = rule.values.get(label)
    if listed is not None and raw in listed:
        return _as_number(listed[raw])
    if is_absent(raw):
        return None
    return UNLISTED if listed is not None else _as_number(raw)


def _as_number(value: Label) -> Label:
    if isinstance(value, str) and "_" in value:
        return value  # Python would read 3_1 as 31
    try:
        return float(value)
    except ValueError:
        return value


@dataclass(slots=True)
class Evidence:
    """Every value that was seen for a participant's labels.

    Args:
        seen: Participant → label → distinct values.
        unreadable: Label → values that could not be used.
    """

    seen: dict[ParticipantId, dict[str, set[Label]]] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)

    def add(self, participant: ParticipantId, rule: LabelRule, raw: Mapping[str, str]) -> None:
        """Add what a table row or a header says, as label → raw value."""
        labels = self.seen.setdefault(participant, {})
        for label, text in raw.items():
            value = translate(rule, label, text)
            if value is UNLISTED:
                self.unreadable[label] += 1
            elif isinstance(value, str | float):
                labels.setdefault(label, set()).add(value)

    def update(self, other: Evidence) -> None:
        """Add what another piece of work has seen."""
        for participant, labels in other.seen.items():
            mine = self.seen.setdefault(participant, {})
            for label, values in labels.items():
                mine.setdefault(label, set()).update(values)
        self.unreadable.update(other.unreadable)


def table_evidence(
    rule: LabelRule, folder: Path, participants: Mapping[str, ParticipantId], *, source: str
) -> Evidence:
    """What a label table says about participants.

    Args:
        rule: The source's label rule, with a table.
        folder: Folder of the source.
        participants: Original identifier → pseudonym.
        source: Name of the source, for messages.

    Raises:
        IngestError: The table or a column is absent, or it matches no participant at all.
    """
    evidence = Evidence()
    if rule.table is None or rule.key is None:
        return evidence
    path = folder / rule.table
    table = read_table(path, header_row=rule.header_row)
    require_columns(table.columns, [rule.key, *rule.columns.values()], path=path)
    matched = 0
    for row in table.rows:
        participant = participants.get(row.get(rule.key, ""))
        if participant is not None:
            matched += 1
            raw = {label: row.get(column, "") for label, column in rule.columns.items()}
            evidence.add(participant, rule, raw)
    if participants and not matched:
        msg = (
            f"source {source}: column {rule.key!r} of {path.name} matches none of "
            f"{len(participants)} participants; make participant give what that column holds"
        )
        raise IngestError(msg)
    return evidence


def label_table(
    evidence: Evidence,
    names: Iterable[str],
    participants: Iterable[ParticipantId],
    *,
    known: pd.DataFrame | None,
) -> tuple[pa.Table, dict[str, int]]:
    """One row per participant, and how many labels are empty because values disagree, by label.

    A label with two values for one participant, or with another value than the store holds, is
    left empty. A column holds numbers when every value is one, else text.

    Args:
        evidence: What was seen.
        names: Labels that the configuration gives.
        participants: The rows.
        known: Participants of the store that is appended to.
    """
    rows = sorted(participants)
    conflicts: dict[str, int] = defaultdict(int)
    columns: dict[str, pa.Array] = {PARTICIPANT: pa.array(rows, pa.string())}
    for name in dict.fromkeys(names):
        before = known[name] if known is not None and name in known.columns else None
        values: list[Label | None] = []
        for participant in rows:
            seen = set(evidence.seen.get(participant, {}).get(name, ()))
            held = before.get(participant) if before is not None else None
            disagrees = held is not None and not pd.isna(held) and bool(seen - {held})
            if len(seen) > 1 or disagrees:
                conflicts[name] += 1
                seen = set()
            values.append(seen.pop() if seen else None)
        numeric = before is not None and pd.api.types.is_numeric_dtype(before)
        columns[name] = _column(name, values, numeric=numeric, unreadable=evidence.unreadable)
    return pa.table(columns), dict(conflicts)


def _as_text(number: float) -> str:
    """A number as it is most likely written: codes keep all their digits."""
    return str(int(number)) if number.is_integer() else f"{number:.12g}"


def _column(
    name: str, values: list[Label | None], *, numeric: bool, unreadable: Counter[str]
) -> pa.Array:
    words = [value for value in values if isinstance(value, str)]
    if numeric or name in NUMERIC:
        unreadable.update([name] * len(words))
        values = [None if isinstance(value, str) else value for value in values]
        words = []
    if words:
        texts = [_as_text(value) if isinstance(value, float) else value for value in values]
        return pa.array(texts, pa.string())
    return pa.array(values, pa.float64())
