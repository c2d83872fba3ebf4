"""Recordings in a Parquet table: runs of rows of one name, and what other columns say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources.parquet import EACH_ROW
from medssl.ingest.waveforms.parquet_table import ParquetTable


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring rows that are one recording.

    Args:
        start: First row.
        stop: First row after it.
        comments: `column: value` of the named columns that have one value in all of them.
    """

    start: int
    stop: int
    comments: tuple[str, ...]


@lru_cache(maxsize=2)
def runs_of(table: ParquetTable, column: str | None, comments: tuple[str, ...]) -> dict[str, Run]:
    """The recordings of a table by their name; by "" where the whole table is one.

    Args:
        table: The table.
        column: Column with the names, `.` for the number of the row from 1, None for one recording.
        comments: Columns that are wanted as comments; those that are not there are left out.

    Raises:
        Unreadable: There is no such column, a row without a name, or rows of one name lie apart.
    """
    key = None if column in (None, EACH_ROW) else column
    if key is not None and (count := table.schema.names.count(key)) != 1:
        detail = f"{count} of {len(table.schema.names)} columns have the name of recordings"
        raise Unreadable(Reason.MISSING_CHANNEL, detail)
    wanted = [name for name in comments if table.schema.names.count(name) == 1]
    columns = list(dict.fromkeys([*([] if key is None else [key]), *wanted]))
    found: list[_Open] = [] if column is not None or not table.rows else [_Open("", 0)]
    for place, texts in _texts(table, columns):
        keys = None if key is None else texts[key]
        for low, high in _pieces(keys, each=column == EACH_ROW, length=len(texts[""])):
            name = "" if column is None else str(place + low + 1) if keys is None else keys[low]
            if name is None or (key is not None and not name):
                raise Unreadable(Reason.UNREADABLE_DATA, "a row does not name its recording")
            if not found or column == EACH_ROW or found[-1].name != name:
                found.append(_Open(name, place + low))
            found[-1].add({one: texts[one][low:high] for one in wanted})
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        detail = "rows of one recording lie apart: sort the table by its recordings"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
    stops = [*(one.start for one in found[1:]), table.rows]
    return {
        one.name: Run(one.start, stop, one.comments())
        for one, stop in zip(found, stops, strict=True)
    }


class _Open:
    """A run that more rows may join."""

    def __init__(self, name: str, start: int) -> None:
        self.name = name
        self.start = start
        self._said: dict[str, set[str]] = {}

    def add(self, texts: dict[str, Any]) -> None:
        for column, values in texts.items():
            said = self._said.setdefault(column, set())
            if len(said) < 2:
                said.update(value for value in set(values.tolist()) if value is not None)

    def comments(self) -> tuple[str, ...]:
        return tuple(
            f"{column}: {next(iter(said))}" for column, said in self._said.items() if len(said) == 1
        )


def _texts(table: ParquetTable, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Batches of rows as text by column with their first row; under "" something of their length.

    Raises:
        Unreadable: A column holds neither texts, numbers nor times.
    """
    if not columns:
        yield 0, {"": range(table.rows)}
        return
    place = 0
    for batch in table.batches(columns, 0, table.rows):
        texts = {column: _as_text(batch.column(column)) for column in columns}
        yield place, {**texts, "": texts[columns[0]]}
        place += len(batch)


def _as_text(values: Any) -> Any:
    """Texts, and None where there is no value; whole numbers without a decimal point."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    try:
        if pa.types.is_floating(values.type):
            whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
            values = values.cast(pa.int64()) if whole else values
        return values.cast(pa.string()).to_numpy(zero_copy_only=False)
    except UnicodeDecodeError as error:
        raise Unreadable(Reason.UNREADABLE_DATA, "a text is not UTF-8") from error
    except pa.ArrowException as error:
        detail = f"a column of {values.type} cannot name a recording or a label"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail) from error


def _pieces(keys: Any, *, each: bool, length: int) -> Iterator[tuple[int, int]]:
    """Bounds of the stretches of equal keys in a batch."""
    if each:
        edges = np.arange(length + 1)
    elif keys is None:
        edges = np.array([0, length])
    else:
        edges = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1, [length]])
    yield from ((int(low), int(high)) for low, high in pairwise(edges))
