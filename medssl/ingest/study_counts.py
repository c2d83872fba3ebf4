"""How many studies of a store are whole, and from which views its images are."""

from __future__ import annotations

from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from medssl.ingest.report import StudyCounts
from medssl.store import schema
from medssl.types import Kind, Modality

UNKNOWN = "unknown"
"""Stands for images whose view nobody tells."""


def count_studies(records: pa.Table) -> StudyCounts | None:
    """Studies with images and a report, or with one of them; None without images and reports."""
    columns = [schema.PARTICIPANT, schema.STUDY, schema.MODALITY]
    rows = records.select(columns).group_by(columns).aggregate([]).to_pylist()
    kinds: defaultdict[tuple[str, str], set[Kind]] = defaultdict(set)
    seen: set[Kind] = set()
    for row in rows:
        kind = Modality(row[schema.MODALITY]).kind
        if kind not in (Kind.IMAGE, Kind.TEXT):
            continue
        seen.add(kind)
        if row[schema.STUDY] is not None:
            kinds[row[schema.PARTICIPANT], row[schema.STUDY]].add(kind)
    if not seen:
        return None
    counts = Counter(frozenset(found) for found in kinds.values())
    return StudyCounts(
        complete=counts[frozenset((Kind.IMAGE, Kind.TEXT))],
        images_only=counts[frozenset((Kind.IMAGE,))],
        reports_only=counts[frozenset((Kind.TEXT,))],
    )


def count_views(records: pa.Table) -> dict[str, int]:
    """View → images, the commonest first."""
    images = pa.array(Kind.IMAGE.modalities)
    rows = records.filter(pc.is_in(records.column(schema.MODALITY), images))
    views = Counter(view or UNKNOWN for view in rows.column(schema.VIEW).to_pylist())
    return dict(views.most_common())
