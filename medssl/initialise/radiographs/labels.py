"""Labels of images: columns of the table that lists them, and what their reports say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from medssl.errors import ConfigError
from medssl.ingest.findings_rule import FindingsRule
from medssl.ingest.labels import is_absent
from medssl.initialise.labels import CATEGORIES, PRIVATE, Offer, label_of, offer_of, slug
from medssl.initialise.listing import spread
from medssl.initialise.radiographs.listings import ImageTable
from medssl.initialise.radiographs.roles import words_of
from medssl.initialise.tables import Table

_NAMED: Final = frozenset({"label", "labels", "class", "diagnosis", "category", "target", "outcome",
                           "disease", "finding", "findings", "pathology"})  # fmt: skip
_HEALTHY: Final = frozenset(
    {"normal", "no finding", "no_finding", "negative", "healthy", "none", "0"}
)
_ITEMS: Final = 40
"""More different items in lists such as `Cardiomegaly|Effusion` are no findings."""
_EACH: Final = 5
"""Images, or reports, with and without a finding, for it to be a target."""
_SEEN: Final = 2
"""Reports looked at with and without a finding, where these are few of many."""
_MENTIONS: Final = 400
"""Reports that are searched for findings."""


@dataclass(slots=True)
class ImageLabels:
    """Labels to keep.

    Args:
        people: Labels of participants.
        key: The column with participants that `people` go by.
        records: Labels of images.
        yes: Yes-or-no labels of images that enough of them have either way.
        spare: Further columns.
        infinite: Those of `spare` with values beyond what could be measured.
        replace: Label → raw value → raw value.
        items: Column with lists, and what they hold: label → item.
        separator: What stands between two items.
        findings: Findings that reports name often enough, with how often each way.
    """

    people: list[Offer] = field(default_factory=list)
    key: str = ""
    records: list[Offer] = field(default_factory=list)
    yes: list[str] = field(default_factory=list)
    spare: list[Offer] = field(default_factory=list)
    infinite: list[str] = field(default_factory=list)
    replace: dict[str, dict[str, str]] = field(default_factory=dict)
    items: tuple[str, dict[str, str]] | None = None
    separator: str = "|"
    findings: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Names of all labels."""
        listed = list(self.items[1]) if self.items else []
        kept = [one.label for one in (*self.people, *self.records)]
        return [*kept, *listed, *self.findings]

    def offer(self, label: str) -> tuple[Offer, str] | None:
        """A label from a column, and whose it is."""
        for level, offers in (("participant", self.people), ("record", self.records)):
            for one in offers:
                if one.label == label:
                    return one, level
        return None


def labels_of_images(
    listed: ImageTable, paths: Sequence[str], people: Sequence[str | None], *, skip: set[str]
) -> ImageLabels:
    """Labels that the columns of a table offer.

    Args:
        listed: The table.
        paths: Images.
        people: Participant of each.
        skip: Columns that tell something else.
    """
    found = ImageLabels()
    taken = {listed.file} | listed.roles.used | skip
    lists = []
    for column in listed.table.columns:
        if column in taken:
            continue
        cells = [cell or "" for cell in listed.told(paths, (column,))]
        label = label_of(column)
        if label in {"age", "sex", "bmi"}:
            _add_person(found, label, column, cells, people, table=listed.table)
        elif PRIVATE.search(column) is None:
            _add_record(found, column, cells)
            separator = _separator(cells)
            if separator is not None:
                lists.append((column, separator, cells))
    if not found.yes and lists:
        _add_items(found, *lists[0])
    return found


def _add_person(
    found: ImageLabels,
    label: str,
    column: str,
    cells: Sequence[str],
    people: Sequence[str | None],
    *,
    table: Table,
) -> None:
    """Age or sex: of the participant if all images of one say the same, else of the image."""
    offer = offer_of(label, column, cells, exhaustive=True)
    if offer is None or found.offer(label) is not None:
        return
    said: dict[str, set[str]] = {}
    for person, cell in zip(people, cells, strict=True):
        if person and not is_absent(cell):
            said.setdefault(person, set()).add(cell)
    constant = all(len(values) == 1 for values in said.values())
    (found.people if constant else found.records).append(offer)


