"""EDF headers as untrusted input: checked in full before any sample is read."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import edfio
import numpy as np

from medssl.ingest.ledger import Reason, Unreadable

_FIXED: Final = 256
"""Bytes before the signal headers, and bytes of each of these."""
_ANNOTATIONS: Final = {"EDF Annotations", "BDF Annotations"}
_ONSET: Final = re.compile(rb"([+-]\d{1,12}(?:\.\d{1,12})?)\x14")
_BDF: Final = b"\xffBIOSEMI"
_EDF: Final = b"0       "


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfSignal:
    """One ordinary signal.

    Args:
        name: Its label.
        unit: Physical dimension as written; empty for an uncalibrated signal.
        gain: Physical units per digital step; 0 or NaN when the header's ranges give none.
        offset: Physical value of digital zero.
        samples: Samples in a data record.
        rate: Samples per second (Hz).
        place: First byte in a data record.
    """

    name: str
    unit: str
    gain: float
    offset: float
    samples: int
    rate: Fraction
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfHeader:
    """A checked header.

    Args:
        signals: Ordinary signals, in order; annotations are none.
        width: Bytes per sample: 2 in EDF, 3 in BDF.
        records: Data records in the file.
        record_bytes: Bytes of one.
        start: First byte of the first.
        onsets: Seconds at which each data record begins, from the first on; None when they follow
            one another without gaps.
        comments: What labels and sessions may name, as `"Sex: F"`.
    """

    signals: tuple[EdfSignal, ...]
    width: int
    records: int
    record_bytes: int
    start: int
    onsets: tuple[Fraction, ...] | None
    comments: tuple[str, ...]


def read_edf_header(path: Path) -> EdfHeader:
    """Read and check a header; allocates nothing in proportion to what it claims.

    Args:
        path: The file.

    Raises:
        Unreadable: With the reason and evidence.
    """
    size = path.stat().st_size
    if size == 0:
        raise Unreadable(Reason.EMPTY_FILE)
    with path.open("rb") as file:
        fixed = file.read(_FIXED)
        count = _integer(fixed[252:256])
        if fixed[:8] not in {_EDF, _BDF} or count < 1:
            raise Unreadable(Reason.UNREADABLE_HEADER, "not EDF or BDF, or no signals")
        # 4 digits: at most 2.5 MB
        raw = fixed + file.read(_FIXED * count)
    start = _FIXED * (count + 1)
    if len(raw) != start or _integer(fixed[184:192]) != start:
        raise Unreadable(Reason.UNREADABLE_HEADER, f"{count} signals claimed, not described")
    width = 3 if fixed[:8] == _BDF else 2
    try:
        described = _described(raw, width)
        duration = _duration(fixed[244:252])
        per_record = [signal.samples_per_data_record for signal in described._signals]
        names = [signal.label for signal in described._signals]
    except Exception as error:
        # edfio raises many kinds of exception on damaged headers, among them UnboundLocalError.
        raise Unreadable(Reason.UNREADABLE_HEADER, type(error).__name__) from error
    places = np.concatenate([[0], np.cumsum([width * samples for samples in per_record])]).tolist()
    ordinary = [number for number, name in enumerate(names) if name not in _ANNOTATIONS]
    if not ordinary:
        raise Unreadable(Reason.UNREADABLE_HEADER, "annotations alone, no signal")
    if min(per_record) < 0 or min(per_record[n] for n in ordinary) < 1 or not duration:
        raise Unreadable(Reason.UNREADABLE_HEADER, "no samples or no time in a data record")
    records = _integer(fixed[236:244])
    _check_size(records=records, record_bytes=places[-1], start=start, size=size)
    if described.reserved.startswith(("EDF+D", "BDF+D")):
        timed = next((number for number, name in enumerate(names) if name in _ANNOTATIONS), None)
        if timed is None:
            raise Unreadable(Reason.UNREADABLE_HEADER, "discontinuous, without times")
        span = (places[timed], places[timed + 1])
        onsets = _onsets(path, start, records, places[-1], span, duration)
    else:
        onsets = None
    return EdfHeader(
        signals=tuple(
            _signal(described._signals[n], names[n], per_record[n], duration, places[n])
            for n in ordinary
        ),
        width=width,
        records=records,
        record_bytes=places[-1],
        start=start,
        onsets=onsets,
        comments=_comments(described, fixed[168:176]),
    )


def _integer(field: bytes) -> int:
    """A number in a field of the header; -1 when it holds none."""
    text = field.decode("ascii", errors="replace").strip()
    return int(text) if re.fullmatch(r"[0-9]+", text) else -1


def _duration(field: bytes) -> Fraction:
    """Seconds of a data record, exactly as printed; 0 when nothing can be recorded in it."""
    seconds = float(field)
    # repr of a float is its shortest decimal; text such as 1e999999 must not become a Fraction.
    return Fraction(repr(seconds)) if 1e-9 < seconds < 1e9 else Fraction(0)


def _described(raw: bytes, width: int) -> Any:
    """The header as edfio reads it; it is given no data, which are read by ranges and not whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no data record is there
        if width == 3:
            return edfio.read_bdf(memoryview(raw), header_encoding="latin-1")
        return edfio.read_edf(memoryview(raw), header_encoding="latin-1")


