"""Audit: is one signal or image, slightly changed, stored under two participants?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.audit.findings import Finding, Pair, Severity, Table, plural
from medssl.audit.image_matching import CEILING as IMAGE_CEILING
from medssl.audit.image_matching import nearest_images, read_thumbnails
from medssl.audit.matching import CEILING, FLOOR, Match, copy_threshold, nearest_matches
from medssl.audit.nouns import NOUNS
from medssl.audit.shared_reports import shared_reports
from medssl.evaluation.units import spread_rows
from medssl.store.schema import CHANNELS, CONTENT_DIGEST, MODALITY, PARTICIPANT, RATE, RECORD, SHAPE
from medssl.types import Kind, Modality

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

AUDIT: Final = "near_duplicates"
COMPARED: Final = (Kind.WAVEFORM, Kind.IMAGE, Kind.TEXT)
DISTANCES: Final = {
    Kind.WAVEFORM: "1 - correlation of first differences at the best lag",
    Kind.IMAGE: "1 - correlation of details at 32 pixels when one is laid on the other",
}
SHOWN: Final = 50
"""Pairs listed in the table; all are named in `records`."""


def near_duplicates(
    store: Store,
    rows: Rows,
    *,
    splits: Mapping[str, str],
    kept: Rows | None = None,
    expected_false: float = 0.05,
    tolerance: float = 0.125,
    max_records: int = 10_000,
) -> list[Finding]:
    """Look for waveforms and images of different participants that are copies of one.

    Waveforms may be shifted, scaled, resampled or noisy; only those of one modality, shape, rate
    and set of channels are compared. Images may be resized, compressed anew, of other brightness or
    cropped by a few per cent; all of a modality are compared. Pairs that are equal to the last bit
    are left to `exact_duplicates`. Reports that say the same are counted (`shared_reports`).

    Args:
        store: The store.
        rows: Records to compare, shape (records,).
        splits: Participant → split.
        kept: Rows that a reduction kept; None when all are in use.
        expected_false: Records wrongly called copies in a modality without any; see
            `medssl.audit.matching.copy_threshold`.
        tolerance: Largest lag at which copies of waveforms are found, as a fraction of the segment.
        max_records: Most records compared in a modality: of more, every participant gives an
            equal number, evenly spaced.

    Returns:
        One finding for each modality that has waveforms, images or reports of two or more
        participants.
    """
    modalities = store.column(MODALITY, rows).astype(str)
    findings = []
    for name in sorted(set(modalities.tolist())):
        of_modality = rows[modalities == name]
        people = store.column(PARTICIPANT, of_modality).astype(str)
        if Modality(name).kind not in COMPARED or len(set(people.tolist())) < 2:
            continue
        if Modality(name).kind is Kind.TEXT:
            findings += shared_reports(
                store, of_modality, audit=AUDIT, modality=name, splits=splits
            )
            continue
        compared = of_modality[spread(people, max_records)]
        copies = find_copies(store, compared, expected_false=expected_false, tolerance=tolerance)
        findings.append(
            _judge(
                name, copies, store=store, rows=compared, n_all=len(of_modality), splits=splits,
                used=set((of_modality if kept is None else kept).tolist()),
            )
        )  # fmt: skip
    return findings


def spread(people: np.ndarray, limit: int) -> np.ndarray:
    """Positions of at most `limit` records: an equal number a participant, evenly spaced.

    >>> spread(np.array(["a"] * 5 + ["b"]), 4).tolist()
    [0, 4, 5]
    """
    if len(people) <= limit:
        return np.arange(len(people))
    share = max(1, limit // len(np.unique(people)))
    return spread_rows(people, share)[:limit]


def find_copies(
    store: Store, rows: Rows, *, expected_false: float, tolerance: float
) -> tuple[dict[tuple[int, int], Match], float, float]:
    """Pairs of rows that are copies, the threshold of the ratio, and the smallest other ratio.

    Args:
        store: The store.
        rows: Waveforms or images of one modality.
        expected_false: See `copy_threshold`.
        tolerance: Largest lag, as a fraction of the segment.
    """
    images = Modality(store.column(MODALITY, rows[:1])[0]).kind is Kind.IMAGE
    if images:
        matches = _image_matches(store, rows)
    else:
        groups = _comparable(store, rows)
        matches = [match for group in groups for match in _matches(store, group, tolerance)]
    threshold = copy_threshold(
        np.array([match.ratio for match in matches]), expected_false=expected_false,
        ceiling=IMAGE_CEILING if images else CEILING,
    )  # fmt: skip
    digests = store.column(CONTENT_DIGEST)
    copies: dict[tuple[int, int], Match] = {}
    nearest = np.inf
    for match in matches:
        pair = (min(match.position, match.partner), max(match.position, match.partner))
        if digests[pair[0]] == digests[pair[1]]:
            continue
        if match.ratio < threshold or match.distance < FLOOR:
            copies.setdefault(pair, match)
        else:
            nearest = min(nearest, match.ratio)
    return copies, threshold, nearest


def _matches(store: Store, rows: Rows, tolerance: float) -> list[Match]:
    def read(positions: np.ndarray) -> np.ndarray:
        return store.read(rows[positions])

    people = store.column(PARTICIPANT, rows).astype(str)
    return _at_rows(nearest_matches(read, people, tolerance=tolerance), rows)


def _image_matches(store: Store, rows: Rows) -> list[Match]:
    people = store.column(PARTICIPANT, rows).astype(str)
    return _at_rows(nearest_images(read_thumbnails(store, rows), people), rows)


def _at_rows(matches: list[Match], rows: Rows) -> list[Match]:
    return [
        replace(match, position=int(rows[match.position]), partner=int(rows[match.partner]))
        for match in matches
    ]


def _comparable(store: Store, rows: Rows) -> list[Rows]:
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    columns = (store.column(name, rows) for name in (SHAPE, RATE, CHANNELS))
    for row, *key in zip(rows.tolist(), *columns, strict=True):
        groups[tuple(str(list(k)) if hasattr(k, "__iter__") else str(k) for k in key)].append(row)
    return [np.array(group, dtype=np.int64) for group in groups.values()]


def _judge(
    modality: str,
    found: tuple[dict[tuple[int, int], Match], float, float],
    *,
    store: Store,
    rows: Rows,
    n_all: int,
    splits: Mapping[str, str],
    used: set[int],
) -> Finding:
    copies, threshold, nearest = found
    people = store.column(PARTICIPANT).astype(str)
    names = store.column(RECORD).astype(str)
    kind = Modality(modality).kind
    noun = NOUNS[kind]
    crossing = [
        pair
        for pair in copies
        if used.issuperset(pair) and splits.get(people[pair[0]]) != splits.get(people[pair[1]])
    ]
    if copies:
        severity = Severity.CRITICAL if crossing else Severity.WARNING
        where = f", {len(crossing)} across splits" if crossing else ""
        title = (
            f"{modality}: {plural(len(copies), 'pair')} of nearly identical {noun}s under two "
            f"participants{where}"
        )
        advice = (
            "Look at the pair that is drawn: if it is one recording, find out whose it is, remove "
            "the other copy, and score again."
        )
    else:
        severity = Severity.OK
        title = f"{modality}: no two participants share a nearly identical {noun}"
        advice = "Nothing to do."
    ranked = sorted(copies.items(), key=lambda item: item[1].ratio)[:SHOWN]
    part = f"{len(rows):,} of {n_all:,} records compared. " if len(rows) < n_all else ""
    return Finding(
        audit=AUDIT,
        severity=severity,
        title=title,
        measure=f"pairs of {noun}s",
        value=len(copies),
        threshold=1,
        n_participants=len(set(people[rows].tolist())),
        n_records=len(rows),
        detail=(
            f"{part}Distance is {DISTANCES[kind]}; a pair is a copy when it is less than "
            f"{threshold:.3g} times as far apart as the next nearest participants, or nearer than "
            f"{FLOOR:g}. The nearest pair that is not one has a ratio of {nearest:.3g}."
        ),
        advice=advice,
        participants=tuple(sorted({people[row] for pair in copies for row in pair})),
        records=tuple(names[row] for pair in copies for row in pair),
        pairs=tuple(
            Pair(left=names[a], right=names[b], lag=_lag(a, match)) for (a, b), match in ranked
        ),
        table=_table(ranked, kind, store=store, splits=splits) if copies else None,
        figure=f"overlay-near-{modality}" if copies else None,
    )


def _lag(first: int, match: Match) -> float:
    """How much later the first of the pair shows the same (samples)."""
    return match.lag * (1 if match.position == first else -1)


def _table(
    ranked: list[tuple[tuple[int, int], Match]],
    kind: Kind,
    *,
    store: Store,
    splits: Mapping[str, str],
) -> Table:
    people, names = (store.column(name).astype(str) for name in (PARTICIPANT, RECORD))
    rates = store.column(RATE)
    waves = kind is Kind.WAVEFORM
    columns = ("participants", "splits", "records", "distance", "ratio", "lag (s)")
    return Table(
        title="Pairs",
        columns=columns if waves else columns[:-1],
        rows=tuple(
            (
                f"{people[a]}, {people[b]}",
                f"{splits.get(people[a], 'none')}, {splits.get(people[b], 'none')}",
                f"{names[a]}, {names[b]}",
                round(match.distance, 5),
                round(match.ratio, 4),
                *((round(_lag(a, match) / rates[a], 4),) if waves else ()),
            )
            for (a, b), match in ranked
        ),
        identifies=True,
    )
