"""Parquet tables as untrusted input: claims are checked, and rows read by ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.parquet_footer import RowGroup, read_footer

MAX_RATIO: Final = 100
"""A table that claims more than this many bytes for one in the file is a bomb, not a signal."""
MAX_RATIO_FREE: Final = 64 << 20
"""Below this size the ratio says nothing: constant columns compress well."""
MAX_CELL_BYTES: Final = 2 << 30
_BATCH_ROWS: Final = 1 << 16
_KEPT_BYTES: Final = 128 << 20
"""Row groups of lists up to this size are kept, for the next recording in them."""
_KEPT: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class ParquetTable:
    """A Parquet file whose footer was checked.

    Args:
        path: The file.
        schema: Names and types of its columns.
        bounds: First row of each row group, and the number of rows at the end.
        groups: What the footer claims about each row group.
    """

    path: Path
    schema: Any
    bounds: tuple[int, ...]
    groups: tuple[RowGroup, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.bounds[-1]

    def batches(self, columns: Sequence[str], start: int, stop: int) -> Iterator[Any]:
        """Rows [start, stop) of some columns, as record batches in order.

        Raises:
            Unreadable: The file is damaged.
        """
        if start >= stop:
            return
        first = int(np.searchsorted(self.bounds, start, side="right")) - 1
        last = int(np.searchsorted(self.bounds, stop, side="left"))
        place = self.bounds[first]
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(
                    batch_size=_BATCH_ROWS,
                    row_groups=list(range(first, last)),
                    columns=list(columns),
                    use_threads=False,
                ):
                    low, high = max(start - place, 0), min(stop - place, len(batch))
                    place += len(batch)
                    if low < high:
                        yield batch.slice(low, high - low)
                    if place >= stop:
                        break
        except (pa.ArrowException, OSError, ValueError) as error:
            raise Unreadable(Reason.UNREADABLE_DATA, type(error).__name__) from error
        if place < stop:
            raise Unreadable(Reason.UNREADABLE_DATA, "fewer rows than the footer claims")

    def row(self, columns: Sequence[str], number: int) -> Any:
        """One row of lists, as a table of one row.

        Raises:
            Unreadable: The file is damaged, or the row too large.
        """
        group = int(np.searchsorted(self.bounds, number, side="right")) - 1
        chunks = self.groups[group].chunks
        claimed = sum(one.values * 8 for one in chunks if one.column in columns)
        if claimed <= _KEPT_BYTES:
            table = _kept_group(self, tuple(columns), group)
            return table.slice(number - self.bounds[group], 1)
        return pa.Table.from_batches(list(self.batches(columns, number, number + 1)))


@lru_cache(maxsize=_KEPT)
def _kept_group(table: ParquetTable, columns: tuple[str, ...], group: int) -> Any:
    bounds = table.bounds
    return pa.Table.from_batches(list(table.batches(columns, bounds[group], bounds[group + 1])))


def open_table(path: Path) -> ParquetTable:
    """Read and check the footer of a file; no column is read.

    Args:
        path: The file.

    Raises:
        Unreadable: It is damaged, or claims far more than it can hold.
    """
    stat = path.stat()
    return _checked(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=_KEPT)
def _checked(path: Path, mtime: int, size: int) -> ParquetTable:
    """A table; times and sizes are arguments so that a changed file is read anew."""
    groups = read_footer(path)
    for group in groups:
        for one in group.chunks:
            claimed = max(one.values * 8, one.uncompressed)
            if claimed > max(MAX_RATIO * min(one.compressed, size), MAX_RATIO_FREE):
                detail = f"{claimed} bytes claimed by a column, {one.compressed} in the file"
                raise Unreadable(Reason.CLAIMS_TOO_LARGE, detail)
    rows = [group.rows for group in groups]
    if sum(rows) * 8 > max(MAX_RATIO * size, MAX_RATIO_FREE):
        detail = f"{sum(rows)} rows claimed, {size} bytes in the file"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, detail)
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            names = schema.names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(Reason.UNREADABLE_HEADER, type(error).__name__) from error
    if {one.column for group in groups for one in group.chunks} - set(names):
        raise Unreadable(Reason.UNREADABLE_HEADER, "row groups hold columns that are not there")
    return ParquetTable(path, schema, tuple(accumulate(rows, initial=0)), groups)
