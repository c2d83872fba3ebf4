"""Labels of segments: what annotations and time series say about the span of each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64

from medssl.errors import IngestError
from medssl.ingest.labels import is_absent
from medssl.ingest.ledger import Unreadable
from medssl.ingest.segment_rules import BEATS, SegmentRule
from medssl.ingest.tables import read_table, require_columns
from medssl.ingest.waveforms.annotations import (
    Annotations,
    AnnotationsError,
    read_annotations,
)
from medssl.ingest.waveforms.wfdb_header import parse_header

logger = logging.getLogger(__name__)

MAX_SERIES_BYTES: Final = 256 << 20
_RHYTHM: Final = "+"
_NOISE: Final = 1e-9
"""Seconds that rounding may leave of nothing."""

Values = Float64[np.ndarray, " segments"]


def segment_labels(
    rules: Iterable[SegmentRule],
    path: str,
    *,
    folder: Path,
    starts: Values,
    stops: Values,
) -> tuple[dict[str, Values], Counter[str]]:
    """Labels of the segments of one recording, and how many could not be read, by label.

    Args:
        rules: What to read.
        path: The recording, relative to the folder.
        folder: Folder of the source, which no file may leave.
        starts: Where each segment begins (seconds since the recording's start).
        stops: Where each ends; the end itself belongs to the next one.

    Returns:
        One value for each segment by label, NaN where nothing is known; and by label the files and
        cells that do not hold what they should.
    """
    labels: dict[str, Values] = {}
    unreadable: Counter[str] = Counter()
    for rule in rules:
        name = rule.file_of(path)
        file = folder / name if name is not None else None
        labels |= {label: np.full(len(starts), np.nan) for label in rule.names}
        if file is None or not file.is_file():
            continue
        if not file.resolve().is_relative_to(folder.resolve()):
            unreadable.update(rule.names)
            continue
        try:
            if rule.series is not None:
                labels |= _series(rule, file, starts, stops, unreadable)
            else:
                found = read_annotations(file, frame_rate=_frame_rate(folder / path))
                labels |= annotation_labels(rule, found, starts, stops)
        except (AnnotationsError, IngestError, OSError) as error:
            # The signal is as good as it was: the recording stays, without these labels.
            logger.debug("a file with labels of segments was not read: %s", type(error).__name__)
            unreadable.update(rule.names)
    return labels, unreadable


def annotation_labels(
    rule: SegmentRule, found: Annotations, starts: Values, stops: Values
) -> dict[str, Values]:
    """Labels of segments by the annotations in them.

    Args:
        rule: A rule with symbols or rhythms.
        found: All annotations of the recording.
        starts: Where each segment begins (seconds).
        stops: Where each ends (seconds).

    >>> rule = SegmentRule(level="segment", annotations="atr", symbols={"v": ["V"]})
    >>> found = Annotations(np.array([0.5, 1.0, 1.5]), np.array(list("VNV")), np.array([""] * 3))
    >>> annotation_labels(rule, found, np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    {'v': array([1., 1.])}
    """
    if rule.rhythms:
        return _rhythm_labels(rule, found, starts, stops)
    beats = _inside(found.seconds[np.isin(found.symbols, sorted(BEATS))], starts, stops)
    labels = {}
    for label, symbols in rule.symbols.items():
        count = _inside(found.seconds[np.isin(found.symbols, symbols)], starts, stops)
        if rule.measure == "any":
            count = (count > 0).astype(np.float64)
        elif rule.measure == "share":
            count = np.divide(count, beats, out=np.full(len(count), np.nan), where=beats > 0)
        labels[label] = count
    return labels


def _inside(seconds: Values, starts: Values, stops: Values) -> Values:
    """How many of the rising times lie in each span."""
    edges = [np.searchsorted(seconds, edge, side="left") for edge in (starts, stops)]
    return np.asarray(edges[1] - edges[0], dtype=np.float64)


def _rhythm_labels(
    rule: SegmentRule, found: Annotations, starts: Values, stops: Values
) -> dict[str, Values]:
    """A rhythm holds from its annotation to the next one, and before the first nothing is known."""
    marks = (found.symbols == _RHYTHM) & np.char.startswith(found.notes, "(")
    edges = np.append(found.seconds[marks], np.inf)
    names = [note.lstrip("(") for note in found.notes[marks]]
    known = _overlap(edges, np.ones(len(names), dtype=bool), starts, stops)
    labels = {}
    for label, wanted in rule.rhythms.items():
        held = _overlap(edges, np.isin(names, wanted), starts, stops)
        value = held / np.maximum(known, _NOISE)
        if rule.measure == "any":
            value = (held > _NOISE).astype(np.float64)
        labels[label] = np.where(known > _NOISE, value, np.nan)
    return labels


def _overlap(edges: np.ndarray, chosen: np.ndarray, starts: Values, stops: Values) -> Values:
    """Seconds of each span that lie in the chosen ones of neighbouring intervals."""
    if not len(chosen) or not len(starts):
        return np.zeros(len(starts))
    corners = np.append(edges[:-1], max(edges[-2], float(stops.max())))
    before = np.append(0.0, np.cumsum(np.where(chosen, np.diff(corners), 0.0)))
    spans = [np.interp(edge, corners, before) for edge in (starts, stops)]
    return np.asarray(spans[1] - spans[0])


def _frame_rate(path: Path) -> float | None:
    """Frames per second of a WFDB recording, in which its annotations count time."""
    if path.suffix != ".hea":
        return None
    try:
        return float(parse_header(path)[0].fs)
    except Unreadable:
        return None


def _series(
    rule: SegmentRule, file: Path, starts: Values, stops: Values, unreadable: Counter[str]
) -> dict[str, Values]:
    """Mean over each segment of the values that a table gives for it."""
    if file.stat().st_size > MAX_SERIES_BYTES:
        msg = f"a table of more than {MAX_SERIES_BYTES} bytes: split it"
        raise IngestError(msg)
    table = read_table(file)
    require_columns(table.columns, [rule.time or ""], path=file)
    seconds, wrong = _numbers([row.get(rule.time or "", "") for row in table.rows])
    if wrong or not np.isfinite(seconds).all():
        msg = "a table whose time column is not a number on every row"
        raise IngestError(msg)
    order = np.argsort(seconds, kind="stable")
    labels = {}
    for label, column in rule.columns.items():
        if table.columns.count(column) != 1:
            unreadable[label] += 1
            labels[label] = np.full(len(starts), np.nan)
            continue
        values, wrong = _numbers([row[column] for row in table.rows])
        unreadable[label] += wrong
        labels[label] = _means(seconds[order], values[order], starts, stops)
    return labels


def _numbers(cells: Sequence[str]) -> tuple[np.ndarray, int]:
    """Cells as numbers, NaN for those that say that nothing is known; and how many are neither."""
    values = np.full(len(cells), np.nan)
    wrong = 0
    for place, cell in enumerate(cells):
        if is_absent(cell):
            continue
        try:
            # Python would read 3_1 as 31.
            values[place] = float("" if "_" in cell else cell)
        except ValueError:
            wrong += 1
    return np.where(np.isfinite(values), values, np.nan), wrong


def _means(seconds: np.ndarray, values: np.ndarray, starts: Values, stops: Values) -> Values:
    """Mean of the known values in each span; NaN where there is none."""
    known = np.isfinite(values)
    times, held = seconds[known], np.append(0.0, np.cumsum(values[known]))
    first, last = (np.searchsorted(times, edge, side="left") for edge in (starts, stops))
    count = last - first
    total = held[last] - held[first]
    out = np.full(len(starts), np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out
