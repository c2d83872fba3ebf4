"""Recordings in delimited text: channels in rows or in columns, with or without names."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import ChannelConfig, TextSource
from medssl.ingest.waveforms.decimal_comma import (
    AMBIGUOUS,
    has_decimal_commas,
    is_ambiguous,
    is_spaced,
)
from medssl.ingest.waveforms.recording import Recording, check_finite

MAX_TEXT_BYTES: Final = 2 << 30
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
    names, values = (_rows if config.layout == "row" else _columns)(text, separator, config.header)
    numbers = [
        _find(names, channel, place, named=config.header)
        for place, channel in enumerate(config.channels)
    ]
    rate = config.rate_in
    if config.time_column is not None:
        column = ChannelConfig(source=config.time_column)
        rate = _even_rate(values[_find(names, column, 0, named=config.header)])
    assert rate is not None
    assert config.units is not None
    signal = values[numbers]
    check_finite(signal)
    return Recording.of(
        signal,
        rate=rate,
        channels=[channel.stored for channel in config.channels],
        units=config.units,
    )


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


def _columns(text: str, separator: str | None, header: bool) -> Table:
    body = StringIO(text)
    names: list[str] = []
    if header:
        line = next((line for line in body if line.strip()), "")
        names = [name.strip() for name in line.strip("\r\n ").split(separator)]
    decimal = separator != "," and has_decimal_commas(text[body.tell() :])
    try:
        frame = pd.read_csv(
            body,
            sep=separator if separator is not None else r"\s+",
            header=None,
            index_col=False,
            skipinitialspace=True,
            dtype=np.float64,
            decimal="," if decimal else ".",
        )
    except (ValueError, IndexError) as error:
        detail = "a cell is not a number, or rows of different lengths"
        raise Unreadable(Reason.UNREADABLE_TEXT, detail) from error
    values = frame.to_numpy(dtype=np.float64).T
    if values.shape[0] > 1 and np.isnan(values[-1]).all() and not any(names[len(values) - 1 :]):
        values = values[:-1]  # a separator at the end of every line makes an empty column
    if not header:
        return [str(number) for number in range(len(values))], values
    names = names[: len(values)]
    return names + [""] * (len(values) - len(names)), values


def _find(names: Sequence[str], channel: ChannelConfig, place: int, *, named: bool) -> int:
    if named:
        count = names.count(channel.source)
        if count != 1:
            raise Unreadable(
                Reason.MISSING_CHANNEL, f"{count} of {len(names)} channels have the configured name"
            )
        return names.index(channel.source)
    number = int(channel.source) if channel.source.isdecimal() else place
    if number >= len(names):
        raise Unreadable(
            Reason.MISSING_CHANNEL, f"channel {number} configured, {len(names)} in the file"
        )
    return number


def _even_rate(seconds: Float64[np.ndarray, " time"]) -> float:
    """Rate of an evenly spaced time column.

    Printed times are rounded, so each may lie less than one sample from its place on the grid, and
    the rate is the simplest one that the first and last time allow.

    Raises:
        Unreadable: A time is missing, or lies a sample or more from the even grid.
    """
    count = len(seconds) - 1
    if count < 1 or not np.isfinite(seconds).all() or seconds[-1] <= seconds[0]:
        raise Unreadable(Reason.UNEVEN_TIME, "missing or falling times")
    rate = float(count / (seconds[-1] - seconds[0]))
    places = (seconds - seconds[0]) * rate
    worst = float(np.abs(places - np.arange(count + 1)).max())
    if worst >= 1.0:
        raise Unreadable(Reason.UNEVEN_TIME, f"a time lies {worst:.2g} samples from its place")
    tolerance = rate * max(0.05 / count, 1e-5)
    for denominator in range(1, 1001):
        simple = round(rate * denominator) / denominator
        if abs(simple - rate) <= tolerance:
            return simple
    return float(f"{rate:.6g}")
