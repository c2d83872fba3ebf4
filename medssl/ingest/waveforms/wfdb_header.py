"""WFDB headers as untrusted input: checked in full before any signal file is opened."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import wfdb

from medssl.ingest.ledger import Reason, Unreadable

MAX_HEADER_BYTES: Final = 1 << 20
MAX_DECODED_BYTES: Final = 8 << 30
"""A recording that would take more memory than this when decoded is refused."""

_BYTES_PER_SAMPLE: Final = {
    "8": Fraction(1), "16": Fraction(2), "24": Fraction(3), "32": Fraction(4), "61": Fraction(2),
    "80": Fraction(1), "160": Fraction(2), "212": Fraction(3, 2), "310": Fraction(4, 3),
    "311": Fraction(4, 3),
}  # fmt: skip
_PACKING_SLACK: Final = 4
"""Formats 212, 310 and 311 pack 2 or 3 samples a block and may fill up the last one."""
_HUGE: Final = 16
"""A claim of this many times the file's size is an attack or a wreck, not a truncated file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A checked header.

    Args:
        names: Signal names, in order; empty text for a nameless signal.
        units: Units as written, in order.
        calibrated: Whether each signal has a gain.
        samples_per_frame: Samples per frame, in order.
        frames: Frames in the recording.
        frame_rate: Frames per second (Hz).
        comments: Comment lines without their `#`.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    calibrated: tuple[bool, ...]
    samples_per_frame: tuple[int, ...]
    frames: int
    frame_rate: float
    comments: tuple[str, ...]


def signal_lines(path: Path) -> list[list[str]]:
    """The words of a single-segment header's signal lines; nothing for other headers."""
    if not path.is_file():
        return []  # opening a pipe would wait for ever
    with path.open("rb") as file:
        text = file.read(MAX_HEADER_BYTES).decode("ascii", errors="ignore")
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    lines = [words for words in lines if words]
    if not lines or "/" in lines[0][0]:
        return []
    return lines[1:]


def named_files(path: Path) -> tuple[str, ...]:
    """Names of the signal files that a header claims, when they are plain names."""
    names = (words[0] for words in signal_lines(path))
    return tuple(dict.fromkeys(name for name in names if is_plain_name(name)))


def is_plain_name(name: str) -> bool:
    """Whether a name stays in its folder: no folder part, no link to elsewhere.

    >>> [is_plain_name(name) for name in ("rec_1.dat", "../x.dat", "/x.dat", "a::http:b")]
    [True, False, False, False]
    """
    # "::" and ":" would chain remote file systems in fsspec, which wfdb opens files through.
    return name not in {"", ".", ".."} and not re.search(r"[/\\:\0]", name)


