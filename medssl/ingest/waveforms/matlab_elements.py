"""MATLAB 4 and 5 files as untrusted input: sizes and nesting checked before scipy reads a value."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import scipy.io

from medssl.ingest.ledger import Reason, Unreadable

MAX_VALUE_BYTES: Final = 2 << 30
"""A variable of more bytes is refused; version 7.3 is read by ranges and has no such bound."""
MAX_RATIO: Final = 100
"""More than this many bytes from one compressed byte is a bomb, not a signal."""
MAX_RATIO_FREE: Final = 64 << 20
"""Below this size the ratio says nothing: constant padding compresses well."""

_MAX_DEPTH: Final = 16
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_COMPLEX: Final = 0x0800
_WIDTHS: Final = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes of a number of each element type."""
_WIDTHS_V4: Final = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
_HEADER_V5: Final = 128
_BROKEN: Final = "sizes in the file contradict one another"


def load_variable(path: Path, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """One variable of a MATLAB 4 or 5 file, with structs and cells as arrays of scipy.

    Args:
        path: The file.
        name: Name of the variable.

    Raises:
        Unreadable: With the reason and evidence.
    """
    with path.open("rb") as file:
        found = next((one for one in _variables(file, path) if one.name == name), None)
        if found is None:
            raise Unreadable(Reason.MISSING_CHANNEL, "no variable of that name")
        data = found.read(file)
    stream: Any = BytesIO(data)
    try:
        values = scipy.io.loadmat(
            stream, appendmat=False, variable_names=[name], struct_as_record=True
        )
    except Exception as error:
        raise Unreadable(Reason.UNREADABLE_HEADER, type(error).__name__) from error
    return np.asarray(values[name])


def variable_names(path: Path) -> tuple[str, ...]:
    """Names of the variables of a MATLAB 4 or 5 file.

    Raises:
        Unreadable: With the reason and evidence.
    """
    with path.open("rb") as file:
        return tuple(one.name for one in _variables(file, path))


class _Variable(Protocol):
    """A variable whose place in the file is known."""

    @property
    def name(self) -> str:
        """Its name."""

    def read(self, file: BinaryIO) -> bytes:
        """A file of its own that scipy can read, its sizes and nesting checked."""


def _variables(file: BinaryIO, path: Path) -> Iterator[_Variable]:
    first = file.read(_HEADER_V5)
    size = path.stat().st_size
    if len(first) == _HEADER_V5 and first[126:128] in {b"IM", b"MI"}:
        return _variables_v5(file, size, first)
    file.seek(0)
    return _variables_v4(file, size)


def _too_large(claimed: int) -> Unreadable:
    detail = f"{claimed} bytes claimed by one variable; save it with -v7.3 or split it"
    return Unreadable(Reason.CLAIMS_TOO_LARGE, detail)


def _broken() -> Unreadable:
    return Unreadable(Reason.UNREADABLE_HEADER, _BROKEN)


@dataclass(frozen=True, slots=True)
class _VariableV4:
    name: str
    place: int
    size: int
    numbers: bool

    def read(self, file: BinaryIO) -> bytes:
        if not self.numbers:
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a text or sparse variable")
        if self.size > MAX_VALUE_BYTES:
            raise _too_large(self.size)
        file.seek(self.place)
        return file.read(self.size)


def _variables_v4(file: BinaryIO, size: int) -> Iterator[_VariableV4]:
    place = 0
    while header := file.read(20):
        if len(header) < 20:
            raise _broken()
        order = "<" if 0 <= struct.unpack("<i", header[:4])[0] <= 4052 else ">"
        kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", header)
        # Thousands: byte order; tens: number type; ones: full, text or sparse.
        thousands, width = kind // 1000, _WIDTHS_V4.get(kind // 10 % 10)
        wrong = thousands != (order == ">") or width is None or kind % 10 > 2 or kind // 100 % 10
        if wrong or min(rows, columns) < 0 or not 0 < length <= 256 or imaginary not in {0, 1}:
            raise Unreadable(Reason.UNREADABLE_HEADER, "not a MATLAB file")
        assert width is not None
        claimed = 20 + length + rows * columns * width * (1 + imaginary)
        if place + claimed > size:
            detail = f"{place + claimed} bytes claimed, {size} bytes in the file"
            raise Unreadable(Reason.WRONG_BYTE_COUNT, detail)
        name = file.read(length).rstrip(b"\0").decode("latin-1")
        yield _VariableV4(name, place, claimed, kind % 10 == 0)
        place += claimed
        file.seek(place)


@dataclass(frozen=True, slots=True)
class _VariableV5:
    name: str
    header: bytes
    tag: bytes
    order: str
    place: int
    size: int

    def read(self, file: BinaryIO) -> bytes:
        file.seek(self.place)
        kind, _ = struct.unpack(f"{self.order}2I", self.tag)
        if kind == _COMPRESSED:
            data = _inflate(file, self.size, self.order)
        elif self.size > MAX_VALUE_BYTES:
            raise _too_large(self.size)
        else:
            data = self.tag + file.read(self.size)
        _Checker(data, self.order).check()
        return self.header + data


def _variables_v5(file: BinaryIO, size: int, header: bytes) -> Iterator[_VariableV5]:
    order = "<" if header[126:128] == b"IM" else ">"
    while tag := file.read(8):
        if len(tag) < 8:
            raise _broken()
        kind, length = struct.unpack(f"{order}2I", tag)
        place = file.tell()
        if place + length > size:
            detail = f"{place + length} bytes claimed, {size} bytes in the file"
            raise Unreadable(Reason.WRONG_BYTE_COUNT, detail)
        if kind not in {_MATRIX, _COMPRESSED}:
            raise _broken()
        name = _name(_head(file, kind, tag, length), order)
        yield _VariableV5(name, header, tag, order, place, length)
        file.seek(place + length)


def _head(file: BinaryIO, kind: int, tag: bytes, length: int) -> bytes:
    """The first bytes of a variable, enough for its name."""
    start = file.read(min(length, 4096))
    if kind == _MATRIX:
        return tag + start
    try:
        return zlib.decompressobj().decompress(start, 4096)
    except zlib.error as error:
        raise Unreadable(Reason.UNREADABLE_HEADER, "a damaged compressed variable") from error


def _name(head: bytes, order: str) -> str:
    checker = _Checker(head, order, partial=True)
    return checker.matrix_head(8).name


def _inflate(file: BinaryIO, length: int, order: str) -> bytes:
    packed = file.read(length)
    inflater = zlib.decompressobj()
    try:
        start = inflater.decompress(packed, 8)
        if len(start) < 8:
            raise _broken()
        kind, inner = struct.unpack(f"{order}2I", start)
        if kind != _MATRIX:
            raise _broken()
        if inner > MAX_VALUE_BYTES or inner > max(MAX_RATIO * length, MAX_RATIO_FREE):
            raise _too_large(inner)
        rest = inflater.decompress(inflater.unconsumed_tail, inner) if inner else b""
    except zlib.error as error:
        raise Unreadable(Reason.UNREADABLE_HEADER, "a damaged compressed variable") from error
    if len(rest) != inner:
        raise _broken()
    return start + rest


@dataclass(frozen=True, slots=True)
class _MatrixHead:
    kind: int
    flags: int
    count: int
    name: str
    after: int


class _Checker:
    """Walks nested elements without reading their values.

    Args:
        data: An uncompressed matrix element with its tag.
        order: Byte order for `struct`.
        partial: Whether `data` may end before the element does.
    """

    def __init__(self, data: bytes, order: str, *, partial: bool = False) -> None:
        self._data = data
        self._order = order
        self._partial = partial

    def check(self) -> None:
        """Check the whole element.

        Raises:
            Unreadable: Sizes contradict one another, or it holds what is not read.
        """
        if self._matrix(0, len(self._data), 0) > len(self._data):
            raise _broken()

    def _tag(self, place: int, end: int) -> tuple[int, int, int, int]:
        """Type, number of bytes, first byte and first byte after padding of an element."""
        if place + 8 > end:
            raise _broken()
        kind, length = struct.unpack_from(f"{self._order}2I", self._data, place)
        if kind >> 16:  # small: both in one word, up to 4 bytes after it
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:
                raise _broken()
            return kind, length, place + 4, place + 8
        start = place + 8
        if start + length > end and not self._partial:
            raise _broken()
        return kind, length, start, start + length + (-length % 8 if kind != _COMPRESSED else 0)

    def matrix_head(self, place: int) -> _MatrixHead:
        """Flags, dimensions and name of the matrix whose first sub-element is at `place`."""
        end = len(self._data)
        kind, length, start, place = self._tag(place, end)
        if kind != 6 or length != 8 or start + 8 > end:
            raise _broken()
        (flags,) = struct.unpack_from(f"{self._order}I", self._data, start)
        if flags & 0xFF == 17:  # an opaque object has no dimensions
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a MATLAB object")
        kind, length, start, place = self._tag(place, end)
        if kind != 5 or length % 4 or not 8 <= length <= 128 or start + length > end:
            raise _broken()
        dimensions = struct.unpack_from(f"{self._order}{length // 4}i", self._data, start)
        kind, length, start, place = self._tag(place, end)
        if kind not in {1, 2, 16} or length > 256 or start + length > end or min(dimensions) < 0:
            raise _broken()
        name = self._data[start : start + length].rstrip(b"\0").decode("latin-1")
        return _MatrixHead(flags & 0xFF, flags, prod(dimensions), name, place)

    def _matrix(self, place: int, end: int, depth: int) -> int:
        """Check the matrix at `place`; return the first byte after it."""
        if depth > _MAX_DEPTH:
            raise Unreadable(Reason.UNREADABLE_HEADER, f"nested more than {_MAX_DEPTH} deep")
        kind, length, start, after = self._tag(place, end)
        if kind != _MATRIX:
            raise _broken()
        if not length:
            return after  # an empty matrix
        stop = start + length
        head = self.matrix_head(start)
        place = head.after
        if head.kind in {_CELL, _STRUCT}:
            return max(self._children(head, place, stop, depth), after)
        if head.kind != _CHAR and head.kind not in _NUMERIC:
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, "an object, function or sparse matrix")
        for _ in range(1 + bool(head.flags & _COMPLEX)):
            kind, length, _, place = self._tag(place, stop)
            width = _WIDTHS.get(kind)
            # Texts may be UTF-8, where characters differ in width.
            if width is None or (head.kind != _CHAR and length != head.count * width):
                raise _broken()
            if head.kind == _CHAR and head.count > length:
                raise _broken()
        return after

    def _children(self, head: _MatrixHead, place: int, stop: int, depth: int) -> int:
        count = head.count
        if head.kind == _STRUCT:
            kind, length, start, place = self._tag(place, stop)
            if kind != 5 or length != 4:
                raise _broken()
            (width,) = struct.unpack_from(f"{self._order}i", self._data, start)
            kind, length, _, place = self._tag(place, stop)
            if not 0 < width <= 256 or length % width:
                raise _broken()
            count *= length // width
        # Every child has a tag of 8 bytes at least.
        if count * 8 > stop - place:
            raise _broken()
        for _ in range(count):
            place = self._matrix(place, stop, depth + 1)
        return place