def _check_size(*, records: int, record_bytes: int, start: int, size: int) -> None:
    if records == 0:
        raise Unreadable(Reason.UNREADABLE_HEADER, "the header claims no samples")
    claimed = start + records * record_bytes
    if records < 0 or claimed != size:
        # -1 stands in files whose recording was never finished.
        said = f"{claimed} bytes claimed" if records > 0 else "no number of data records claimed"
        raise Unreadable(Reason.WRONG_BYTE_COUNT, f"{said}, {size} bytes in the file")


def _signal(raw: Any, name: str, samples: int, duration: Fraction, place: int) -> EdfSignal:
    gain = offset = math.nan
    with suppress(ValueError):  # one signal's damaged fields are no reason to refuse another
        physical, digital = raw.physical_range, raw.digital_range
        if digital.max > digital.min:
            gain = (physical.max - physical.min) / (digital.max - digital.min)
            offset = physical.min - digital.min * gain
    return EdfSignal(
        name=name.strip(),
        unit=raw.physical_dimension.strip(),
        gain=gain,
        offset=offset,
        samples=samples,
        rate=samples / duration,
        place=place,
    )


def _onsets(
    path: Path,
    start: int,
    records: int,
    record_bytes: int,
    span: tuple[int, int],
    duration: Fraction,
) -> tuple[Fraction, ...]:
    """When each data record begins, from the first on (seconds).

    Raises:
        Unreadable: A record does not tell, or begins before the one ahead of it has ended.
    """
    onsets = []
    with path.open("rb") as file:
        for number in range(records):
            file.seek(start + number * record_bytes + span[0])
            found = _ONSET.match(file.read(span[1] - span[0]))
            if found is None:
                raise Unreadable(Reason.UNREADABLE_HEADER, "a data record does not tell its time")
            onsets.append(Fraction(found.group(1).decode()))
    overlaps = sum(later < earlier + duration for earlier, later in pairwise(onsets))
    if overlaps:
        raise Unreadable(Reason.UNEVEN_TIME, f"{overlaps} data record(s) begin before the last end")
    return tuple(onset - onsets[0] for onset in onsets)


def _comments(described: Any, legacy_date: bytes) -> tuple[str, ...]:
    """What the header tells about person and time, without names, codes and birth dates."""
    if not described.reserved.startswith(("EDF+", "BDF+")):
        # In plain EDF all but the date is free text, and any word could stand there.
        start = _date(lambda: datetime.strptime(legacy_date.decode(), "%d.%m.%y").date())
        return () if start is None else (f"Start date: {start.isoformat()}",)
    pairs: dict[str, str] = {}
    person, recording = described.patient, described.recording
    start, born = _date(lambda: recording.startdate), _date(lambda: person.birthdate)
    if person.sex in {"F", "M"}:
        pairs["Sex"] = person.sex
    if start is not None:
        pairs["Start date"] = start.isoformat()
    if start is not None and born is not None:
        earlier = (start.month, start.day) < (born.month, born.day)
        pairs["Age"] = str(start.year - born.year - earlier)
    if recording.equipment_code != "X":
        pairs["Equipment"] = recording.equipment_code
    return tuple(f"{key}: {value}" for key, value in pairs.items())


def _date(field: Callable[[], date]) -> date | None:
    try:
        return field()
    except ValueError:
        return None  # anonymised, or no date
