"""MATLAB files of versions 4 to 7.3: matrices, or vectors inside structs and cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.members import Member, named_comments
from medssl.ingest.sources import MatlabSource
from medssl.ingest.waveforms.channels import pick
from medssl.ingest.waveforms.matlab_arrays import ArrayNode
from medssl.ingest.waveforms.matlab_elements import load_variable, variable_names
from medssl.ingest.waveforms.matlab_hdf5 import open_hdf5
from medssl.ingest.waveforms.matlab_tree import Matrix, Node, walk
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.unnamed import rows_of

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_HDF5_PLACES: Final = (0, 512)
"""MATLAB writes 512 bytes of its own before the HDF5 signature."""


def read_matlab(path: Path, config: MatlabSource, *, folder: Path, member: str = "") -> Recording:
    """Open the configured channels of one recording; 7.3 files are read as they are needed.

    Args:
        path: The file.
        config: The source it belongs to.
        folder: Folder of the source (unused: a MATLAB file names no other file).
        member: Which element of `recordings`, counted from 1.

    Raises:
        Unreadable: With the reason and evidence.
    """
    with open_matlab(path, keep=config.recordings is not None) as root:
        top = root
        if config.recordings is not None:
            every = walk(root, config.recordings)
            if not member.isdecimal() or not 1 <= int(member) <= every.count:
                raise Unreadable(Reason.MISSING_CHANNEL, "the recording is no longer in the file")
            top = every.element(int(member) - 1)
        rate = _rate(top, config)
        channels, taken = _channels(top, config)
        comments = tuple(
            f"{name}: {text}"
            for name in named_comments(config)
            if (text := _text(top, name)) is not None
        )
    length = channels[0].columns
    if not length:
        raise Unreadable(Reason.TOO_SHORT, "no samples")

    def read(start: int, stop: int) -> Float64[np.ndarray, "channels time"]:
        parts = [one.read(slice(None), slice(start, stop)) for one in channels]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    assert config.units is not None
    track = Track(
        channels=tuple(channel.stored for channel in config.channels),
        rate=rate,
        length=length,
        read=read,
    )
    return Recording(tracks=(track,), units=config.units, comments=comments, taken=taken)


def matlab_members(path: Path, config: MatlabSource, *, folder: Path) -> tuple[Member, ...]:
    """The recordings in one file, called by their number from 1.

    Args:
        path: The file.
        config: A source with `recordings`.
        folder: Folder of the source (unused).

    Raises:
        Unreadable: With the reason and evidence.
    """
    assert config.recordings is not None
    with open_matlab(path, keep=config.recordings is not None) as root:
        every = walk(root, config.recordings)
        wanted = named_comments(config)
        members = []
        for number in range(every.count):
            texts = {name: _text(every.element(number), name) for name in wanted}
            comments = tuple(f"{name}: {text}" for name, text in texts.items() if text is not None)
            members.append(Member(key=str(number + 1), comments=comments))
    return tuple(members)


@contextmanager
def open_matlab(path: Path, *, keep: bool = False) -> Iterator[Node]:
    """The variables of a file as the fields of its root.

    Args:
        path: The file.
        keep: Whether the last variable stays in memory, for the next recording of the file.

    Raises:
        Unreadable: It is damaged.
    """
    size = path.stat().st_size
    if not size:
        raise Unreadable(Reason.EMPTY_FILE)
    with path.open("rb") as file:
        head = file.read(max(_HDF5_PLACES) + len(_HDF5))
    if any(head[place : place + len(_HDF5)] == _HDF5 for place in _HDF5_PLACES):
        with open_hdf5(path) as root:
            yield root
    else:
        yield _Variables(path, keep=keep)


class _Variables:
    """The variables of a MATLAB 4 or 5 file as the fields of its root.

    Args:
        path: The file.
        keep: Whether the last variable stays in memory, for the next recording of the file.
    """

    count = 1

    def __init__(self, path: Path, *, keep: bool) -> None:
        self._path = path
        self._keep = keep

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return variable_names(self._path)

    def field(self, name: str) -> Node:
        """One variable."""
        if not self._keep:
            return ArrayNode(load_variable(self._path, name))
        stat = self._path.stat()
        return ArrayNode(_kept(self._path, name, stat.st_mtime_ns, stat.st_size))

    def element(self, number: int) -> Node:
        """There is none."""
        raise IndexError(number)

    def matrix(self) -> Matrix:
        """A file is no matrix."""
        raise Unreadable(Reason.MISSING_CHANNEL, "the path of a variable is empty")

    def texts(self) -> list[str]:
        """A file is no text."""
        raise Unreadable(Reason.MISSING_CHANNEL, "the path of a variable is empty")


@lru_cache(maxsize=1)
def _kept(path: Path, name: str, mtime: int, size: int) -> Any:
    """One variable; the times and sizes are arguments so that a changed file is read anew."""
    return load_variable(path, name)


def _rate(top: Node, config: MatlabSource) -> float:
    if config.rate_variable is None:
        assert config.rate_in is not None
        return config.rate_in
    matrix = walk(top, config.rate_variable).matrix()
    if (matrix.rows, matrix.columns) != (1, 1):
        raise Unreadable(Reason.UNREADABLE_HEADER, "the rate is not a single number")
    rate = float(matrix.read(slice(0, 1), slice(0, 1))[0, 0])
    if not (isfinite(rate) and rate > 0):
        raise Unreadable(Reason.UNREADABLE_HEADER, "the rate is not positive")
    return rate


def _text(top: Node, path: str) -> str | None:
    """A single number or text at a path; None when there is none."""
    try:
        node = walk(top, path)
        try:
            texts = node.texts()
            return texts[0] if len(texts) == 1 else None
        except Unreadable:
            matrix = node.matrix()
            if (matrix.rows, matrix.columns) != (1, 1):
                return None
            return f"{matrix.read(slice(0, 1), slice(0, 1))[0, 0]:.12g}"
    except Unreadable:
        return None


def _channels(top: Node, config: MatlabSource) -> tuple[list[Matrix], tuple[str, ...]]:
    """Matrices whose rows are the channels in the configured order, all of one length."""
    if config.variable is not None:
        matrix = walk(top, config.variable).matrix()
        if config.layout == "columns":
            matrix = _transposed(matrix)
        rows = _rows(top, matrix, config)
        return [_some(matrix, rows)], ()
    vectors, taken = [], []
    for channel in config.channels:
        name, matrix = _first(top, channel.names)
        if 1 not in (matrix.rows, matrix.columns):
            detail = f"{matrix.rows} x {matrix.columns} numbers: name a matrix by variable"
            raise Unreadable(Reason.MISSING_CHANNEL, detail)
        vectors.append(matrix if matrix.rows == 1 else _transposed(matrix))
        taken.append(name)
    lengths = sorted({one.columns for one in vectors})
    if len(lengths) > 1:
        detail = f"channels of {lengths[0]} to {lengths[-1]} samples: take those of one length"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
    return vectors, tuple(taken)


def _first(top: Node, names: Sequence[str]) -> tuple[str, Matrix]:
    """The first of a channel's accepted paths that leads to something."""
    for name in names[:-1]:
        try:
            return name, walk(top, name).matrix()
        except Unreadable as verdict:
            if verdict.reason is not Reason.MISSING_CHANNEL:
                raise
    return names[-1], walk(top, names[-1]).matrix()


def _rows(top: Node, matrix: Matrix, config: MatlabSource) -> list[int]:
    """Which rows the channels are: by the file's names, by number, or all of them in order."""
    if config.names_variable is not None:
        names = walk(top, config.names_variable).texts()
        if len(names) != matrix.rows:
            detail = f"{len(names)} names for {matrix.rows} channels: correct layout"
            raise Unreadable(Reason.MISSING_CHANNEL, detail)
        return [pick(names, channel) for channel in config.channels]
    return rows_of(config.channels, count=matrix.rows, length=matrix.columns)


def _transposed(matrix: Matrix) -> Matrix:
    return Matrix(
        rows=matrix.columns,
        columns=matrix.rows,
        read=lambda rows, columns: matrix.read(columns, rows).T,
    )


def _some(matrix: Matrix, rows: Sequence[int]) -> Matrix:
    """Some rows, in the given order; those between them are read too and left out."""
    low = min(rows)
    picked = [row - low for row in rows]
    return Matrix(
        rows=len(rows),
        columns=matrix.columns,
        read=lambda _, columns: matrix.read(slice(low, max(rows) + 1), columns)[picked],
    )
