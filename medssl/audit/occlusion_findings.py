"""What the audit of occlusion says of how far scores moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from medssl.audit.findings import CellMap, Finding, Severity, Table, plural, slug
from medssl.audit.regions import Region
from medssl.evaluation.statistics import Interval, Replicates, WeightedMetric, resample

SURE: Final = 0.5
"""A window that holds most of the movement is a warning when the interval's lower end says so."""
EDGE: Final = "edge"
SPREAD: Final = "spread"


@dataclass(frozen=True, eq=False)
class Case:
    """What the findings are about.

    Args:
        audit: Name of the audit.
        target: What is scored.
        name: The input that was changed.
        people: Participant of each record, shape (n,).
        spread: Mean distance of each record's score to those of the other participants, shape (n,).
        seed: Of the bootstrap.
    """

    audit: str
    target: str
    name: str
    people: np.ndarray
    spread: np.ndarray
    seed: int

    def by_participant(
        self, columns: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Means of columns, and of the spread, inside participants; and their names."""
        names, codes, counts = np.unique(self.people, return_inverse=True, return_counts=True)
        every = {**columns, SPREAD: self.spread}
        means = {name: np.bincount(codes, weights=one) / counts for name, one in every.items()}
        return means, names


def _ratio(above: np.ndarray, below: np.ndarray) -> WeightedMetric:
    def ratio(weights: np.ndarray) -> np.ndarray:
        bottom = weights @ below
        return np.asarray(weights @ above / np.where(bottom > 0, bottom, np.nan))

    return ratio


def follows(case: Case, moved: Mapping[str, np.ndarray], *, least: float) -> Finding:
    """Whether the score moves when the input is swapped and when it is blanked.

    Args:
        case: What it is about.
        moved: How far each record's score moves under each of the changes.
        least: See `shortcut_occlusion.min_movement`.
    """
    means, names = case.by_participant(moved)
    target, name = case.target, case.name
    drawn = resample(
        {change: _ratio(means[change], means[SPREAD]) for change in moved},
        names,
        seed=case.seed,
        n_records=len(case.people),
    )
    found = {change: drawn.interval(change) for change in moved}
    change, judged = min(found.items(), key=lambda item: item[1].value)
    severity, advice = Severity.OK, "Nothing to do."
    title = f"{target} follows {_the(name)}: it moves when that is swapped or blanked"
    if judged.value < least:
        sure = judged.high < least
        severity = Severity.WARNING if sure else Severity.NOTE
        title = f"{target} hardly moves when {_the(name)} is {change}: {judged.value:.2f}"
        advice = (
            f"Do not say that {target} is read from {_the(name)}: find out what else the model is "
            "given, and retrain without it."
            if sure
            else "Repeat with more participants: the scores may come from elsewhere."
        )
    return Finding(
        audit=case.audit,
        severity=severity,
        title=title,
        measure=f"movement of the score with {_the(name)} {change} (0 none, 1 as between "
        "participants)",
        value=judged.value,
        low=judged.low,
        high=judged.high,
        threshold=least,
        n_participants=len(names),
        n_records=len(case.people),
        detail="Mean absolute change over the mean difference between participants. Swapped: with "
        "that of another participant. Blanked: the same mean value for everyone.",
        advice=advice,
        table=_table(f"{target} without {_the(name)}", "change", found),
    )


def windows_moved(
    case: Case, parts: Mapping[Region, np.ndarray], *, most: float, border: float | None
) -> list[Finding]:
    """Whether one window moves the score more than all others together, and of images the border.

    Args:
        case: What it is about.
        parts: How far each record's score moves when a part is covered.
        most: See `shortcut_occlusion.max_share`.
        border: See `shortcut_occlusion.max_border`; None where the border is not judged.
    """
    labels = {region.label: moved for region, moved in parts.items()}
    means, names = case.by_participant(labels)
    total = np.sum([means[label] for label in labels], axis=0)
    if not total.sum() > 1e-9 * means[SPREAD].sum():
        return []  # nothing moves: the finding on swaps says it
    metrics = {f"share {label}": _ratio(means[label], total) for label in labels}
    metrics |= {label: _ratio(means[label], means[SPREAD]) for label in labels}
    edge = [region.label for region in parts if region.border]
    metrics[EDGE] = _ratio(np.sum([means[label] for label in edge], axis=0), total)
    drawn = resample(metrics, names, seed=case.seed, n_records=len(case.people))
    findings = [_one_window(case, drawn, list(parts), most)]
    if border is not None and 0 < len(edge) < len(parts):
        findings.append(_border(case, drawn, list(parts), border))
    return findings


def _one_window(case: Case, drawn: Replicates, parts: list[Region], most: float) -> Finding:
    target, name = case.target, case.name
    first = max(parts, key=lambda region: drawn.values[f"share {region.label}"])
    share = drawn.interval(f"share {first.label}")
    where = "at the border" if first.border else "inside"
    severity, advice = Severity.OK, "Nothing to do."
    title = f"{target} is read from several windows of {_the(name)}"
    if share.value >= most:
        shortcut = first.border and share.low >= SURE
        severity = Severity.WARNING if shortcut else Severity.NOTE
        title = (
            f"{share.value:.0%} of what moves {target} lies in one window {where}: {first.label}"
        )
        advice = (
            "Look at this window in a few records for marks, padding or a start-up artefact, crop "
            "it away, and retrain."
            if shortcut
            else "Look at this window in a few records: is it where the finding should be?"
        )
    return Finding(
        audit=case.audit,
        severity=severity,
        title=title,
        measure="largest share of the movement in one window",
        value=share.value,
        low=share.low,
        high=share.high,
        threshold=most,
        n_participants=drawn.n_participants,
        n_records=drawn.n_records,
        detail=f"{plural(len(parts), 'window')}, each filled with the mean of its record in "
        f"turn. The largest share is {where}.",
        advice=advice,
        table=_movements(drawn, parts, f"{target} by window of {_the(name)}"),
    )


def _border(case: Case, drawn: Replicates, parts: list[Region], most: float) -> Finding:
    """Whether the score is read from the border of images."""
    target, name = case.target, case.name
    share, area = drawn.interval(EDGE), sum(region.border for region in parts) / len(parts)
    limit = area + most * (1 - area)
    severity, advice = Severity.OK, "Nothing to do."
    title = f"{target} is read from inside {_the(name)} as well as from its border"
    if share.value >= limit:
        sure = share.low > area
        severity = Severity.WARNING if sure else Severity.NOTE
        title = f"{share.value:.0%} of what moves {target} lies at the border of {_the(name)}"
        advice = (
            "Look at the map for letters, markers, padding or collimation, crop or cover them, and "
            "retrain."
            if sure
            else "Repeat with more participants, and look at the map."
        )
    rows, columns = parts[0].counts
    values = np.array([drawn.values[region.label] for region in parts]).reshape(rows, columns)
    return Finding(
        audit=case.audit,
        severity=severity,
        title=title,
        measure=f"share of the movement in the cells at the border, {area:.0%} of the area",
        value=share.value,
        low=share.low,
        high=share.high,
        threshold=limit,
        n_participants=drawn.n_participants,
        n_records=drawn.n_records,
        detail=f"{rows} × {columns} cells of each image, without the black around it. A score may "
        "be read from the border because of what is at it: the map says where.",
        advice=advice,
        cells=CellMap(subject=target, movement=tuple(map(tuple, values.tolist()))),
        figure=f"occlusion-{slug(target)}-{slug(name)}",
    )


def _the(name: str) -> str:
    return f"the {name}"


def _movements(drawn: Replicates, parts: list[Region], title: str) -> Table:
    intervals = {region: drawn.interval(region.label) for region in parts}
    return Table(
        title=title,
        columns=("window", "border", "share", "movement", "95 % low", "high"),
        rows=tuple(
            (r.label, r.border, drawn.values[f"share {r.label}"], one.value, one.low, one.high)
            for r, one in intervals.items()
        ),
    )


def _table(title: str, head: str, found: Mapping[str, Interval]) -> Table:
    return Table(
        title=title,
        columns=(head, "movement", "95 % low", "high"),
        rows=tuple((name, one.value, one.low, one.high) for name, one in found.items()),
    )
