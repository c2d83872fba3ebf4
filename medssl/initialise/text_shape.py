"""The shape of one text file, told from its first lines the way ingest will read it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64

from medssl.ingest.waveforms.decimal_comma import AMBIGUOUS, is_ambiguous, is_spaced
from medssl.ingest.waveforms.time_axis import seconds_of

HEAD_BYTES: Final = 256 << 10
_WHOLE_BYTES: Final = 8 << 20
"""Smaller files may be read in full to count their samples."""
_ROWS: Final = 500
"""Data rows that are parsed."""
_ROW_CELLS: Final = 32
"""Fewer numbers in a line are columns, not the samples of a channel."""

Layout = Literal["row", "columns"]
Delimiter = Literal["tab", "comma", "semicolon", "space"]
_MARKS: Final[dict[str, Delimiter]] = {"\t": "tab", ";": "semicolon", ",": "comma"}
_DECIMAL_COMMA: Final = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_CLOCK: Final = re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d.*")
_CLOCK_STEP: Final = 0.1
"""Longest mean step of dates and times beside samples of a waveform (seconds)."""


class NoTable(Exception):  # noqa: N818  it is a verdict on one file, caught by the survey
    """The file is no table of numbers; the message says why, without anything it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextShape:
    """A table of numbers.

    Args:
        delimiter: What separates numbers.
        layout: Whether a channel is a row or a column.
        header: Whether names come first.
        names: Names, or numbers counted from 0.
        samples: Samples of a channel.
        exact: Whether `samples` was counted, not estimated from the file's size.
        values: The first data rows, shape (rows, columns); the transpose for rows.
        clock: The column of dates and times, if there is one; its values are seconds.
    """

    delimiter: Delimiter
    layout: Layout
    header: bool
    names: tuple[str, ...]
    samples: int
    exact: bool
    values: Float64[np.ndarray, "rows columns"]
    clock: int | None = None

    @property
    def signature(self) -> tuple[str, str, bool, int, bool]:
        """What must be equal for two files to be read by one source."""
        width = 0 if self.header else len(self.names)
        return (self.layout, self.delimiter, self.header, width, self.clock is not None)


