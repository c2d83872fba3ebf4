"""The index tables of a store: reading, writing, and the digest that identifies the data."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medssl.errors import StoreError
from medssl.files import DIGEST_BYTES
from medssl.store import schema
from medssl.types import Kind, Modality

_PLACE: Final = frozenset({schema.SHARD, schema.OFFSET, schema.SIZE, schema.ENCODING, schema.ADDED})
"""Where and when a record was stored is not what it is: left out of the digest."""

RECORDED: Final = tuple(m for m in Modality if m.kind is not Kind.TABLE)
"""Modalities that have records of their own."""
PRESENCE: Final = tuple(schema.presence(modality) for modality in RECORDED)
DERIVED: Final = (schema.ADDED, *PRESENCE)
"""Columns of the participants table that the store computes; all others are labels."""


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read an index table, or some of its columns.

    Raises:
        StoreError: The file is missing or damaged.
    """
    try:
        # Threads of the reading library do not survive a fork; index files are small.
        return pq.read_table(path, columns=columns, use_threads=False, partitioning=None)
    except FileNotFoundError as error:
        msg = f"index file {path} is missing: restore it from a copy, or ingest again"
        raise StoreError(msg) from error
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        msg = f"index file {path} is damaged: restore it from a copy, or ingest again"
        raise StoreError(msg) from error


def read_records(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the records table, or some of its columns; what an older store lacks becomes nulls.

    Raises:
        StoreError: The file is missing or damaged.
    """
    expected = schema.RECORDS_SCHEMA
    if columns is not None:
        expected = pa.schema([expected.field(name) for name in columns])
    held = set(read_columns(path)[0].names)
    table = read_table(path, [name for name in expected.names if name in held])
    return conform(table, expected, what="records")


def read_columns(path: Path) -> tuple[pa.Schema, int]:
    """Columns of an index table and its number of rows, without reading it.

    Raises:
        StoreError: The file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, int(file.metadata.num_rows)
    except FileNotFoundError as error:
        msg = f"index file {path} is missing: restore it from a copy, or ingest again"
        raise StoreError(msg) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        msg = f"index file {path} is damaged: restore it from a copy, or ingest again"
        raise StoreError(msg) from error


def check_records(path: Path) -> int:
    """Check the columns of the records table without reading them, and give its number of rows.

    Raises:
        StoreError: The file is missing, damaged, or has other columns than any version wrote.
    """
    columns, rows = read_columns(path)
    absent = schema.LATER - set(columns.names)
    expected = pa.schema([field for field in schema.RECORDS_SCHEMA if field.name not in absent])
    if not columns.equals(expected):
        msg = f"index file {path} has other columns than medssl writes: ingest again"
        raise StoreError(msg)
    return rows


def write_table(path: Path, table: pa.Table) -> None:
    """Write an index table."""
    pq.write_table(table, path, compression="zstd", write_statistics=False)


def conform(table: pa.Table, expected: pa.Schema, *, what: str) -> pa.Table:
    """Select and cast a table's columns to a schema; a missing nullable column becomes nulls.

    Raises:
        StoreError: A column is missing, has nulls it must not have, or cannot be cast.
    """
    columns = []
    for column in expected:
        if column.name in table.column_names:
            values = table.column(column.name)
        elif column.nullable:
            values = pa.nulls(len(table), column.type)
        else:
            msg = f"the {what} have no column {column.name!r}"
            raise StoreError(msg)
        if not column.nullable and values.null_count:
            msg = f"{values.null_count} of the {what} have no {column.name}"
            raise StoreError(msg)
        try:
            columns.append(values.cast(column.type))
        except pa.ArrowException as error:
            msg = f"column {column.name!r} of the {what} is {values.type}, not {column.type}"
            raise StoreError(msg) from error
    return pa.table(columns, schema=expected)


def digest_index(records: pa.Table, participants: pa.Table, labels: pa.Table | None = None) -> str:
    """Identity of the data: what is stored and in which row order, not where or by whom.

    Engines, worker counts, shard sizes and library versions leave it alone; a changed sample,
    label or row order does not. Columns that came later count once they hold something: stores
    of before keep their digest.
    """
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    empty = {name for name in schema.LATER if _is_empty(records, name)}
    _add_table(state, records, without=_PLACE | empty)
    _add_table(state, participants, without=DERIVED)
    if labels is not None and len(
        labels
    ):  # stores from before there were labels of records keep their digest
        _add_table(state, labels, without=())
    return state.hexdigest()


def _is_empty(table: pa.Table, name: str) -> bool:
    return name in table.column_names and table.column(name).null_count == len(table)


def _add_table(state: Any, table: pa.Table, *, without: Collection[str]) -> None:
    names = sorted(set(table.column_names) - set(without))
    state.update(f"{len(table)}\0{len(names)}\0".encode())
    for name in names:
        state.update(f"{name}\0".encode())
        _add_column(state, table.column(name))


def _add_column(state: Any, column: pa.ChunkedArray) -> None:
    """Add nulls and values in a form that no file format, Arrow version or chunking changes."""
    kind = column.type
    state.update(np.packbits(column.is_valid().to_numpy()).tobytes())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        state.update(b"list")
        _add_integers(state, pc.fill_null(pc.list_value_length(column), 0))
        _add_column(state, pc.list_flatten(column))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        state.update(b"text")
        filled = pc.fill_null(column, "")
        _add_integers(state, pc.binary_length(filled))
        for chunk in filled.chunks:
            state.update("".join(chunk.to_pylist()).encode())
    elif pa.types.is_boolean(kind):
        state.update(b"truth")
        state.update(np.packbits(pc.fill_null(column, False).to_numpy()).tobytes())
    elif pa.types.is_integer(kind):
        state.update(b"integer")
        _add_integers(state, pc.fill_null(column, 0))
    elif pa.types.is_floating(kind):
        state.update(b"number")
        values = pc.fill_null(column, 0.0).to_numpy().astype("<f8")
        values[np.isnan(values)] = np.nan
        state.update(values.tobytes())
    else:
        state.update(str(kind).encode())
        for value in column.to_pylist():
            state.update(f"{value}\0".encode())


def _add_integers(state: Any, values: Any) -> None:
    state.update(values.to_numpy().astype("<i8").tobytes())
