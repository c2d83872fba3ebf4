"""Opening a DICOM file whose lengths and values may be anything."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.dicom_start import is_dicom

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileDataset

_INFLATED: Final = 1 << 30
"""Bytes that a deflated data set may hold; more than any single radiograph."""
_READS: Final = 250_000
"""Pieces in which a file may be read; a header has far fewer elements, and zeros look like many."""
_ELEMENT_HEAD: Final = 12
"""Bytes before the value of pixel data with an explicit type."""


def read_dataset(path: Path, tags: Sequence[str], *, pixels: bool = False) -> Dataset:
    """Read the named elements of a file; nothing is allocated beyond the file's own size.

    Where no meta group tells the transfer syntax, it is the one that the elements are written in.

    Args:
        path: The file.
        tags: Keywords of the elements wanted.
        pixels: Go on into the pixel data of a file whose header was read before; otherwise reading
            stops before them.

    Raises:
        Unreadable: EMPTY_FILE, UNREADABLE_HEADER (or UNREADABLE_PIXELS), or CLAIMS_TOO_LARGE.
    """
    from pydicom import dcmread

    if path.stat().st_size == 0:
        raise Unreadable(Reason.EMPTY_FILE)
    if not is_dicom(path):
        raise Unreadable(Reason.UNREADABLE_HEADER, "not DICOM: no DICM after 128 bytes")
    try:
        with _Clipped(path) as file:
            dataset = dcmread(
                file, force=True, stop_before_pixels=not pixels, specific_tags=list(tags)
            )
        _tell_syntax(dataset)
    except Unreadable:
        raise
    except Exception as error:
        # pydicom raises many kinds of exception on damaged files.
        reason = Reason.UNREADABLE_PIXELS if pixels else Reason.UNREADABLE_HEADER
        raise Unreadable(reason, type(error).__name__) from error
    return dataset


def _tell_syntax(dataset: FileDataset) -> None:
    """Note how the elements were found to be written, where the file does not tell it."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if text_of(dataset.file_meta, "TransferSyntaxUID") is not None:
        return
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def holds_pixels(path: Path) -> bool:
    """Whether more than the head of an element follows all those that come before the pixels."""
    from pydicom import dcmread

    with _Clipped(path) as file:
        dcmread(file, force=True, stop_before_pixels=True, specific_tags=["Rows"])
        return file.tell() + _ELEMENT_HEAD < file.total


class _Clipped(io.BufferedReader):
    """A file that never makes room for more bytes than it has."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.total = os.fstat(self.fileno()).st_size
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _READS:
            said = f"more elements than a header has: over {_READS} reads"
            raise Unreadable(Reason.CLAIMS_TOO_LARGE, said)
        if size is None or size < 0:
            # pydicom reads to the end at once only to inflate, in one piece, what it has read.
            content = super().read()
            _require_bounded(content)
            return content
        return super().read(min(size, max(self.total - self.tell(), 0)))


def _require_bounded(content: bytes) -> None:
    """Refuse a deflated data set that would fill the memory.

    Raises:
        Unreadable: CLAIMS_TOO_LARGE.
    """
    inflater, total, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, content
    while rest and not inflater.eof:
        total += len(inflater.decompress(rest, 1 << 22))
        rest = inflater.unconsumed_tail
        if total > _INFLATED:
            said = f"more than {_INFLATED} bytes when inflated"
            raise Unreadable(Reason.CLAIMS_TOO_LARGE, said)


def text_of(dataset: Dataset, keyword: str) -> str | None:
    """An element's first value as text without surrounding blanks; None when there is none."""
    value = _first(dataset, keyword)
    text = "" if value is None else str(value).replace("\0", "").strip()
    return text or None


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """An element's first value as a number; None when there is none.

    Raises:
        Unreadable: UNREADABLE_HEADER: the value is no finite number.
    """
    return next(iter(numbers_of(dataset, keyword)), None)


def integer_of(dataset: Dataset, keyword: str) -> int | None:
    """An element's first value as an integer; None when there is none.

    Raises:
        Unreadable: UNREADABLE_HEADER: the value is no integer.
    """
    number = number_of(dataset, keyword)
    if number is not None and number != int(number):
        raise Unreadable(Reason.UNREADABLE_HEADER, f"{keyword} is no integer")
    return None if number is None else int(number)


def numbers_of(dataset: Dataset, keyword: str) -> list[float]:
    """All values of an element as numbers.

    Raises:
        Unreadable: UNREADABLE_HEADER: a value is no finite number.
    """
    try:
        numbers = [float(value) for value in values_of(dataset, keyword)]
    except (TypeError, ValueError, OverflowError):
        numbers = [float("nan")]
    if not all(isfinite(number) for number in numbers):
        raise Unreadable(Reason.UNREADABLE_HEADER, f"{keyword} is no number")
    return numbers


def values_of(dataset: Dataset, keyword: str) -> list[Any]:
    """All values of an element, none when it is absent or empty.

    Raises:
        Unreadable: UNREADABLE_HEADER: the element cannot be decoded.
    """
    try:
        value = dataset.get(keyword)
        if value is None or isinstance(value, str | bytes):
            return [value] if value else []
        return list(value) if hasattr(value, "__iter__") else [value]
    except Exception as error:
        # Values are decoded when they are asked for, with exceptions of many kinds.
        said = f"{keyword}: {type(error).__name__}"
        raise Unreadable(Reason.UNREADABLE_HEADER, said) from error


def _first(dataset: Dataset, keyword: str) -> object:
    return next(iter(values_of(dataset, keyword)), None)
