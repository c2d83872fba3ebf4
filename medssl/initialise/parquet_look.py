"""Look at Parquet tables: columns of samples, lists of samples, and what names the recordings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from medssl.ingest.ledger import Unreadable
from medssl.ingest.waveforms.parquet_members import runs_of
from medssl.ingest.waveforms.parquet_table import ParquetTable, open_table
from medssl.ingest.waveforms.recording import parse_comments
from medssl.initialise.answers import Answers
from medssl.initialise.channel_names import modality_of_channel, unit_in_name
from medssl.initialise.facts import Facts
from medssl.initialise.listing import plural, spread
from medssl.initialise.tables import names_people
from medssl.initialise.time_column import PER_SECOND, RATES, is_time_name, plausible_units, tidy
from medssl.initialise.wfdb_look import told

MAX_FILES: Final = 100
_MIN_SAMPLES: Final = 100
_RATE: Final = re.compile(r"(fs|sampling_?(rate|frequency)|sample_?rate|s?freq|rate)(_?hz)?", re.I)
_RECORDING: Final = re.compile(
    r"(record(ing)?|file(_?name)?|segment|signal|ecg|ppg|sample|trial|session|study|row)?_?"
    r"(id|no|nr|number|name|key|path)?",
    re.I,
)


def look_at_parquet(folder: Path, paths: Sequence[str], answers: Answers) -> Facts | None:
    """Look at the columns of an evenly spaced sample of tables.

    Args:
        folder: The folder.
        paths: All its Parquet tables.
        answers: A column of recordings or times that was given.

    Returns:
        What was found; None when no table holds signals.
    """
    facts = Facts(format="parquet", paths=tuple(paths), opened=tuple(spread(paths, MAX_FILES)))
    groups: defaultdict[tuple[str, ...], dict[str, ParquetTable]] = defaultdict(dict)
    for path in facts.opened:
        try:
            table = open_table(folder / path)
        except Unreadable as verdict:
            facts.unreadable[told(verdict)] += 1
        except OSError as error:
            facts.unreadable[error.strerror or type(error).__name__] += 1
        else:
            if _channels(table):
                groups[tuple(table.schema.names)][path] = table
    if not groups:
        return None
    usual = max(groups.values(), key=len)
    facts.unreadable["other columns"] += sum(map(len, groups.values())) - len(usual)
    facts.unreadable += type(facts.unreadable)()  # drops counts of 0
    first = next(iter(usual.values()))
    lists = any(_is_list(first, name) for name in _channels(first))
    recordings = answers.recordings or _recordings(first, lists=lists)
    if recordings is not None:
        _add_members(facts, folder, usual, recordings, lists=lists)
        return facts
    facts.time = answers.time_column or _time(first, facts, answers)
    facts.time_unit = answers.time_unit or facts.time_unit
    rate = _rate_of(first, facts)
    known = answers.time_unit is not None or _is_clock(first, facts.time)
    if not known and rate is not None and not RATES[0] <= rate <= RATES[1]:
        facts.time_rates = plausible_units(rate)
        facts.time_hint = f"the times in column {facts.time!r} are in no told unit"
        facts.time = None
    for path, table in usual.items():
        _add(facts, path, _channels(table), table.rows, _rate_of(table, facts))
    return facts


def _is_list(table: ParquetTable, name: str) -> bool:
    kind = table.schema.field(name).type
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)
                or pa.types.is_fixed_size_list(kind))  # fmt: skip


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _channels(table: ParquetTable) -> list[str]:
    """Columns that may be channels: lists of numbers, or numbers in a long table."""
    names = [name for name in table.schema.names if table.schema.names.count(name) == 1]
    lists = [
        name
        for name in names
        if _is_list(table, name) and _is_number(table.schema.field(name).type.value_type)
    ]
    if lists or table.rows < _MIN_SAMPLES:
        return lists
    return [
        name
        for name in names
        if _is_number(table.schema.field(name).type)
        and not (is_time_name(name) or names_people(name) or _RATE.fullmatch(name))
        and not (_RECORDING.fullmatch(name) and pa.types.is_integer(table.schema.field(name).type))
    ]


def _plain(table: ParquetTable) -> list[str]:
    """Columns that may name a recording, or say something of it."""
    kinds = {name: table.schema.field(name).type for name in table.schema.names
             if table.schema.names.count(name) == 1}  # fmt: skip
    return [
        name
        for name, kind in kinds.items()
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_number(kind)
    ]


def _recordings(table: ParquetTable, *, lists: bool) -> str | None:
    """The column that names the recordings; `.` for each row; None for one recording a file."""
    if lists and table.rows == 1:
        return None
    named = [name for name in _plain(table) if _RECORDING.fullmatch(name)
             and not is_time_name(name) and not names_people(name)]  # fmt: skip
    people = [] if lists else [name for name in _plain(table) if names_people(name)]
    for name in [*named, *people]:
        try:
            runs = runs_of(table, name, ())
        except Unreadable:
            continue
        if lists == (len(runs) == table.rows):
            return name
    return "." if lists else None


def _time(table: ParquetTable, facts: Facts, answers: Answers) -> str | None:
    """A column of times that rises and is named so; what they are is asked if it is not told."""
    for name in table.schema.names:
        kind = table.schema.field(name).type
        if not is_time_name(name) or table.schema.names.count(name) > 1:
            continue
        if pa.types.is_timestamp(kind):
            return str(name)
        if _is_number(kind):
            steps = np.diff(_first(table, name))
            if not len(steps) or not (steps > 0).all():
                continue
            # Whole numbers may be milliseconds or samples; only fractions of a second tell.
            if answers.time_unit or 1 / RATES[1] <= np.median(steps) < 0.1:
                return str(name)
            facts.time_rates = plausible_units(1 / float(np.median(steps)))
            facts.time_hint = f"the times in column {str(name)!r} are in no told unit"
    return None


def _is_clock(table: ParquetTable, name: str | None) -> bool:
    return name in table.schema.names and pa.types.is_timestamp(table.schema.field(name).type)


def _first(table: ParquetTable, name: str) -> Any:
    batches = list(table.batches([name], 0, min(table.rows, 2000)))
    return np.concatenate([batch.column(name).to_numpy(zero_copy_only=False) for batch in batches])


def _rate_of(table: ParquetTable, facts: Facts) -> float | None:
    if facts.time is None:
        return None
    try:
        times = _first(table, facts.time)
    except (Unreadable, KeyError):
        return None
    steps = np.diff(times)
    if np.issubdtype(steps.dtype, np.timedelta64):
        steps = steps / np.timedelta64(1, "s")
    else:
        steps = steps / PER_SECOND[facts.time_unit]
    middle = float(np.median(steps)) if len(steps) else 0.0
    return tidy(1 / middle) if middle > 0 else None


def _add(facts: Facts, path: str, names: Sequence[str], count: int, rate: float | None) -> None:
    facts.lengths[path] = (count, rate)
    for name in names:
        channel = facts.channel(name)
        channel.paths.add(path)
        channel.units[unit_in_name(name)] += 1
        channel.rates[rate] += 1
        channel.modality = modality_of_channel(name)


def _add_members(
    facts: Facts,
    folder: Path,
    tables: dict[str, ParquetTable],
    recordings: str,
    *,
    lists: bool,
) -> None:
    """Every recording of every table becomes a path of the facts."""
    facts.several = True
    facts.shape = {"recordings": recordings}
    found = []
    for path in facts.paths:
        try:
            table = tables.get(path) or open_table(folder / path)
            channels = _channels(table)
            plain = tuple(name for name in _plain(table) if name not in channels)
            rate = next((name for name in plain if _RATE.fullmatch(name)), None)
            runs = runs_of(table, recordings, plain)
            lengths = _list_lengths(table, channels[0]) if lists else {}
        except (Unreadable, LookupError, OSError):
            facts.unreadable["a table without the column of recordings"] += 1
            continue
        if rate is not None:
            facts.shape = {**facts.shape, "rate_column": rate}
        for name, run in runs.items():
            member = f"{path}#{name}"
            found.append(member)
            said = parse_comments(run.comments)
            facts.comments.append({key: text for key, text in said.items() if key != recordings})
            count = lengths.get(run.start, run.stop - run.start)
            _add(facts, member, channels, count, float(said[rate]) if rate in said else None)
    facts.paths = facts.opened = tuple(found)
    facts.notes.append(
        f"{plural(len(found), 'recording')} in {plural(len(tables), 'table')}, "
        + ("one a row" if lists else f"told apart by column {recordings!r}")
    )


def _list_lengths(table: ParquetTable, name: str) -> dict[int, int]:
    """Samples of each row's list."""
    import pyarrow.compute as pc

    lengths: list[int | None] = []
    for batch in table.batches([name], 0, table.rows):
        lengths += pc.list_value_length(batch.column(name)).to_pylist()
    return {row: length or 0 for row, length in enumerate(lengths)}
