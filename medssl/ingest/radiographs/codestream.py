"""The size that a compressed frame claims in its own header, found without decoding it."""

from __future__ import annotations

from typing import Final, NamedTuple

_SOF: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Second bytes of the markers that open a frame: JPEG (ITU-T T.81 table B.1) and JPEG-LS."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers without a length."""
_J2K: Final = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream and of its size marker (ITU-T T.800 A.5.1)."""


class FrameSize(NamedTuple):
    """What a frame header claims.

    Args:
        rows: Height.
        columns: Width.
        samples: Components.
        bits: Precision of a sample.
        marker: Second byte of the JPEG marker that says so; 0x51 in JPEG 2000.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    marker: int


def frame_size(frame: bytes) -> FrameSize | None:
    """The size of a JPEG, JPEG-LS or JPEG 2000 frame; None where it cannot be found.

    >>> frame_size(bytes.fromhex("ffd8ffc0000b080010002001011100"))
    FrameSize(rows=16, columns=32, samples=1, bits=8, marker=192)
    """
    start = frame.find(_J2K, 0, 4096)
    if start >= 0:
        return _jpeg2000(frame[start + 4 : start + 48])
    if frame[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 4 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _SOF:
            field = frame[place + 4 : place + 10]
            if len(field) < 6:
                return None
            rows, columns = (int.from_bytes(field[at : at + 2], "big") for at in (1, 3))
            return FrameSize(rows, columns, samples=field[5], bits=field[0], marker=marker)
        else:
            place += 2 + max(int.from_bytes(frame[place + 2 : place + 4], "big"), 2)
    return None


def _jpeg2000(field: bytes) -> FrameSize | None:
    """The SIZ marker: lengths, then extents of the grid less those of the image's corner."""
    if len(field) < 39:
        return None
    right, bottom, left, top = (int.from_bytes(field[at : at + 4], "big") for at in (4, 8, 12, 16))
    samples = int.from_bytes(field[36:38], "big")
    bits = (field[38] & 0x7F) + 1
    return FrameSize(bottom - top, right - left, samples=samples, bits=bits, marker=0x51)
