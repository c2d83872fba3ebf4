"""WFDB headers as untrusted input: checked in full before any signal file is opened."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import wfdb

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.wfdb_files import FORMATS, check_files
from medssl.ingest.waveforms.wfdb_text import (
    MAX_HEADER_BYTES,
    HeaderText,
    header_text,
    is_plain_name,
)

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_FORMAT: Final = re.compile(r"\d+(x\d+)?(:\d+)?(\+\d+)?")
_DEFAULT_UNIT: Final = "mV"
"""What the WFDB format says of a signal without units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A checked header.

    Args:
        names: Signal names, in order; empty text for a nameless signal.
        units: Units as written, in order.
        calibrated: Whether each signal has a gain.
        gains: Counts per unit that wfdb divides by, also where the header has no gain.
        formats: How the samples of each signal are written, such as `"212"`.
        samples_per_frame: Samples per frame, in order.
        skew: By how many frames each signal lies late in its file.
        checksums: Sum of each signal's samples modulo 65,536; None where the header has none.
        frames: Frames in the recording.
        open_ended: Whether the header leaves it to the signal files how many there are.
        frame_rate: Frames per second (Hz).
        comments: Comment lines without their `#`.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    calibrated: tuple[bool, ...]
    gains: tuple[float, ...]
    formats: tuple[str, ...]
    samples_per_frame: tuple[int, ...]
    skew: tuple[int, ...]
    checksums: tuple[int | None, ...]
    frames: int
    open_ended: bool
    frame_rate: float
    comments: tuple[str, ...]


def read_header(path: Path, *, folder: Path) -> Header:
    """Read and check a header of one segment; allocates nothing in proportion to what it claims.

    Args:
        path: The `.hea` file.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    raw, text = parse_header(path)
    return check_header(raw, text, path, folder=folder)


def check_header(raw: Any, text: HeaderText, path: Path, *, folder: Path) -> Header:
    """The same for a header that `parse_header` gave."""
    if text.several:
        raise Unreadable(Reason.UNREADABLE_HEADER, "a segment that has segments of its own")
    check_signals(raw, text)
    if any(fmt not in FORMATS for fmt in raw.fmt):
        unknown = sorted(set(raw.fmt) - FORMATS.keys())
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"signal format {', '.join(unknown)}")
    return header_of(raw, text, frames=check_files(raw, path.parent, folder))


def parse_header(path: Path) -> tuple[Any, HeaderText]:
    """What wfdb makes of a header, and its lines.

    Raises:
        Unreadable: It is empty, too long, no WFDB header, or names a file in another folder.
    """
    size = path.stat().st_size
    if size == 0:
        raise Unreadable(Reason.EMPTY_FILE)
    if path.suffix != ".hea":
        # wfdb opens headers by their recording's name, with `.hea` in lower case behind it.
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "rename to .hea")
    if size > MAX_HEADER_BYTES:
        raise Unreadable(Reason.UNREADABLE_HEADER, f"a header of {size} bytes")
    text = header_text(path)
    outside = sum(not is_plain_name(words[0]) for words in text.words)
    if outside:
        detail = f"{outside} line(s) name a file in another folder"
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, detail)
    if any(not line.replace("\t", " ").isprintable() for line in text.lines):
        raise Unreadable(Reason.UNREADABLE_HEADER, "control characters")
    try:
        raw = wfdb.rdheader(str(path.with_suffix("")))
    except Exception as error:
        # wfdb raises many kinds of exception on damaged headers, among them IndexError.
        raise Unreadable(Reason.UNREADABLE_HEADER, type(error).__name__) from error
    if isinstance(raw, wfdb.MultiRecord) is not text.several:
        raise Unreadable(Reason.UNREADABLE_HEADER, "a first line that can be read in two ways")
    return raw, text


def header_of(raw: Any, text: HeaderText, *, frames: int) -> Header:
    """A header whose signals were checked."""
    return Header(
        names=tuple(map(_name, raw.sig_name, text.lines[1:])),
        units=tuple(map(_unit, text.words)),
        calibrated=tuple(_gain(words) not in (None, 0.0) for words in text.words),
        gains=tuple(map(float, raw.adc_gain)),
        formats=tuple(raw.fmt),
        samples_per_frame=tuple(raw.samps_per_frame),
        skew=tuple(value or 0 for value in raw.skew),
        # Software that does not add up writes 0.
        checksums=tuple(checksum or None for checksum in raw.checksum),
        frames=frames,
        open_ended=raw.sig_len is None,
        frame_rate=float(raw.fs),
        comments=text.comments,
    )


def check_signals(raw: Any, text: HeaderText) -> None:
    """Refuse a header whose lines do not say what wfdb reads in them.

    wfdb skips what it does not understand: a gain of `1.5E3` would be read as 1.5.

    Raises:
        Unreadable: `unreadable_header`, with the evidence.
    """
    lines = text.words
    if not raw.n_sig or not lines:
        raise Unreadable(Reason.UNREADABLE_HEADER, "the header describes no signal")
    if raw.n_sig != len(lines) or len(raw.file_name) != len(lines):
        detail = f"{raw.n_sig} signals claimed, {len(lines)} described"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
    if not (raw.fs and math.isfinite(raw.fs) and raw.fs > 0):
        raise Unreadable(Reason.UNREADABLE_HEADER, "the rate is not positive")
    if raw.sig_len is not None and raw.sig_len <= 0:
        raise Unreadable(Reason.UNREADABLE_HEADER, "the header claims no samples")
    for number, words in enumerate(lines):
        if raw.file_name[number] != words[0]:
            raise Unreadable(Reason.UNREADABLE_HEADER, "a file name that is not ASCII: rename it")
        if len(words) > 1 and not _FORMAT.fullmatch(words[1]):
            raise Unreadable(Reason.UNREADABLE_HEADER, "a signal format with unknown parts")
        if raw.samps_per_frame[number] < 1:
            raise Unreadable(Reason.UNREADABLE_HEADER, "no samples in a frame")
        gain = _gain(words)
        agreed = gain in (None, 0.0) or gain == raw.adc_gain[number]
        if not agreed or _baseline(words) not in (None, raw.baseline[number]):
            raise Unreadable(Reason.UNREADABLE_HEADER, "a gain or baseline that is not a number")


def _gain(words: list[str]) -> float | None:
    """A signal without a gain, or with gain 0, is uncalibrated; wfdb would assume 200."""
    number = _NUMBER.match(words[2]) if len(words) > 2 else None
    return None if number is None else float(number.group())


def _baseline(words: list[str]) -> int | str | None:
    found = re.search(r"\(([^)/]*)", words[2]) if len(words) > 2 else None
    if found is None:
        return None
    number = found.group(1)
    return int(number) if re.fullmatch(r"-?\d{1,18}", number) else number


def _unit(words: list[str]) -> str:
    """The unit as written: wfdb leaves out letters that are not ASCII, and would read µV as V."""
    _, slash, unit = (words[2] if len(words) > 2 else "").partition("/")
    return unit if slash and unit else _DEFAULT_UNIT


def _name(found: str | None, line: str) -> str:
    """The name that wfdb found, with the letters that are not ASCII."""
    written = line.split(None, 8)[8:]
    whole = written[0].strip() if written else ""
    return whole if whole.encode("ascii", "ignore").decode().strip() == found else found or ""
