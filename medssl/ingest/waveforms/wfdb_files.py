"""Signal files beside a WFDB header: what the header claims, compared with what is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from medssl.ingest.ledger import Reason, Unreadable

COMPRESSED: Final = {"508": "PCM_S8", "516": "PCM_16", "524": "PCM_24"}
"""Formats that are FLAC streams, and the resolution of each."""

FORMATS: Final = {
    "8": Fraction(1), "16": Fraction(2), "24": Fraction(3), "32": Fraction(4), "61": Fraction(2),
    "80": Fraction(1), "160": Fraction(2), "212": Fraction(3, 2), "310": Fraction(4, 3),
    "311": Fraction(4, 3), **dict.fromkeys(COMPRESSED, Fraction(0)),
}  # fmt: skip
"""Bytes of one sample, by format; none can be told of a compressed one."""

MAX_RATIO: Final = 4096
"""A FLAC stream that claims more samples for each of its bytes is a bomb."""

MAX_OPEN_ENDED: Final = 256 << 20
"""wfdb reads a file whose header has no length only as a whole; larger ones are refused (bytes)."""

_PACKING_SLACK: Final = 4
"""Formats 212, 310 and 311 pack 2 or 3 samples a block and may fill up the last one."""
_HUGE: Final = 16
"""A claim of this many times the file's size is an attack or a wreck, not a truncated file."""
_SMALL: Final = 1 << 20


def check_files(raw: Any, parent: Path, folder: Path) -> int:
    """Compare each claimed file with the file that is there; return the number of frames.

    Args:
        raw: The header as wfdb read it, its fields checked.
        parent: Folder of the header.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    groups = [
        list(numbers) for _, numbers in groupby(range(raw.n_sig), key=raw.file_name.__getitem__)
    ]
    if len(groups) > len(set(raw.file_name)):
        # wfdb would take the samples of one signal for those of another.
        raise Unreadable(Reason.UNREADABLE_HEADER, "the signals of one file stand apart")
    frames: int | None = raw.sig_len
    for numbers in groups:
        file = _file(raw, numbers, parent, folder)
        check = _check_flac if raw.fmt[numbers[0]] in COMPRESSED else _check_plain
        frames = check(raw, numbers, file, frames)
    assert frames is not None
    if frames <= 0 or max((value or 0 for value in raw.skew), default=0) > frames:
        raise Unreadable(Reason.UNREADABLE_HEADER, "no samples, or a skew beyond the recording")
    return frames


def _file(raw: Any, numbers: Sequence[int], parent: Path, folder: Path) -> Path:
    """The file of some signals, once it is known to be one that may be opened."""
    if len({(raw.fmt[number], raw.byte_offset[number] or 0) for number in numbers}) > 1:
        raise Unreadable(Reason.UNREADABLE_HEADER, "one file with two signal formats or offsets")
    file = parent / str(raw.file_name[numbers[0]])
    if not file.resolve().is_relative_to(folder.resolve()):
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a signal file links outside the folder")
    if not file.is_file():
        raise Unreadable(Reason.MISSING_DATA_FILE, f"{len(numbers)} signal(s) without a file")
    return file


def _check_plain(raw: Any, numbers: Sequence[int], file: Path, frames: int | None) -> int:
    per_frame = sum(raw.samps_per_frame[number] for number in numbers)
    offset = raw.byte_offset[numbers[0]] or 0
    width = FORMATS[raw.fmt[numbers[0]]]
    actual = file.stat().st_size
    if frames is None:
        if actual > MAX_OPEN_ENDED:
            raise Unreadable(
                Reason.UNSUPPORTED_FORMAT, "a long recording whose header has no length"
            )
        frames = int((actual - offset) / (width * per_frame))
    block = max((raw.block_size[number] or 0) for number in numbers)
    claimed = offset + math.ceil(frames * per_frame * width)
    slack = max(block, 0 if width.denominator == 1 else _PACKING_SLACK)
    sizes = f"{claimed} bytes claimed, {actual} bytes in the file"
    if claimed > _HUGE * actual + _SMALL:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, sizes)
    if not claimed <= actual <= claimed + slack:
        raise Unreadable(Reason.WRONG_BYTE_COUNT, sizes)
    return frames


def _check_flac(raw: Any, numbers: Sequence[int], file: Path, frames: int | None) -> int:
    import soundfile

    try:
        stream = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "not a FLAC stream") from error
    each = {raw.samps_per_frame[number] for number in numbers}
    if stream.format != "FLAC" or stream.channels != len(numbers) or len(each) > 1:
        detail = f"a FLAC stream of {stream.channels} channels for {len(numbers)} signals"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
    resolutions = list(COMPRESSED.values())
    finest = resolutions.index(COMPRESSED[raw.fmt[numbers[0]]])
    if stream.subtype not in resolutions[: finest + 1]:
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a FLAC stream of another resolution")
    # Of a FLAC file the offset counts samples and not bytes.
    there = (stream.frames - (raw.byte_offset[numbers[0]] or 0)) // each.pop()
    if frames is None:
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a FLAC stream whose header has no length")
    if stream.frames * stream.channels > MAX_RATIO * file.stat().st_size + _SMALL:
        detail = f"{stream.frames} samples claimed by {file.stat().st_size} bytes"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, detail)
    if there < frames:
        detail = f"{frames} frames claimed, {there} in the FLAC stream"
        raise Unreadable(Reason.WRONG_BYTE_COUNT, detail)
    return frames
