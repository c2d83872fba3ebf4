"""WFDB recordings in one piece, or made of segments with gaps between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.wfdb_header import (
    Header,
    check_header,
    check_signals,
    header_of,
    parse_header,
    read_header,
)
from medssl.ingest.waveforms.wfdb_text import HeaderText

GAP: Final = "~"
"""Name of a segment without a recording."""

MAX_GAP_RATIO: Final = 1000
"""A recording that claims more gap than this for each of its samples is refused."""
_SMALL_GAP: Final = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A segment with samples.

    Args:
        path: Its header.
        header: The same, checked.
        start: Its first frame, counted from the start of the recording.
    """

    path: Path
    header: Header
    start: int

    @property
    def stop(self) -> int:
        """The frame behind its last one."""
        return self.start + self.header.frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A recording as its headers describe it.

    Args:
        header: Signals, length, rate and comments of the recording as a whole.
        pieces: Segments in the order of time; what lies between them is missing.
        variable: Whether a segment may lack some of the signals.
    """

    header: Header
    pieces: tuple[Piece, ...]
    variable: bool = False


def read_layout(path: Path, *, folder: Path) -> Layout:
    """Read and check the header of a recording, and those of its segments.

    Args:
        path: The `.hea` file.
        folder: Folder of the source, which no file may leave.

    Raises:
        Unreadable: With the reason and evidence.
    """
    raw, text = parse_header(path)
    if not text.several:
        header = check_header(raw, text, path, folder=folder)
        return Layout(header=header, pieces=(Piece(path=path, header=header, start=0),))
    _check_claims(raw, text, path)
    variable = raw.seg_len[0] == 0
    pieces = _pieces(raw, path, folder, first=int(variable))
    whole = _layout_header(path, raw, folder) if variable else pieces[0].header
    if len(whole.names) != raw.n_sig or not math.isclose(whole.frame_rate, raw.fs):
        raise Unreadable(Reason.UNREADABLE_HEADER, "other signals or another rate than segments")
    for piece in pieces:
        _check_piece(piece.header, whole, variable=variable)
    frames = sum(raw.seg_len)
    if frames > MAX_GAP_RATIO * sum(piece.header.frames for piece in pieces) + _SMALL_GAP:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"{frames} frames, nearly all of them gaps")
    header = replace(whole, frames=frames, comments=text.comments)
    return Layout(header=header, pieces=pieces, variable=variable)


def _check_claims(raw: Any, text: HeaderText, path: Path) -> None:
    """Refuse a list of segments that contradicts itself."""
    names: Sequence[str] = raw.seg_name
    held = [name for name in names if name != GAP]
    if not names or len(names) != raw.n_seg:
        detail = f"{raw.n_seg} segments claimed, {len(names)} described"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
    if [words[0] for words in text.words] != list(names) or path.stem in names:
        detail = "a segment's name is not ASCII, or the recording's own"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
    if len(set(held)) < len(held):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "a segment that comes twice")
    if not all(raw.seg_len[1:]) or (raw.seg_len[0] == 0 and names[0] == GAP):
        raise Unreadable(Reason.UNREADABLE_HEADER, "a segment without samples")
    total = sum(raw.seg_len)
    if raw.sig_len not in (None, 0, total):
        detail = f"{raw.sig_len} frames claimed, {total} in the segments"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)


def _pieces(raw: Any, path: Path, folder: Path, *, first: int) -> tuple[Piece, ...]:
    pieces = []
    start = 0
    for name, length in zip(raw.seg_name[first:], raw.seg_len[first:], strict=True):
        if name != GAP:
            place = _segment(path, name, folder)
            header = read_header(place, folder=folder)
            if header.frames != length:
                detail = f"{length} frames claimed of a segment, {header.frames} in its header"
                raise Unreadable(Reason.WRONG_BYTE_COUNT, detail)
            pieces.append(Piece(path=place, header=header, start=start))
        start += length
    if not pieces:
        raise Unreadable(Reason.ALL_NAN, "every segment is a gap")
    return tuple(pieces)


def _segment(path: Path, name: str, folder: Path) -> Path:
    """The header of a segment, once it is known to be one that may be opened."""
    place = path.with_name(f"{name}.hea")
    if not place.resolve().is_relative_to(folder.resolve()):
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a segment links outside the folder")
    if not place.is_file():
        raise Unreadable(Reason.MISSING_DATA_FILE, "a segment without a header")
    return place


def _layout_header(path: Path, raw: Any, folder: Path) -> Header:
    """The segment of no samples that lists every signal of a variable layout."""
    layout, text = parse_header(_segment(path, raw.seg_name[0], folder))
    if text.several:
        raise Unreadable(Reason.UNREADABLE_HEADER, "a layout that has segments of its own")
    # A layout has no samples, so a length of 0 is right here.
    layout.sig_len = layout.sig_len or None
    check_signals(layout, text)
    return header_of(layout, text, frames=sum(raw.seg_len))


def _check_piece(header: Header, whole: Header, *, variable: bool) -> None:
    if not math.isclose(header.frame_rate, whole.frame_rate):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "segments of different rates")
    if not variable and header.names != whole.names:
        detail = "a fixed layout whose segments hold different signals"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
    if variable and ("" in header.names or not set(header.names) <= set(whole.names)):
        detail = "a segment with a signal that the layout does not list"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
