"""Values of MATLAB 7.3 files, which are HDF5, as nodes of a tree; matrices are read by ranges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.matlab_elements import MAX_RATIO, MAX_RATIO_FREE
from medssl.ingest.waveforms.matlab_tree import Matrix

MAX_CHUNK_BYTES: Final = 256 << 20
"""A chunk is decompressed whole, so a larger one is refused."""
_CLASS: Final = "MATLAB_class"
_NUMBERS: Final = frozenset(
    {"double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u")
                                      for bits in (8, 16, 32, 64))}
)  # fmt: skip
_MAX_TEXT: Final = 4096


@contextmanager
def open_hdf5(path: Path) -> Iterator[HdfNode]:
    """The root of a 7.3 file.

    Raises:
        Unreadable: It is damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield HdfNode(file, path)
    except Unreadable:
        raise
    except Exception as error:
        # h5py raises many kinds of exception on damaged files.
        raise Unreadable(Reason.UNREADABLE_HEADER, type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class HdfNode:
    """A group or data set, or one element of an array of structs.

    Args:
        item: The group or data set.
        path: The file.
        number: Which element of an array of structs; None for anything else.
    """

    item: Any
    path: Path
    number: int | None = None

    def field(self, name: str) -> HdfNode:
        """See `Node`."""
        group = self.item
        if _is_cell(group) and group.size == 1:
            group = self.element(0).item
        if not _is_group(group):
            raise Unreadable(Reason.MISSING_CHANNEL, "a field of what is no struct")
        if self.number is None and _array_length(group) is not None:
            detail = "an array of structs on a configured path: name it recordings"
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
        inner = _child(group, name)
        return HdfNode(inner if self.number is None else _target(inner, self.number), self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """See `Node`."""
        hidden = "#refs#", "#subsystem#"
        return (
            tuple(name for name in self.item if name not in hidden) if _is_group(self.item) else ()
        )

    @property
    def count(self) -> int:
        """See `Node`."""
        if _is_cell(self.item):
            return int(self.item.size)
        if not _is_group(self.item):
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, "neither structs nor cells")
        length = _array_length(self.item)
        return 1 if length is None else length

    def element(self, number: int) -> HdfNode:
        """See `Node`."""
        if _is_cell(self.item):
            return HdfNode(_target(self.item, number), self.path)
        length = _array_length(self.item)
        return HdfNode(self.item, self.path, None if length is None else number)

    def matrix(self) -> Matrix:
        """See `Node`."""
        data = self.item
        if _is_cell(data) and data.size == 1:
            data = self.element(0).item
        kind = _kind(data)
        if _is_group(data) or kind not in _NUMBERS or data.dtype.kind not in "biuf":
            detail = f"{kind or 'an unknown kind of value'}, not numbers"
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
        if "MATLAB_empty" in data.attrs:
            raise Unreadable(Reason.TOO_SHORT, "an empty matrix")
        if data.ndim != 2:
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"{data.ndim}-D values")
        _check_storage(data, self.path.stat().st_size)
        path, name = self.path, data.name

        # HDF5 holds the columns of MATLAB as rows.
        def read(rows: Any, columns: Any) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
            with open_hdf5(path) as root:
                return np.asarray(root.item[name][columns, rows], dtype=np.float64).T

        return Matrix(rows=data.shape[1], columns=data.shape[0], read=read)

    def texts(self) -> list[str]:
        """See `Node`."""
        if _is_cell(self.item):
            return [text for n in range(self.item.size) for text in self.element(n).texts()]
        if _kind(self.item) != "char" or self.item.ndim != 2 or self.item.size > _MAX_TEXT:
            raise Unreadable(Reason.MISSING_CHANNEL, "names that are no texts")
        if "MATLAB_empty" in self.item.attrs:
            return [""]
        _check_storage(self.item, self.path.stat().st_size)
        codes = np.asarray(self.item, dtype=np.uint16).T
        return ["".join(map(chr, row)).strip() for row in codes]


def _is_group(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Group)


def _kind(item: Any) -> str:
    """MATLAB's class of a value; empty when it is not told."""
    kind = item.attrs.get(_CLASS, b"")
    return kind.decode("ascii", errors="replace") if isinstance(kind, bytes) else str(kind)


def _is_cell(item: Any) -> bool:
    return not _is_group(item) and _kind(item) == "cell" and _refers(item)


def _refers(item: Any) -> bool:
    import h5py

    return h5py.check_ref_dtype(item.dtype) is h5py.Reference


def _array_length(group: Any) -> int | None:
    """Elements of an array of structs: its fields are bare references; None for a single one."""
    for name in group:
        field = _child(group, name)
        if _is_group(field) or not _refers(field) or _CLASS in field.attrs:
            return None
        return int(field.size)
    return None


def _child(group: Any, name: str) -> Any:
    """A member of a group; links to other files are refused.

    Raises:
        Unreadable: There is none, or it lies elsewhere.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise Unreadable(
            Reason.MISSING_CHANNEL, f"{len(group)} names, none of them the configured one"
        )
    if not isinstance(link, h5py.HardLink):
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a link inside the file")
    return group[name]


def _target(references: Any, number: int) -> Any:
    """What the reference of one element points to; elements count column by column."""
    _check_storage(references, MAX_RATIO_FREE)
    place = np.unravel_index(number, references.shape)
    return references.file[references[place]]


def _check_storage(data: Any, size: int) -> None:
    """Refuse a data set whose values lie elsewhere, or that claims more than is stored for it.

    Raises:
        Unreadable: With what is wrong.
    """
    if data.external or data.is_virtual:
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "values that lie in another file")
    stored = data.id.get_storage_size()
    claimed = prod(data.shape) * data.dtype.itemsize
    chunk = prod(data.chunks) * data.dtype.itemsize if data.chunks else 0
    if stored > size and data.chunks is None:
        raise Unreadable(Reason.WRONG_BYTE_COUNT, f"{stored} bytes claimed, {size} in the file")
    if claimed > max(MAX_RATIO * min(stored, size), MAX_RATIO_FREE) or chunk > MAX_CHUNK_BYTES:
        detail = f"{claimed} bytes in chunks of {chunk} claimed, {stored} stored"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, detail)
