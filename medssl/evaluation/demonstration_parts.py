"""What a prompt can say about records: summaries of signals, sizes of images, texts of reports."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import Field, PositiveInt

from medssl.config import StrictModel
from medssl.errors import StageError
from medssl.evaluation.heart_rate import HEART_RATE_COLUMNS, beat_features
from medssl.store.schema import (
    CHANNELS,
    MODALITY,
    PARTICIPANT,
    RATE,
    RECORD,
    SHAPE,
    STUDY,
    UNITS,
    VIEW,
)
from medssl.text.headers import told_name
from medssl.text.report import Report
from medssl.types import Kind, Modality

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

FEATURES: Final = {
    "heart_rate": "heart_rate_per_minute",
    "interval_sd": "beat_interval_sd_seconds",
    "interval_rmssd": "beat_interval_rmssd_seconds",
}
"""Beat features that mean something without the units of the record, and their names in prompts."""


class PartConfig(StrictModel):
    """What is said about records."""

    heart_rate: bool = Field(True, description="beat features of ECG and PPG, in the summary")
    reports: bool = Field(
        False,
        description="tell the texts of reports, those of the same study included; they may hold "
        "names, or state the label",
    )
    max_records: PositiveInt = Field(8, description="records looked at per case, evenly spaced")
    max_characters: PositiveInt = Field(4000, description="of a report; the rest is cut off")


class Part(StrictModel):
    """One kind of record of a case."""

    modality: str
    summary: dict[str, int | float | str] = Field(default_factory=dict)
    text: str | None = None
    truncated: bool = False

    def spoken(self) -> str:
        """As a line of a prompt.

        >>> Part(modality="ppg", summary={"seconds": 2.1, "rate_hz": 64}).spoken()
        'PPG: seconds 2.1, rate hz 64'
        """
        facts = ", ".join(
            f"{name.replace('_', ' ')} {value:g}"
            if isinstance(value, float)
            else f"{name.replace('_', ' ')} {value}"
            for name, value in self.summary.items()
        )
        cut = " […]" if self.truncated else ""
        text = "" if self.text is None else f"{self.text}{cut}"
        return f"{self.modality.upper()}: " + "\n".join(piece for piece in (facts, text) if piece)


def describe(
    store: Store, units: Mapping[str, Sequence[str]], config: PartConfig
) -> dict[str, tuple[Part, ...]]:
    """What is said about each unit.

    Records of a unit that differ in modality, rate, channels, units or view give parts of their
    own; each report gives one: its text where `reports` asks for it, else the names of its sections
    and how many words they have. Features are means over the records in which beats were found.

    Args:
        store: Where the records are.
        units: Names of the records of each unit.
        config: What is said.

    Raises:
        StageError: A record is not in the store.
    """
    position = {name: row for row, name in enumerate(store.column(RECORD).tolist())}
    reports = _reports(store) if config.reports else {}
    found = {}
    for unit, names in units.items():
        absent = sum(name not in position for name in names)
        if absent:
            msg = f"{absent} embedded records are not in the store {store.path}: embed it again"
            raise StageError(msg)
        rows = np.array([position[name] for name in names], dtype=np.int64)
        studies = zip(
            store.column(PARTICIPANT, rows).tolist(), store.column(STUDY, rows).tolist(),
            strict=True,
        )  # fmt: skip
        own = set(rows.tolist())
        more = sorted({row for key in studies for row in reports.get(key, ())} - own)
        rows = np.concatenate([rows, np.array(more, dtype=np.int64)])
        found[unit] = tuple(_parts(store, rows, config))
    return found


def _reports(store: Store) -> dict[tuple[str, str], list[int]]:
    """Rows of reports by participant and study."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    rows = store.rows(modality=Modality.REPORT)
    people, studies = store.column(PARTICIPANT, rows), store.column(STUDY, rows)
    for row, participant, study in zip(
        rows.tolist(), people.tolist(), studies.tolist(), strict=True
    ):
        if study is not None:
            found[participant, study].append(row)
    return dict(found)


def _parts(store: Store, rows: Rows, config: PartConfig) -> Iterable[Part]:
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    names = (MODALITY, RATE, CHANNELS, UNITS, VIEW)
    columns = [store.column(name, rows).tolist() for name in names]
    for row, kind in zip(rows.tolist(), zip(*columns, strict=True), strict=True):
        groups[tuple(map(str, kind))].append(row)
    for kind, members in groups.items():
        modality = Modality(kind[0])
        if modality.kind is Kind.TEXT:
            yield from (_report(store, row, modality, config) for row in _some(members, config))
        elif modality.kind is Kind.WAVEFORM:
            yield _signal(store, np.array(members, dtype=np.int64), modality, config)
        else:
            yield _picture(store, np.array(members, dtype=np.int64), modality)


def _report(store: Store, row: int, modality: Modality, config: PartConfig) -> Part:
    text = str(store.read_record(row)).strip()
    if not config.reports:
        sections = Report.from_text(text).sections
        summary: dict[str, int | float | str] = {
            "sections": ", ".join(dict.fromkeys(told_name(one.name) for one in sections)),
            "words": sum(len(section.text.split()) for section in sections),
        }
        return Part(modality=modality.value, summary=summary)
    return Part(
        modality=modality.value,
        text=text[: config.max_characters],
        truncated=len(text) > config.max_characters,
    )


def _picture(store: Store, rows: Rows, modality: Modality) -> Part:
    shapes = sorted({_size(shape) for shape in store.column(SHAPE, rows)})
    summary: dict[str, int | float | str] = {"records": len(rows), "size": "; ".join(shapes)}
    view = store.column(VIEW, rows[:1])[0]
    return Part(
        modality=modality.value, summary=summary if view is None else {**summary, "view": view}
    )


def _signal(store: Store, rows: Rows, modality: Modality, config: PartConfig) -> Part:
    rate = float(store.column(RATE, rows[:1])[0])
    samples = sum(shape[-1] for shape in store.column(SHAPE, rows))
    summary: dict[str, int | float | str] = {
        "records": len(rows),
        "seconds": _rounded(samples / rate),
        "rate_hz": _rounded(rate),
        "channels": ", ".join(store.column(CHANNELS, rows[:1])[0]),
        "units": str(store.column(UNITS, rows[:1])[0]),
    }
    if config.heart_rate and modality in (Modality.PPG, Modality.ECG):
        chosen = _some(rows.tolist(), config)
        beats = np.stack(
            [
                beat_features(store.read(np.array([row]))[0, 0], rate=rate, modality=modality)
                for row in chosen
            ]
        )
        for name, shown in FEATURES.items():
            values = beats[:, HEART_RATE_COLUMNS.index(name)]
            if np.isfinite(values).any():
                summary[shown] = _rounded(float(np.nanmean(values)))
    return Part(modality=modality.value, summary=summary)


def _some(rows: Sequence[int], config: PartConfig) -> list[int]:
    """At most `max_records` of them, evenly spaced."""
    places = np.linspace(0, len(rows) - 1, min(config.max_records, len(rows))).round().astype(int)
    return [rows[place] for place in places.tolist()]


def _size(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _rounded(value: float, digits: int = 3) -> float:
    """To three significant digits: a prompt needs no more.

    >>> _rounded(71.23456)
    71.2
    """
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