def read_header(path: Path, *, folder: Path) -> Header:
    """Read and check a header; allocates nothing in proportion to what it claims.

    Args:
        path: The `.hea` file.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    size = path.stat().st_size
    if size == 0:
        raise Unreadable(Reason.EMPTY_FILE)
    if path.suffix != ".hea":
        # wfdb opens headers by their recording's name, with `.hea` in lower case behind it.
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "rename to .hea")
    if size > MAX_HEADER_BYTES:
        raise Unreadable(Reason.UNREADABLE_HEADER, f"a header of {size} bytes")
    lines = signal_lines(path)
    outside = sum(not is_plain_name(words[0]) for words in lines)
    if outside:
        raise Unreadable(
            Reason.PATH_OUTSIDE_FOLDER, f"{outside} signal(s) name a file in another folder"
        )
    try:
        raw: Any = wfdb.rdheader(str(path.with_suffix("")))
    except Exception as error:
        # wfdb raises many kinds of exception on damaged headers, among them IndexError.
        raise Unreadable(Reason.UNREADABLE_HEADER, type(error).__name__) from error
    if isinstance(raw, wfdb.MultiRecord):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a multi-segment header; ingest its segments")
    _check_fields(raw, lines)
    frames = _check_files(raw, path.parent, folder)
    return Header(
        names=tuple(name or "" for name in raw.sig_name),
        units=tuple(raw.units),
        calibrated=tuple(_has_gain(words) for words in lines),
        samples_per_frame=tuple(raw.samps_per_frame),
        frames=frames,
        frame_rate=float(raw.fs),
        comments=tuple(comment.strip() for comment in raw.comments),
    )


def _has_gain(words: list[str]) -> bool:
    """A signal without a gain, or with gain 0, is uncalibrated; wfdb would assume 200."""
    if len(words) < 3:
        return False
    number = re.match(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", words[2])
    return number is not None and float(number.group()) != 0


def _check_fields(raw: Any, lines: list[list[str]]) -> None:
    signals = raw.n_sig
    if not signals or not lines:
        raise Unreadable(Reason.UNREADABLE_HEADER, "the header describes no signal")
    if signals != len(lines) or len(raw.file_name) != len(lines):
        raise Unreadable(
            Reason.UNREADABLE_HEADER, f"{signals} signals claimed, {len(lines)} described"
        )
    if not (raw.fs and math.isfinite(raw.fs) and raw.fs > 0):
        raise Unreadable(Reason.UNREADABLE_HEADER, "the rate is not positive")
    if raw.sig_len is not None and raw.sig_len <= 0:
        raise Unreadable(Reason.UNREADABLE_HEADER, "the header claims no samples")
    for number in range(signals):
        if raw.fmt[number] not in _BYTES_PER_SAMPLE:
            raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"signal format {raw.fmt[number]}")
        if raw.samps_per_frame[number] < 1:
            raise Unreadable(Reason.UNREADABLE_HEADER, "no samples in a frame")


def _check_files(raw: Any, parent: Path, folder: Path) -> int:
    """Compare each claimed file with the file that is there; return the number of frames."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(raw.file_name):
        groups.setdefault(name, []).append(number)
    frames: int | None = raw.sig_len
    for name, numbers in groups.items():
        formats = {raw.fmt[number] for number in numbers}
        if len(formats) > 1:
            raise Unreadable(Reason.UNREADABLE_HEADER, "one file with two signal formats")
        file = parent / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a signal file links outside the folder")
        if not file.is_file():
            raise Unreadable(Reason.MISSING_DATA_FILE, f"{len(numbers)} signal(s) without a file")
        per_frame = sum(raw.samps_per_frame[number] for number in numbers)
        offset = raw.byte_offset[numbers[0]] or 0
        width = _BYTES_PER_SAMPLE[formats.pop()]
        actual = file.stat().st_size
        if frames is None:
            frames = int((actual - offset) / (width * per_frame))
        block = max((raw.block_size[number] or 0) for number in numbers)
        _check_size(
            claimed=offset + math.ceil(frames * per_frame * width),
            actual=actual,
            slack=max(block, 0 if width.denominator == 1 else _PACKING_SLACK),
        )
    assert frames is not None
    total = sum(raw.samps_per_frame)
    skew = max((abs(value or 0) for value in raw.skew), default=0)
    if frames <= 0 or skew > frames:
        raise Unreadable(Reason.UNREADABLE_HEADER, "no samples, or a skew beyond the recording")
    if frames * total * 8 > MAX_DECODED_BYTES:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"{frames * total} samples; split the recording")
    return frames


def _check_size(*, claimed: int, actual: int, slack: int) -> None:
    if claimed > _HUGE * actual + MAX_HEADER_BYTES:
        raise Unreadable(
            Reason.CLAIMS_TOO_LARGE, f"{claimed} bytes claimed, {actual} bytes in the file"
        )
    if not claimed <= actual <= claimed + slack:
        raise Unreadable(
            Reason.WRONG_BYTE_COUNT, f"{claimed} bytes claimed, {actual} bytes in the file"
        )
