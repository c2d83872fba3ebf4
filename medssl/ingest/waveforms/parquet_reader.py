"""Parquet tables: channels in columns or in lists, one or several recordings a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.members import Member, named_comments
from medssl.ingest.sources import ChannelConfig, ParquetSource
from medssl.ingest.waveforms.channels import pick
from medssl.ingest.waveforms.parquet_members import Run, runs_of
from medssl.ingest.waveforms.parquet_table import MAX_CELL_BYTES, ParquetTable, open_table
from medssl.ingest.waveforms.recording import Recording, Track, check_finite
from medssl.ingest.waveforms.time_axis import EvenSignal, seconds_of, to_even
from medssl.ingest.waveforms.unnamed import rows_of

Signal = Float64[np.ndarray, "channels time"]


def read_parquet(path: Path, config: ParquetSource, *, folder: Path, member: str = "") -> Recording:
    """Open the configured channels of one recording.

    Channels with a sample in each row are read as they are needed, unless a time column tells
    where they stand; lists are read at once. A null is a missing sample.

    Args:
        path: The file.
        config: The source it belongs to.
        folder: Folder of the source (unused: a table names no other file).
        member: Which value of the column `recordings`.

    Raises:
        Unreadable: With the reason and evidence.
    """
    table = open_table(path)
    # The rate has to have one value in a recording, as labels do.
    extra = [] if config.rate_column is None else [config.rate_column]
    runs = runs_of(table, config.recordings, (*named_comments(config), *extra))
    run = runs.get(member)
    if run is None or run.start == run.stop:
        raise Unreadable(Reason.TOO_SHORT, "no row of the recording is in the file")
    rate = _rate(run, config)
    numbers = (
        [pick(table.schema.names, channel) for channel in config.channels]
        if config.matrix is None
        else []
    )
    names = [table.schema.names[number] for number in numbers]
    assert config.units is not None
    stored = [channel.stored for channel in config.channels]
    lists = [_is_list(table.schema.field(number).type) for number in numbers]
    if config.matrix is None and not any(lists):
        for number in numbers:
            _require_numbers(table.schema.field(number).type)
        if config.time_column is None:
            track = Track(
                channels=tuple(stored),
                rate=rate,
                length=run.stop - run.start,
                read=lambda start, stop: _samples(
                    table, names, run.start + start, run.start + stop
                ),
            )
            return Recording(
                tracks=(track,), units=config.units, comments=run.comments, taken=tuple(names)
            )
        even = _timed(table, names, run, config)
    else:
        even = _of_lists(table, names, run, config, rate=rate)
    check_finite(even.signal)
    recording = Recording.of(
        even.signal,
        rate=even.rate,
        channels=stored,
        units=config.units,
        comments=run.comments,
        filled=even.filled,
        jitter=even.jitter,
    )
    return replace(recording, taken=tuple(names))


def parquet_members(path: Path, config: ParquetSource, *, folder: Path) -> tuple[Member, ...]:
    """The recordings in one file.

    Args:
        path: The file.
        config: A source with `recordings`.
        folder: Folder of the source (unused).

    Raises:
        Unreadable: With the reason and evidence.
    """
    extra = [] if config.rate_column is None else [config.rate_column]
    runs = runs_of(open_table(path), config.recordings, (*named_comments(config), *extra))
    return tuple(Member(key=name, comments=run.comments) for name, run in runs.items())


def _rate(run: Run, config: ParquetSource) -> float:
    """The rate that a column or the configuration tells; 1 where times will."""
    if config.rate_column is None:
        return config.rate_in or 1.0
    said = dict(text.split(": ", 1) for text in run.comments).get(config.rate_column)
    try:
        rate = float(said or "")
    except ValueError:
        rate = 0.0
    if not (isfinite(rate) and rate > 0):
        detail = "the rate is absent, not positive, or not one for the whole recording"
        raise Unreadable(Reason.UNREADABLE_HEADER, detail)
    return rate


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _require_numbers(kind: Any) -> None:
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"a channel's column holds {kind}, not numbers")


def _numbers(values: Any) -> Float64[np.ndarray, " time"]:
    """Numbers as float64, NaN for null."""
    _require_numbers(values.type)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    filled = pc.fill_null(values.cast(pa.float64(), safe=False), np.nan)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.float64)


def _samples(table: ParquetTable, names: Sequence[str], start: int, stop: int) -> Signal:
    """Rows [start, stop) of columns with a sample in each row."""
    out = np.full((len(names), stop - start), np.nan)
    place = 0
    for batch in table.batches(names, start, stop):
        for number, name in enumerate(names):
            out[number, place : place + len(batch)] = _numbers(batch.column(name))
        place += len(batch)
    return out


def _timed(
    table: ParquetTable, names: Sequence[str], run: Run, config: ParquetSource
) -> EvenSignal:
    """Samples with a time each, on an even grid."""
    clock = ChannelConfig(source=str(config.time_column))
    column = table.schema.names[pick(table.schema.names, clock)]
    claimed = (run.stop - run.start) * 8 * (len(names) + 1)
    if claimed > MAX_CELL_BYTES:
        detail = f"{claimed} bytes with a time column: give rate_in if the times are even"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, detail)
    parts = [batch.column(column) for batch in table.batches([column], run.start, run.stop)]
    times = pa.chunked_array(parts)
    if pa.types.is_timestamp(times.type):
        seconds = seconds_of(times.to_numpy(), "datetime")
    elif pa.types.is_string(times.type) and config.time_unit == "datetime":
        seconds = seconds_of(times.to_pylist(), "datetime")
    else:
        seconds = seconds_of(_numbers(times), config.time_unit)
    signal = _samples(table, names, run.start, run.stop)
    return to_even(signal, seconds, nominal=config.rate_in, max_gap_seconds=config.max_gap_seconds)


def _of_lists(
    table: ParquetTable, names: Sequence[str], run: Run, config: ParquetSource, *, rate: float
) -> EvenSignal:
    """Channels that stand as lists in one row."""
    if run.stop - run.start != 1:
        detail = f"{run.stop - run.start} rows of lists are one recording: correct recordings"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
    if config.matrix is not None:
        number = pick(table.schema.names, ChannelConfig(source=config.matrix))
        row = table.row([table.schema.names[number]], run.start)
        signal = _matrix(row.column(0).combine_chunks(), config)
        return EvenSignal(signal=signal, rate=rate, filled=None, jitter=0.0)
    timed = [] if config.time_column is None else [config.time_column]
    row = table.row([*names, *timed], run.start)
    channels = [_cell(row, name) for name in names]
    if len({len(one) for one in channels}) != 1:
        detail = "channels of different lengths in one row: take those of one length"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail)
    signal = np.stack(channels)
    if not timed:
        return EvenSignal(signal=signal, rate=rate, filled=None, jitter=0.0)
    times = _cell(row, timed[0])
    if len(times) != signal.shape[1]:
        raise Unreadable(Reason.UNEVEN_TIME, f"{len(times)} times, {signal.shape[1]} samples")
    return to_even(
        signal,
        seconds_of(times, config.time_unit),
        nominal=config.rate_in,
        max_gap_seconds=config.max_gap_seconds,
    )


def _cell(row: Any, name: str) -> Float64[np.ndarray, " time"]:
    """The list in one cell; a null is no sample."""
    column = row.column(name).combine_chunks()
    if not _is_list(column.type):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"a channel's column holds {column.type}")
    values = _numbers(column.flatten())
    if not len(values):
        raise Unreadable(Reason.TOO_SHORT, "an empty list")
    return values


def _matrix(column: Any, config: ParquetSource) -> Signal:
    """The channels of a list of lists."""
    inner = column.flatten() if _is_list(column.type) else column
    if not _is_list(inner.type):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, f"matrix: the column holds {column.type}")
    lengths = set(pc.list_value_length(inner).to_pylist())
    values = _numbers(inner.flatten())
    if len(lengths) != 1 or not len(values):
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "matrix: inner lists differ in length")
    matrix = values.reshape(len(inner), -1)
    if config.layout == "columns":
        matrix = matrix.T
    return matrix[rows_of(config.channels, count=matrix.shape[0], length=matrix.shape[1])]
