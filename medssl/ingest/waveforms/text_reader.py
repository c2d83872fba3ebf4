"""Recordings in delimited text: channels in rows or in columns, with or without names."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import ChannelConfig, TextSource
from medssl.ingest.waveforms.channels import pick
from medssl.ingest.waveforms.decimal_comma import (
    AMBIGUOUS,
    has_decimal_commas,
    is_ambiguous,
    is_spaced,
)
from medssl.ingest.waveforms.recording import Recording, check_finite
from medssl.ingest.waveforms.time_axis import EvenSignal, seconds_of, to_even

MAX_TEXT_BYTES: Final = 2 << 30
MAX_COLUMNS: Final = 10_000
"""More are a channel in a row: pandas would take minutes and gigabytes for them."""
_SEPARATORS: Final = {"tab": "\t", "comma": ",", "semicolon": ";", "space": None}

Table = tuple[list[str], Float64[np.ndarray, "channels time"]]


def read_text(path: Path, config: TextSource, *, folder: Path) -> Recording:
    """Read the configured channels of one text file; an empty cell is a missing sample.

    Where tabs, semicolons or white space separate the cells, a comma is a decimal point, if all
    commas stand between digits and no number has a point. With `delimiter: auto`, a file of
    nothing but digits, one comma, digits on every line is refused: the comma could be either.

    Args:
        path: The text file.
        config: The source it belongs to.
        folder: Folder of the source (unused: a text file names no other file).

    Raises:
        Unreadable: With the reason and evidence.
    """
    size = path.stat().st_size
    if size == 0:
        raise Unreadable(Reason.EMPTY_FILE)
    if size > MAX_TEXT_BYTES:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, f"{size} bytes of text; split the recording")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(Reason.UNREADABLE_TEXT, "not text") from error
    if "\0" in text:
        raise Unreadable(Reason.UNREADABLE_TEXT, "not text")
    separator = _separator(text, config)
    names, values = (
        _rows(text, separator, config.header)
        if config.layout == "row"
        else _columns(text, separator, config)
    )
    numbers = [
        _find(names, channel, place, named=config.header)
        for place, channel in enumerate(config.channels)
    ]
    signal = values[numbers]
    check_finite(signal)
    if config.time_column is None:
        assert config.rate_in is not None
        even = EvenSignal(signal=signal, rate=config.rate_in, filled=None, jitter=0.0)
    else:
        number = _find(names, ChannelConfig(source=config.time_column), 0, named=config.header)
        times = (
            values[number]
            if config.time_unit == "datetime"
            else seconds_of(values[number], config.time_unit)
        )
        even = to_even(
            signal, times, nominal=config.rate_in, max_gap_seconds=config.max_gap_seconds
        )
    assert config.units is not None
    recording = Recording.of(
        even.signal,
        rate=even.rate,
        channels=[channel.stored for channel in config.channels],
        units=config.units,
        filled=even.filled,
        jitter=even.jitter,
    )
    return replace(recording, taken=tuple(names[number] for number in numbers))


def _separator(text: str, config: TextSource) -> str | None:
    """The separator, or None for runs of white space.

    Raises:
        Unreadable: It is to be told from the file, and a comma could be a decimal one.
    """
    if config.delimiter != "auto":
        return _SEPARATORS[config.delimiter]
    if is_ambiguous(StringIO(text)):
        raise Unreadable(Reason.UNREADABLE_TEXT, f"{AMBIGUOUS}: set delimiter")
    line = next((line for line in StringIO(text) if line.strip()), "")
    mark = next((mark for mark in ("\t", ";", ",") if mark in line), None)
    named = config.header and config.layout == "row"
    return None if mark == "," and is_spaced(line, named=named) else mark


def _rows(text: str, separator: str | None, header: bool) -> Table:
    names: list[str] = []
    rows: list[list[str]] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        # A separator at the end of the line is decoration, not a missing sample.
        line = line.rstrip("\r\n ")
        if separator is not None:
            line = line.removesuffix(separator)
        cells = line.split(separator)
        names.append(cells.pop(0).strip() if header else str(len(rows)))
        rows.append(cells)
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or not lengths.pop():
        raise Unreadable(Reason.UNREADABLE_TEXT, "rows of different lengths, or no samples")
    if separator != "," and has_decimal_commas("\n".join(map("\n".join, rows))):
        rows = [[cell.replace(",", ".") for cell in row] for row in rows]
    return names, np.array([_numbers(row) for row in rows], dtype=np.float64)


def _numbers(cells: list[str]) -> list[float]:
    if any("_" in cell for cell in cells):  # Python reads 1_000 as a number; no recorder does
        raise Unreadable(Reason.UNREADABLE_TEXT, "a cell is not a number")
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        pass
    try:
        return [float(cell) if cell.strip() else float("nan") for cell in cells]
    except ValueError as error:
        raise Unreadable(Reason.UNREADABLE_TEXT, "a cell is not a number") from error


def _columns(text: str, separator: str | None, config: TextSource) -> Table:
    _refuse_width(text, separator)
    body = StringIO(text)
    names: list[str] = []
    if config.header:
        line = next((line for line in body if line.strip()), "").strip("\r\n ")
        names = _header_names(line, separator)
    clock = _clock_column(names, config)
    types: defaultdict[int, Any] = defaultdict(lambda: np.float64)
    if clock is not None:
        types[clock] = str
    decimal = separator != "," and has_decimal_commas(text[body.tell() :])
    try:
        frame = pd.read_csv(
            body,
            sep=separator if separator is not None else r"\s+",
            header=None,
            index_col=False,
            skipinitialspace=True,
            dtype=types,
            decimal="," if decimal else ".",
        )
    except (ValueError, IndexError) as error:
        detail = "a cell is not a number, or rows of different lengths"
        raise Unreadable(Reason.UNREADABLE_TEXT, detail) from error
    if clock is not None and clock < frame.shape[1]:
        texts = frame[clock].str.replace(",", ".").to_numpy()
        frame[clock] = seconds_of(texts, "datetime")
    values = frame.to_numpy(dtype=np.float64).T
    if values.shape[0] > 1 and np.isnan(values[-1]).all() and not any(names[len(values) - 1 :]):
        values = values[:-1]  # a separator at the end of every line makes an empty column
    if not config.header:
        return [str(number) for number in range(len(values))], values
    names = names[: len(values)]
    return names + [""] * (len(values) - len(names)), values


def _refuse_width(text: str, separator: str | None) -> None:
    """Refuse what has too many columns in its first lines.

    Raises:
        Unreadable: `unreadable_text`.
    """
    lines = (line for line in StringIO(text) if line.strip())
    for line in islice(lines, 2):  # there may be names above the numbers
        count = len(line.split()) if separator is None else line.count(separator) + 1
        if count > MAX_COLUMNS:
            raise Unreadable(Reason.UNREADABLE_TEXT, f"{count} columns; set layout: row")


def _header_names(line: str, separator: str | None) -> list[str]:
    """Names in a header; one in quotes may hold the separator."""
    try:
        cells = line.split() if separator is None else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise Unreadable(Reason.UNREADABLE_TEXT, "a name of endless length") from error
    return [name.strip().strip('"') for name in cells]


def _clock_column(names: Sequence[str], config: TextSource) -> int | None:
    """The column that holds dates and times, which are no numbers."""
    if config.time_column is None or config.time_unit != "datetime":
        return None
    if config.header:
        return names.index(config.time_column) if config.time_column in names else None
    return int(config.time_column) if config.time_column.isdecimal() else 0


def _find(names: Sequence[str], channel: ChannelConfig, place: int, *, named: bool) -> int:
    if named:
        return pick(names, channel)
    number = int(channel.source) if channel.source.isdecimal() else place
    if number >= len(names):
        raise Unreadable(
            Reason.MISSING_CHANNEL, f"channel {number} configured, {len(names)} in the file"
        )
    return number
