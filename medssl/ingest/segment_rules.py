"""Label rules of segments: from annotations and from time series beside a recording."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from medssl.config import StrictModel
from medssl.ingest.rules import SidecarRule

AAMI: Final = {
    "beats_n": ("N", "L", "R", "B", "e", "j"),
    "beats_s": ("A", "a", "J", "S", "n"),
    "beats_v": ("V", "E", "r"),
    "beats_f": ("F",),
    "beats_q": ("/", "f", "Q", "?"),
}
"""The five classes of ANSI/AAMI EC57 by the beat symbols of WFDB; atrial and nodal escape beats
(e, j) count as N, as in de Chazal et al., IEEE Trans Biomed Eng 51(7), 2004."""

BEATS: Final = frozenset(symbol for symbols in AAMI.values() for symbol in symbols)
"""Symbols of beats; every other annotation marks something else."""

Symbols = dict[str, tuple[str, ...]]


def _preset(value: Any) -> Any:
    return dict(AAMI) if value == "aami" else value


class SegmentRule(StrictModel):
    """Labels of each segment: counted in its annotations, or averaged over its span.

    A segment is [start, stop) in seconds from the start of its recording; an annotation belongs to
    it by its own time base, whatever rate the store has. Where nothing is known of a segment, its
    label is missing.
    """

    level: Literal["segment"]
    annotations: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_]+$",
        description="ending of the WFDB annotation files beside the recordings, such as atr",
    )
    symbols: Annotated[Symbols, BeforeValidator(_preset)] = Field(
        default_factory=dict,
        description="label → symbols of annotations; or aami: beats_n, _s, _v, _f and _q by EC57",
    )
    rhythms: Symbols = Field(
        default_factory=dict, description="label → rhythms, such as AFIB, each until the next one"
    )
    series: SidecarRule | None = Field(
        default=None, description="csv, tsv or xlsx table with values over time, by its path"
    )
    time: str | None = Field(
        default=None, description="its column with seconds since the recording's start"
    )
    columns: dict[str, str] = Field(default_factory=dict, description="label → its column")
    how: Literal["count", "any", "share", "mean"] | None = Field(
        default=None,
        description="symbols: count (default), any (1 or 0), or share of all beats; rhythms: any "
        "(default), or share of the time with a known rhythm; series: mean",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that this rule gives."""
        return tuple(self.symbols or self.rhythms or self.columns)

    @property
    def measure(self) -> str:
        """How a label is made, by default the simplest of what the rule reads."""
        return self.how or self._measures[0]

    @property
    def _measures(self) -> tuple[str, ...]:
        if self.symbols:
            return "count", "any", "share"
        return ("any", "share") if self.rhythms else ("mean",)

    def file_of(self, path: str) -> str | None:
        """Path of the file with what is known over time, for a recording's path.

        >>> rule = SegmentRule(level="segment", annotations="atr", symbols="aami")
        >>> rule.file_of("a/100.hea")
        'a/100.atr'
        """
        if self.series is not None:
            return self.series.path_of(path)
        file = PurePosixPath(path).with_suffix(f".{self.annotations}").as_posix()
        return file if file != path else None

    @field_validator("rhythms")
    @classmethod
    def _without_bracket(cls, rhythms: Symbols) -> Symbols:
        """Annotations write rhythms as `(AFIB`; both spellings are the same here."""
        return {
            label: tuple(name.lstrip("(") for name in names) for label, names in rhythms.items()
        }

    @model_validator(mode="after")
    def _check_choice(self) -> SegmentRule:
        noted = self.annotations is not None and bool(self.symbols) != bool(self.rhythms)
        parts = (self.series, self.time, self.columns)
        if noted == all(parts) or (noted and any(parts)) or (not noted and self.symbols):
            msg = (
                "labels of segments need either annotations: atr with symbols or rhythms, or "
                "series: {pattern, replace} with time and columns"
            )
            raise ValueError(msg)
        if self.measure not in self._measures:
            msg = f"how: {self.measure} does not fit; choose from {', '.join(self._measures)}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_names(self) -> SegmentRule:
        empty = [label for label, items in (self.symbols | self.rhythms).items() if not items]
        if empty:
            msg = f"{empty} list nothing to look for"
            raise ValueError(msg)
        reserved = [
            name
            for name in self.names
            if name in {"participant", "added", "record"} or re.match("has_", name)
        ]
        if reserved:
            msg = f"{reserved} are column names of the store: choose other label names"
            raise ValueError(msg)
        others = {symbol for items in self.symbols.values() for symbol in items} - BEATS
        if self.measure == "share" and others:
            msg = f"how: share is a share of beats, and {sorted(others)} mark no beats"
            raise ValueError(msg)
        return self