def read_shape(path: Path) -> TextShape:
    """Look at the first lines of a text file.

    Raises:
        NoTable: It is no table of numbers that ingest could read.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    text, whole = _head(path, size, HEAD_BYTES)
    if not whole and text.count("\n") < 3:
        text, whole = _head(path, size, _WHOLE_BYTES)
        if not whole and text.count("\n") < 3:
            msg = f"a line of more than {_WHOLE_BYTES >> 20} MB"
            raise NoTable(msg)
    lines = text.splitlines()
    if not whole:
        lines.pop()  # cut off in its middle
    lines = [line for line in lines if line.strip()]
    if not lines:
        msg = "empty"
        raise NoTable(msg)
    before = _lines_before(lines)
    if before > 1:
        msg = f"{before - 1} line(s) before the table; remove them"
        raise NoTable(msg)
    if is_ambiguous(lines):
        msg = f"{AMBIGUOUS}: add a row of column names, or write the pipeline with its delimiter"
        raise NoTable(msg)
    mark = _mark(lines[0])
    if mark == "," and is_spaced(lines[0]):
        mark = None
    delimiter = "space" if mark is None else _MARKS[mark]
    cells = [_cells(line, mark) for line in lines[: _ROWS + 1]]
    if mark != ",":
        cells = _with_points(cells)
    if whole and _is_rows(cells):
        return _rows(cells, delimiter)
    return _columns(path, cells, delimiter, lines=len(lines) if whole else None, size=size)


def _head(path: Path, size: int, limit: int) -> tuple[str, bool]:
    with path.open("rb") as file:
        data = file.read(limit)
    whole = len(data) >= size
    if b"\0" in data:
        msg = "not text"
        raise NoTable(msg)
    try:
        # The last character may be cut in two.
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=whole), whole
    except UnicodeDecodeError as error:
        msg = "not UTF-8 text"
        raise NoTable(msg) from error


def _mark(line: str) -> str | None:
    return next((mark for mark in _MARKS if mark in line), None)


def _lines_before(lines: list[str]) -> int:
    """Lines before the first row of numbers, when all lines from there on are alike; else 0."""
    lines = lines[:_ROWS]
    mark = _mark(lines[-1])
    rows = [[_number(cell) for cell in _cells(line, mark)] for line in lines]
    first = next((place for place, row in enumerate(rows) if None not in row), 0)
    alike = all(None not in row and len(row) == len(rows[-1]) for row in rows[first:])
    return first if alike and len(rows) - first > first else 0


def _cells(line: str, mark: str | None) -> list[str]:
    line = line.rstrip("\r\n ")
    if mark is not None:
        line = line.removesuffix(mark)
    return [cell.strip() for cell in line.split(mark)]


def _with_points(cells: list[list[str]]) -> list[list[str]]:
    """Numbers with decimal points for those with decimal commas, unless there are both."""
    commas = {cell for row in cells for cell in row if _DECIMAL_COMMA.fullmatch(cell)}
    if not commas or any(
        "." in cell and _number(cell) is not None for row in cells for cell in row
    ):
        return cells
    return [[cell.replace(",", ".") if cell in commas else cell for cell in row] for row in cells]


def _is_rows(cells: list[list[str]]) -> bool:
    shortest = min(map(len, cells))
    return shortest >= _ROW_CELLS and shortest >= 4 * len(cells)


def _number(cell: str) -> float | None:
    if not cell:
        return float("nan")
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _parse(rows: list[list[str]]) -> Float64[np.ndarray, "rows columns"]:
    """Numbers of equal rows.

    Raises:
        NoTable: Some cells are none.
    """
    every = [cell for row in rows for cell in row if cell]
    if 2 * sum(_number(cell) is None for cell in every) > len(every):
        msg = "words"
        raise NoTable(msg)
    if len({len(row) for row in rows}) > 1:
        msg = "rows of different lengths"
        raise NoTable(msg)
    parsed = [[_number(cell) for cell in row] for row in rows]
    bad = [any(row[place] is None for row in parsed) for place in range(len(rows[0]))]
    if any(bad):
        words = [cell for row in rows for cell in row if _number(cell) is None]
        if all(_DECIMAL_COMMA.fullmatch(word) for word in words):
            msg = "decimal commas"
        else:
            msg = "words" if all(bad) else "words or dates in some columns"
        raise NoTable(msg)
    return np.array(parsed, dtype=np.float64)


def _rows(cells: list[list[str]], delimiter: Delimiter) -> TextShape:
    header = all(_number(row[0]) is None for row in cells)
    names = [row[0] for row in cells] if header else [str(place) for place in range(len(cells))]
    values = _parse([row[1:] if header else row for row in cells])
    return TextShape(
        delimiter=delimiter, layout="row", header=header, names=tuple(names),
        samples=values.shape[1], exact=True, values=values[:, :_ROWS].T,
    )  # fmt: skip


def _columns(
    path: Path, cells: list[list[str]], delimiter: Delimiter, *, lines: int | None, size: int
) -> TextShape:
    header = any(_number(cell) is None and not _CLOCK.fullmatch(cell) for cell in cells[0])
    if header and len(cells) == 1:
        msg = "words"
        raise NoTable(msg)
    rows, clock = _with_seconds(cells[1:] if header else cells)
    values = _parse(rows)
    width = values.shape[1]
    names = cells[0][:width] if header else [str(place) for place in range(width)]
    names += [""] * (width - len(names))
    samples, exact = (lines, True) if lines is not None else _count_lines(path, size)
    return TextShape(
        delimiter=delimiter, layout="columns", header=header, names=tuple(names),
        samples=samples - header, exact=exact, values=values, clock=clock,
    )  # fmt: skip


def _with_seconds(rows: list[list[str]]) -> tuple[list[list[str]], int | None]:
    """Rows with seconds for the dates and times of the one column that holds them, if one does.

    Raises:
        NoTable: They are no times of samples.
    """
    clocks = [
        place
        for place in range(min(map(len, rows)))
        if all(_CLOCK.fullmatch(row[place]) for row in rows)
    ]
    if len(clocks) != 1 or len(rows) < 2:
        return rows, None
    place = clocks[0]
    times = seconds_of([row[place].replace(",", ".") for row in rows], "datetime")
    steps = np.diff(times)
    if np.isnan(times).any() or (steps < 0).any() or times[-1] == times[0]:
        msg = "dates and times that do not rise"
        raise NoTable(msg)
    if steps.mean() > _CLOCK_STEP:
        msg = "dates and times too far apart for a waveform"
        raise NoTable(msg)
    told = [
        [*row[:place], repr(float(time)), *row[place + 1 :]]
        for row, time in zip(rows, times, strict=True)
    ]
    return told, place


def _count_lines(path: Path, size: int) -> tuple[int, bool]:
    """Lines of a file, counted when it is small, else estimated from its first ones."""
    count, done = 0, 0
    last = b"\n"
    with path.open("rb") as file:
        while done < _WHOLE_BYTES and (piece := file.read(1 << 20)):
            count += piece.count(b"\n")
            done += len(piece)
            last = piece[-1:]
    if done >= size:
        return count + (last != b"\n"), True
    return round(count * size / done), False
