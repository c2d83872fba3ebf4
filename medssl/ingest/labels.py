"""Labels of participants: read from tables and header comments, merged, never guessed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from medssl.errors import IngestError
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.tables import read_table, require_columns
from medssl.store.schema import PARTICIPANT
from medssl.types import ParticipantId

if TYPE_CHECKING:  # sources, which a configuration is made of, stand above labels
    from medssl.ingest.config import IngestConfig

Label = str | float

ABSENT: Final = frozenset({"", "nan", "na", "n/a", "null", "?", "unknown"})
"""Raw values that mean nobody knows."""

NUMERIC: Final = frozenset({"age"})
"""Labels that are numbers in every store, whatever is written in the raw tables."""

INFINITE: Final = frozenset({"inf", "infinity"})
"""Raw values, without their sign, beyond what can be measured."""

UNLISTED: Final = object()
"""A raw value that `values` should have listed."""


def is_absent(value: str) -> bool:
    """Whether a raw value says that nothing is known.

    >>> is_absent(" ? "), is_absent("0")
    (True, False)
    """
    return value.strip().casefold() in ABSENT


def translate(rule: LabelRule, label: str, raw: str) -> Label | object | None:
    """The value behind a raw one: None when absent, `UNLISTED` when `values` lacks it."""
    raw = raw.strip()
    raw = rule.replace.get(label, {}).get(raw, raw).strip()
    listed = rule.values.get(label)
    if listed is not None and raw in listed:
        return _as_number(listed[raw])
    contains = rule.contains.get(label)
    if contains is not None and (not raw or not is_absent(raw)):
        return contains.value(raw)
    if is_absent(raw):
        return None
    if label in rule.infinite and raw.lstrip("+-").casefold() in INFINITE:
        return float(raw)
    return UNLISTED if listed is not None else _as_number(raw)


def _as_number(value: Label) -> Label:
    if isinstance(value, str) and "_" in value:
        return value  # Python would read 3_1 as 31
    try:
        number = float(value)
    except ValueError:
        return value
    return number if isfinite(number) else value  # "inf" is a word, and no amount


@dataclass(slots=True)
class Evidence:
    """Every value that was seen for a participant's labels.

    Args:
        seen: Participant → label → distinct values.
        unreadable: Label → values that could not be used.
    """

    seen: dict[ParticipantId, dict[str, set[Label]]] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)

    def add(self, participant: ParticipantId, rule: LabelRule, raw: Mapping[str, str]) -> None:
        """Add what a table row or a header says, as label → raw value."""
        labels = self.seen.setdefault(participant, {})
        for label, text in raw.items():
            value = translate(rule, label, text)
            if value is UNLISTED:
                self.unreadable[label] += 1
            elif isinstance(value, str | float):
                labels.setdefault(label, set()).add(value)

    def tell(self, participant: ParticipantId, labels: Mapping[str, Label]) -> None:
        """Add values that need no translation."""
        mine = self.seen.setdefault(participant, {})
        for label, value in labels.items():
            mine.setdefault(label, set()).add(value)

    def update(self, other: Evidence) -> None:
        """Add what another piece of work has seen."""
        for participant, labels in other.seen.items():
            mine = self.seen.setdefault(participant, {})
            for label, values in labels.items():
                mine.setdefault(label, set()).update(values)
        self.unreadable.update(other.unreadable)


def table_evidence(
    rule: LabelRule, folder: Path, participants: Mapping[str, ParticipantId], *, source: str
) -> Evidence:
    """What a label table says about participants.

    Args:
        rule: The source's label rule, with a table.
        folder: Folder of the source.
        participants: Original identifier → pseudonym.
        source: Name of the source, for messages.

    Raises:
        IngestError: The table or a column is absent, or it matches no participant at all.
    """
    evidence = Evidence()
    if rule.table is None or rule.key is None:
        return evidence
    path = folder / rule.table
    table = read_table(path, header_row=rule.header_row)
    require_columns(table.columns, [rule.key, *rule.table_columns], path=path)
    people = joined_keys(rule, participants, source=source)
    matched = 0
    for row in table.rows:
        participant = people.get(rule.joined(row.get(rule.key, "")))
        if participant is not None:
            matched += 1
            evidence.add(participant, rule, rule.raw_of_row(row))
    if participants and not matched:
        msg = (
            f"source {source}: column {rule.key!r} of {path.name} matches none of "
            f"{len(participants)} participants; make participant give what that column holds"
        )
        raise IngestError(msg)
    return evidence


def label_versions(config: IngestConfig) -> dict[str, str]:
    """Label → its version, or its versions where rules give several."""
    versions: dict[str, set[str]] = {}
    for source in config.sources:
        for rule in source.named_rules:
            for name in rule.names if rule.version is not None else ():
                versions.setdefault(name, set()).add(rule.version or "")
    return {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())}


def joined_keys(
    rule: LabelRule, participants: Mapping[str, ParticipantId], *, source: str
) -> dict[str, ParticipantId]:
    """Identifiers as the rule compares them → pseudonym.

    Raises:
        IngestError: Two participants would be one.
    """
    people: dict[str, ParticipantId] = {}
    for name, person in participants.items():
        if people.setdefault(rule.joined(name), person) != person:
            msg = (
                f"source {source}: without leading zeros two participants have one name: remove "
                "strip_zeros, and make the table's key what the participant rule gives"
            )
            raise IngestError(msg)
    return people


def label_table(
    evidence: Evidence,
    names: Iterable[str],
    participants: Iterable[ParticipantId],
    *,
    known: pd.DataFrame | None,
) -> tuple[pa.Table, dict[str, int]]:
    """One row per participant, and how many labels are empty because values disagree, by label.

    A label with two values for one participant, or with another value than the store holds, is
    left empty. A column holds numbers when every value is one, else text.

    Args:
        evidence: What was seen.
        names: Labels that the configuration gives.
        participants: The rows.
        known: Participants of the store that is appended to.
    """
    rows = sorted(participants)
    conflicts: dict[str, int] = defaultdict(int)
    columns: dict[str, pa.Array] = {PARTICIPANT: pa.array(rows, pa.string())}
    for name in dict.fromkeys(names):
        before = known[name] if known is not None and name in known.columns else None
        values: list[Label | None] = []
        for participant in rows:
            seen = set(evidence.seen.get(participant, {}).get(name, ()))
            held = before.get(participant) if before is not None else None
            disagrees = held is not None and not pd.isna(held) and bool(seen - {held})
            if len(seen) > 1 or disagrees:
                conflicts[name] += 1
                seen = set()
            values.append(seen.pop() if seen else None)
        numeric = before is not None and pd.api.types.is_numeric_dtype(before)
        columns[name] = _column(name, values, numeric=numeric, unreadable=evidence.unreadable)
    return pa.table(columns), dict(conflicts)


def _as_text(number: float) -> str:
    """A number as it is most likely written: codes keep all their digits."""
    return str(int(number)) if number.is_integer() else f"{number:.12g}"


def _column(
    name: str, values: list[Label | None], *, numeric: bool, unreadable: Counter[str]
) -> pa.Array:
    words = [value for value in values if isinstance(value, str)]
    if numeric or name in NUMERIC:
        unreadable.update([name] * len(words))
        values = [None if isinstance(value, str) else value for value in values]
        words = []
    if words:
        texts = [_as_text(value) if isinstance(value, float) else value for value in values]
        return pa.array(texts, pa.string())
    return pa.array(values, pa.float64())
