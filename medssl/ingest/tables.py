"""Tables of labels and recordings, read as text: csv, tsv, xlsx and parquet."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

from medssl.config import nearest
from medssl.errors import IngestError, require


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
    """Read a csv, tsv, xlsx or parquet table as text.

    Args:
        path: The table.
        header_row: The row with the column names, from 1; rows above it are left out. 0 stands for
            a table without names, whose columns are then called 1, 2, and so on.

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
    elif suffix in {".parquet", ".pq"}:
        cells = _parquet_cells(path)
    elif suffix in {".csv", ".tsv", ".txt"}:
        cells = _text_cells(path, "," if suffix == ".csv" else "\t", max(header_row, 1))
    else:
        msg = f"table {path} is neither csv, tsv, xlsx nor parquet: convert it"
        raise IngestError(msg)
    if len(cells) < header_row:
        msg = f"table {path} has no row {header_row}: correct header_row"
        raise IngestError(msg)
    names = (
        tuple(name.strip() for name in cells[header_row - 1])
        if header_row
        else tuple(str(number + 1) for number in range(max(map(len, cells), default=0)))
    )
    rows = [
        {name: cell.strip() for name, cell in zip_longest(names, row[: len(names)], fillvalue="")}
        for row in cells[header_row:]
        if any(cell.strip() for cell in row)
    ]
    return RawTable(names, rows)


def _text_cells(path: Path, delimiter: str, header_row: int) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Spreadsheets write semicolons where the comma is the decimal sign.
            header = next(islice(file, header_row - 1, None), "")
            file.seek(0)
            if delimiter == "," and delimiter not in header and ";" in header:
                delimiter = ";"
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


def _parquet_cells(path: Path) -> list[list[str]]:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        columns = [[_cell(cell) for cell in column.to_pylist()] for column in table.columns]
    except (OSError, ValueError) as error:  # pyarrow's own exceptions are one or the other
        msg = f"table {path} is not Parquet: convert it to csv"
        raise IngestError(msg) from error
    return [list(table.column_names), *(list(row) for row in zip(*columns, strict=True))]


def _cell(value: object) -> str:
    """A typed cell as text: whole numbers without a decimal point, as other tables have them."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


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
