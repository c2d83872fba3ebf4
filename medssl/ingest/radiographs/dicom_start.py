"""How a DICOM file begins: with a preamble and DICM, or at once with its elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

_PREAMBLE: Final = 128
_HEAD: Final = 4096
"""Bytes that are looked at: the elements that tell what a file is are among its first ones."""
_GROUPS: Final = frozenset({0x0002, 0x0008})
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Types of elements whose length takes two bytes, and four (PS3.5 section 7.1.2)."""
_UID: Final = re.compile(rb"[0-2](?:\.\d+){2,}[\0 ]?")
_TELLING: Final = {
    0x0002_0002: _UID,  # MediaStorageSOPClassUID
    0x0002_0010: _UID,  # TransferSyntaxUID
    0x0008_0010: re.compile(rb"ACR-NEMA [\d.]+[\0 ]*"),  # RecognitionCode, retired
    0x0008_0016: _UID,  # SOPClassUID
}
"""Elements that no other kind of file has, and what they hold."""


class _Layout(NamedTuple):
    """How elements may be written."""

    order: Literal["little", "big"]
    explicit: bool


_LAYOUTS: Final = (_Layout("little", True), _Layout("little", False), _Layout("big", True))


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, or as those do that lack the preamble.

    PS3.10 section 7.1 asks for 128 bytes and DICM before the first element. Old archives and some
    anonymisers leave them out, with the meta group or without it. Such a file counts as DICOM when
    its first elements stand in order, fit their lengths, and come to one that only DICOM files
    have. No more than 4096 bytes are read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    return any(
        tag in _TELLING and _TELLING[tag].fullmatch(value) is not None
        for layout in _LAYOUTS
        for tag, value in _elements(head, layout)
    )


def _elements(head: bytes, layout: _Layout) -> Iterator[tuple[int, bytes]]:
    """Tags and values from the first byte on, until something is no element of these groups."""
    place, last = 0, -1
    while place + 8 <= len(head):
        group = _integer(head[place : place + 2], layout)
        tag = group << 16 | _integer(head[place + 2 : place + 4], layout)
        start, length = _extent(head, place, layout)
        if group not in _GROUPS or tag <= last or start + length > len(head):
            return
        yield tag, head[start : start + length]
        place, last = start + length, tag


def _extent(head: bytes, place: int, layout: _Layout) -> tuple[int, int]:
    """Where the value of an element starts, and its length; beyond the head where it has none."""
    if not layout.explicit:
        return place + 8, _integer(head[place + 4 : place + 8], layout)
    kind = head[place + 4 : place + 6]
    if kind in _SHORT:
        return place + 8, _integer(head[place + 6 : place + 8], layout)
    if kind in _LONG:
        return place + 12, _integer(head[place + 8 : place + 12], layout)
    return len(head) + 1, 0


def _integer(field: bytes, layout: _Layout) -> int:
    return int.from_bytes(field, layout.order)