def _add_record(found: ImageLabels, column: str, cells: Sequence[str]) -> None:
    label = slug(column)
    beyond = [cell for cell in cells if abs(_number(cell) or 0) == inf]
    if beyond:
        cells = ["" if cell in beyond else cell for cell in cells]
    told = {cell for cell in cells if not is_absent(cell)}
    uncertain = {cell for cell in told if _number(cell) == -1}
    numbers = {_number(cell) for cell in told - uncertain}
    offer = offer_of(label, column, cells, exhaustive=True)
    if offer is None or offer.sides < 2 or label in found.labels:
        return
    if numbers == {0.0, 1.0}:
        found.records.append(offer)
        counts = Counter(_number(cell) for cell in cells if cell in told)
        found.yes += [label] if min(counts[0.0], counts[1.0]) >= _EACH else []
        if uncertain:
            found.replace[label] = dict.fromkeys(sorted(uncertain), "")
    elif offer.kind == "words" and offer.sides <= CATEGORIES and _NAMED & set(words_of(column)):
        found.records.append(offer)
    elif offer.kind == "number" or offer.sides <= CATEGORIES:
        found.spare.append(offer)
        found.infinite += [label] if beyond else []


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _separator(cells: Sequence[str]) -> str | None:
    """What stands between the items of lists, if cells are lists of few different items."""
    for mark in "|;":
        if any(mark in cell for cell in cells):
            items = {item.strip() for cell in cells for item in cell.split(mark)} - {""}
            return mark if 2 <= len(items) <= _ITEMS else None
    return None


def _add_items(found: ImageLabels, column: str, separator: str, cells: Sequence[str]) -> None:
    counts = Counter(item for cell in cells for item in {i.strip() for i in cell.split(separator)})
    total = sum(bool(cell.strip()) for cell in cells)
    chosen = {
        slug(item): item
        for item, count in sorted(counts.items())
        if item and item.casefold() not in _HEALTHY and _EACH <= count <= total - _EACH
    }
    if chosen:
        found.items, found.separator = (column, chosen), separator
        found.yes += chosen


def findings_of(texts: Sequence[str], total: int) -> dict[str, tuple[int, int]]:
    """Findings of ChestX-ray14 that reports assert and deny often enough, with both counts.

    Args:
        texts: Reports that were read, as stored.
        total: How many reports there are.
    """
    rule = FindingsRule(findings="nih")
    yes: Counter[str] = Counter()
    told: Counter[str] = Counter()
    chosen = spread(texts, _MENTIONS)
    for text in chosen:
        said = rule.labels_of(text)
        told.update(said.keys())
        yes.update(name for name, value in said.items() if value)
    counts = {name: (yes[name], told[name] - yes[name]) for name in rule.names}
    most = total / max(len(chosen), 1)
    return {
        name: pair
        for name, pair in counts.items()
        if min(pair) >= _SEEN and min(pair) * most >= _EACH
    }


def targets_of(labels: ImageLabels) -> list[dict[str, Any]]:
    """Probe targets that the labels allow: several yes-or-no labels are one."""
    targets: list[dict[str, Any]] = []
    several = labels.yes or list(labels.findings)
    if len(several) > 1:
        targets.append({"name": "findings", "kind": "multilabel", "columns": several})
    elif several:
        targets.append({"name": several[0], "kind": "binary", "column": several[0]})
    for one in labels.records:
        if one.kind == "words" and one.label != "sex":
            targets.append({"name": one.label, "column": one.label, "kind": "multiclass"})
    for name, kind, more in (
        ("age", "regression", {}),
        ("sex", "binary", {"positive": "M"}),
    ):
        found = labels.offer(name)
        if found is not None and found[0].sides > 1:
            targets.append({"name": name, "column": name, "kind": kind, **more, "level": found[1]})
    for target in targets:
        target.setdefault("level", "record")
        if target["level"] == "participant":
            del target["level"]
    return targets


def prompts_for(names: Sequence[str]) -> dict[str, str]:
    """Finding, as the prompts know it → label, of the labels that have prompts.

    >>> prompts_for(["y_pleural_effusion", "icu"])
    {'pleural effusion': 'y_pleural_effusion'}
    """
    from medssl.evaluation.image_text.prompts import default_prompts

    prompts = default_prompts()
    found = {}
    for label in names:
        plain = re.sub(r"^(y|label) ", "", label.replace("_", " ").casefold())
        try:
            _ = prompts[plain]
        except ConfigError:
            continue
        found[plain] = label
    return found
