"""What an audit returns: findings with a severity, a number and advice, gathered in a report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue

from medssl.audit.record_map import RecordMap
from medssl.config import StrictModel


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by None: they are not JSON, and mean "no number" here."""
    if hasattr(value, "item"):  # numpy scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
Cell = Annotated[bool | int | float | str | None, BeforeValidator(_finite)]


class Severity(StrEnum):
    """How much a finding matters, from nothing to a result that cannot be trusted."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for ok to 3 for critical; strings would compare by alphabet.

        >>> Severity.CRITICAL.rank > Severity.WARNING.rank
        True
        """
        return list(Severity).index(self)


class Table(StrictModel):
    """A small table that belongs to a finding."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    identifies: bool = Field(
        default=False, description="names participants or records: keep it local"
    )


class Pair(StrictModel):
    """Two records that are one signal."""

    left: str
    right: str
    lag: float = Field(default=0.0, description="how much later the left shows the same (samples)")


class CellMap(StrictModel):
    """How far a score moves when a cell of an image is covered, for a picture of it."""

    subject: str = Field(description="what is scored")
    movement: tuple[tuple[float, ...], ...] = Field(description="by rows and columns of cells")


class Finding(StrictModel):
    """One thing that one audit looked at.

    `value` is the number that was judged, with a 95 % interval over participants where it is an
    estimate; exact counts have none. Participants and records are pseudonyms and stay local.
    """

    audit: str = Field(description="name of the audit, such as `near_duplicates`")
    group: str = Field(default="", description="heading on the page; given by whoever runs it")
    severity: Severity
    title: str = Field(description="what was found, in one sentence")
    measure: str = Field(default="", description="what `value` is, with its unit")
    value: Number = None
    low: Number = None
    high: Number = None
    threshold: Number = Field(default=None, description="the value at which the verdict changes")
    n_participants: int
    n_records: int
    detail: str = Field(default="", description="how it was computed, what it leaves out")
    local: str = Field(
        default="", description="more to say that may name participants or files: keep it local"
    )
    advice: str = Field(description="one sentence on what to do")
    participants: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = Field(default=(), description="pairs worth a look, the surest first")
    table: Table | None = None
    cells: CellMap | None = None
    figure: str | None = Field(default=None, description="name of a figure of the report")


class Figure(StrictModel):
    """A picture for the page: inline SVG whose ink takes the colour of the text around it."""

    name: str
    title: str
    alt: str = Field(description="what the picture shows, for those who cannot see it")
    caption: str = ""
    svg: str
    identifies: bool = Field(
        default=False, description="its texts name participants or records: keep them local"
    )


class ProbeRow(StrictModel):
    """One probe score: what was predicted, from which features, how well."""

    target: str
    features: str
    metric: str
    label: str = Field(default="", description="what readers call the metric")
    value: Number
    low: Number = None
    high: Number = None
    n_fit: int = Field(description="participants that the probe was fitted on")
    n_score: int = Field(description="participants that it was scored on")
    note: str = ""


class AuditReport(StrictModel):
    """Everything the page shows."""

    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...] = ()
    probes: tuple[ProbeRow, ...] = ()
    meta: dict[str, JsonValue] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(
        default_factory=dict, description="how long each audit took; no two runs agree"
    )
    map: RecordMap | None = Field(
        default=None, description="every record as a point; on the page, not in the JSON"
    )

    def sorted(self) -> tuple[Finding, ...]:
        """Findings, the worst first; equally severe ones keep the order of the audits."""
        return tuple(sorted(self.findings, key=lambda finding: -finding.severity.rank))

    def grouped(self) -> list[tuple[str, tuple[Finding, ...]]]:
        """Findings by heading, the worst first: of the headings, and inside each of them."""
        groups: dict[str, list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault(finding.group, []).append(finding)
        ordered = sorted(groups.items(), key=lambda item: -_worst(item[1]).rank)
        return [
            (heading, tuple(sorted(found, key=lambda one: -one.severity.rank)))
            for heading, found in ordered
        ]

    def worst(self) -> Severity:
        """The highest severity, `ok` when there is no finding."""
        return _worst(self.findings)

    def counts(self) -> dict[str, int]:
        """Number of findings of each severity, the worst first; safe to log anywhere."""
        return {
            severity.value: sum(finding.severity == severity for finding in self.findings)
            for severity in reversed(Severity)
        }

    def fails(self, fail_on: Severity | None) -> bool:
        """Whether a finding is at or above `fail_on`; None never fails."""
        return fail_on is not None and self.worst().rank >= fail_on.rank

    def to_json(self, *, identifiers: bool = True) -> str:
        """The report as JSON text, without the pictures.

        Args:
            identifiers: Keep the pseudonyms. Without them the text may leave the machine.
        """
        value = self.model_dump(mode="json", exclude={"figures", "map"})
        value["findings"] = [finding.model_dump(mode="json") for finding in self.sorted()]
        value["worst"] = self.worst().value
        value["counts"] = self.counts()
        value["figures"] = [figure.model_dump(exclude={"svg"}) for figure in self.figures]
        if not identifiers:
            for finding in value["findings"]:
                finding["participants"] = finding["records"] = finding["pairs"] = []
                finding["local"] = ""
                if finding["table"] and finding["table"]["identifies"]:
                    finding["table"] = None
            for figure in value["figures"]:
                if figure["identifies"]:
                    figure["alt"] = figure["caption"] = ""
        return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _worst(findings: Iterable[Finding]) -> Severity:
    return max((f.severity for f in findings), key=lambda s: s.rank, default=Severity.OK)


def probe_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[ProbeRow, ...]:
    """Probe rows from mappings; keys that the page does not show are dropped."""
    known = ProbeRow.model_fields
    return tuple(
        ProbeRow.model_validate({key: value for key, value in row.items() if key in known})
        for row in rows
    )


def slug(text: str) -> str:
    """A text as part of an identifier of a figure; letters of any script stay what they are.

    >>> slug("Größe (cm)")
    'größe--cm-'
    """
    return "".join(c if c.isalnum() else "-" for c in text.lower())


def plural(count: int, noun: str) -> str:
    """Count and noun, for titles.

    >>> plural(1, "participant"), plural(1200, "participant")
    ('1 participant', '1,200 participants')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
