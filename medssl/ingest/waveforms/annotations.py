"""WFDB annotation files (MIT format) as untrusted input.

The wfdb package writes them, and reads intact ones; its reader loops for ever on some damaged ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64

MAX_BYTES: Final = 16 << 20
"""A day of beats takes about half a megabyte."""

SYMBOLS: Final = {
    1: "N", 2: "L", 3: "R", 4: "a", 5: "V", 6: "F", 7: "J", 8: "A", 9: "S", 10: "E", 11: "j",
    12: "/", 13: "Q", 14: "~", 16: "|", 18: "s", 19: "T", 20: "*", 21: "D", 22: '"', 23: "=",
    24: "p", 25: "B", 26: "^", 27: "t", 28: "+", 29: "u", 30: "?", 31: "!", 32: "[", 33: "]",
    34: "e", 35: "n", 36: "@", 37: "x", 38: "f", 39: "(", 40: ")", 41: "r",
}  # fmt: skip
"""Symbol of each annotation code (WFDB Programmer's Guide, annotation codes)."""

_SKIP: Final = 59
_AUX: Final = 63
_FIELDS: Final = frozenset({60, 61, 62})
"""Number, subtype and channel of the annotation before."""
_NOTE: Final = 22
_DEFINITIONS: Final = "## annotation type definitions"
_END_OF_DEFINITIONS: Final = "## end of definitions"


class AnnotationsError(ValueError):
    """The file is not what its format says; the message says why, without names."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """What an annotation file says.

    Args:
        seconds: Time of each annotation since the recording's start (seconds), rising.
        symbols: Symbol of each.
        notes: Text of each, such as `"(AFIB"`; mostly empty.
    """

    seconds: Float64[np.ndarray, " annotations"]
    symbols: np.ndarray
    notes: np.ndarray


def read_annotations(path: Path, *, frame_rate: float | None) -> Annotations:
    """Read an annotation file.

    Args:
        path: The file.
        frame_rate: Frames per second of its recording (Hz), in which times are counted unless the
            file gives a resolution of its own; None when the recording has no frames.

    Raises:
        AnnotationsError: It is truncated, too large, or not an annotation file.
    """
    if path.stat().st_size > MAX_BYTES:
        msg = f"more than {MAX_BYTES} bytes"
        raise AnnotationsError(msg)
    content = path.read_bytes()
    if len(content) % 2 or len(content) < 2:
        msg = "an odd number of bytes"
        raise AnnotationsError(msg)
    rate = frame_rate
    known = dict(SYMBOLS)
    kept: list[tuple[int, str, str]] = []
    defining = False
    for time, code, note in _parse(content):
        if code == _NOTE and time == 0 and (defining or note.startswith("## ")):
            # What stands here is about the file itself.
            found = re.fullmatch(r"## time resolution: (\d+\.?\d*)", note)
            rate = float(found[1]) if found else rate
            defined = re.match(r"(\d{1,2})\s+(\S+)", note) if defining else None
            known |= {int(defined[1]): defined[2]} if defined else {}
            defining = note == _DEFINITIONS or (defining and note != _END_OF_DEFINITIONS)
        elif code in known:
            kept.append((time, known[code], note))
        elif code:
            msg = f"annotation code {code} is not defined"
            raise AnnotationsError(msg)
    if rate is None or not (np.isfinite(rate) and rate > 0):
        msg = "neither the file nor its recording says how times are counted"
        raise AnnotationsError(msg)
    counted = np.array([time for time, _, _ in kept], dtype=np.float64)
    if counted.size and (counted[0] < 0 or (np.diff(counted) < 0).any()):
        msg = "annotations before the start, or out of order"
        raise AnnotationsError(msg)
    return Annotations(
        seconds=counted / rate,
        symbols=np.array([symbol for _, symbol, _ in kept], dtype=np.str_),
        notes=np.array([note for _, _, note in kept], dtype=np.str_),
    )


def _parse(content: bytes) -> Iterator[tuple[int, int, str]]:
    """Time, code and text of each annotation."""
    words = np.frombuffer(content, dtype="<u2").tolist()
    place = time = 0
    held: tuple[int, int, str] | None = None
    while place < len(words):
        code, value = words[place] >> 10, words[place] & 0x3FF
        place += 1
        if code == value == 0:
            if held is not None:
                yield held
            return
        if code == _SKIP and place + 1 < len(words):
            jump = (words[place] << 16) + words[place + 1]
            time += jump - (1 << 32) if jump >> 31 else jump
            place += 2
        elif code == _AUX and held is not None:
            text = content[2 * place : 2 * place + value].decode("latin-1")
            held = (*held[:2], text.strip("\0 "))
            place += (value + 1) // 2
        elif code < _SKIP:
            if held is not None:
                yield held
            time += value
            held = (time, code, "")
        elif code not in _FIELDS or held is None:
            break
    msg = "the mark of its end is missing: it is truncated"
    raise AnnotationsError(msg)
