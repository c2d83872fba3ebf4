"""Footers of Parquet files as untrusted input: what each column chunk claims, before Arrow looks.

Arrow ends the process over some damaged column chunks when it is asked about them
(an exception of C++ that no one catches), so the sizes are decoded here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from medssl.ingest.ledger import Reason, Unreadable

MAX_FOOTER_BYTES: Final = 64 << 20
_MAGIC: Final = b"PAR1"
_MAX_DEPTH: Final = 32
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY = {1, 2}, 3, {4, 5, 6}, 7, 8
_LISTS, _MAP, _STRUCT = {9, 10}, 11, 12
# Fields of the format's FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_ROWS, _ROW_GROUPS = 3, 4
_CHUNKS, _GROUP_ROWS = 1, 3
_CHUNK_META = 3
_PATH, _VALUES, _UNCOMPRESSED, _COMPRESSED = 3, 5, 6, 7


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the footer claims about one column in one row group.

    Args:
        column: Name of the outermost column.
        values: Its values, those inside lists counted one by one.
        uncompressed: Bytes of its pages when decompressed.
        compressed: Bytes of its pages in the file.
    """

    column: str
    values: int
    uncompressed: int
    compressed: int


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are stored together.

    Args:
        rows: Their number.
        chunks: Their columns.
    """

    rows: int
    chunks: tuple[Chunk, ...]


def read_footer(path: Path) -> tuple[RowGroup, ...]:
    """The row groups that a file claims.

    Args:
        path: The file.

    Raises:
        Unreadable: It is no Parquet file, or its footer is damaged or contradicts itself.
    """
    size = path.stat().st_size
    if not size:
        raise Unreadable(Reason.EMPTY_FILE)
    with path.open("rb") as file:
        file.seek(max(size - 8, 0))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if size < 12 or tail[4:] != _MAGIC or not 0 < length <= min(size - 12, MAX_FOOTER_BYTES):
            raise Unreadable(Reason.UNREADABLE_HEADER, "no footer of a Parquet file at the end")
        file.seek(size - 8 - length)
        footer = file.read(length)
    try:
        fields = _Decoder(footer).struct(0)
        groups = tuple(_group(one) for one in fields.get(_ROW_GROUPS, []))
        rows = int(fields[_ROWS])
    except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise Unreadable(Reason.UNREADABLE_HEADER, "a damaged footer") from error
    numbers = [one.rows for one in groups]
    numbers += [n for g in groups for c in g.chunks for n in (c.values, c.uncompressed)]
    if min(numbers, default=0) < 0 or sum(one.rows for one in groups) != rows:
        raise Unreadable(Reason.UNREADABLE_HEADER, "row groups and number of rows disagree")
    return groups


def _group(fields: dict[int, Any]) -> RowGroup:
    chunks = []
    for chunk in fields[_CHUNKS]:
        meta = chunk[_CHUNK_META]
        name = meta[_PATH][0].decode("utf-8", errors="replace")
        sizes = (int(meta[field]) for field in (_VALUES, _UNCOMPRESSED, _COMPRESSED))
        chunks.append(Chunk(name, *sizes))
    return RowGroup(int(fields[_GROUP_ROWS]), tuple(chunks))


class _Decoder:
    """Thrift's compact protocol, as far as footers use it.

    https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def struct(self, depth: int) -> dict[int, Any]:
        """Field number → value."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            # A boolean field is its own type.
            fields[number] = kind == 1 if kind in _BOOLEANS else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            msg = "nested too deeply"
            raise ValueError(msg)
        if kind in _INTEGERS:
            return self._signed()
        if kind == _BINARY:
            return self._take(self._unsigned())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in _LISTS:
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._unsigned()
            return [self._value(head & 15, depth + 1) for _ in range(self._checked(count))]
        if kind == _DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == _BYTE or kind in _BOOLEANS:
            return self._byte()
        if kind == _MAP:
            count = self._checked(self._unsigned())
            kinds = self._byte() if count else 0
            pairs = [kinds >> 4, kinds & 15] * count
            return [self._value(one, depth + 1) for one in pairs]
        msg = f"unknown type {kind}"
        raise ValueError(msg)

    def _checked(self, count: int) -> int:
        """A number of items that the bytes left can hold, at one byte each."""
        if count > len(self._data) - self._place:
            msg = "more items than bytes"
            raise ValueError(msg)
        return count

    def _take(self, count: int) -> bytes:
        piece = self._data[self._place : self._place + self._checked(count)]
        self._place += count
        return piece

    def _byte(self) -> int:
        value = self._data[self._place]
        self._place += 1
        return value

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                msg = "a number of more than 64 bits"
                raise ValueError(msg)
        return value | byte << shift

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
