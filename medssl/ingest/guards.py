"""What an ingest refuses before it reads anything."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pyarrow.compute as pc

from medssl.errors import IngestError
from medssl.ingest.config import IngestConfig
from medssl.ingest.discover import Discovery
from medssl.store import Store, schema


def refuse_nesting(folders: Sequence[Path], path: Path) -> None:
    """Refuse a store inside the folder that it is made from.

    Raises:
        IngestError: Names both.
    """
    for folder in folders:
        if path.resolve().is_relative_to(folder.resolve()):
            msg = f"the store at {path} would lie inside the source folder {folder}: move it out"
            raise IngestError(msg)


def require_cohorts(config: IngestConfig, found: Sequence[Discovery]) -> None:
    """Refuse to guess whether participants of two sources that are called alike are the same.

    Raises:
        IngestError: Names the two sources, and how many participants they have in common.
    """
    for (one, mine), (other, theirs) in combinations(zip(config.sources, found, strict=True), 2):
        told = one.cohort is not None and other.cohort is not None
        common = (
            0
            if told or one.group == other.group
            else len(mine.originals.keys() & theirs.originals.keys())
        )
        if common:
            msg = (
                f"sources {one.name} and {other.name} both have {common} participant(s) of the "
                "same name: give both the same cohort: NAME if they are the same people, or each "
                "a cohort: of its own if they are not"
            )
            raise IngestError(msg)


def require_same_recipe(config: IngestConfig, store: Store) -> None:
    """Refuse to mix two ways of cutting one source.

    Raises:
        IngestError: Names the source and what differs.
    """
    columns = [
        schema.SOURCE,
        schema.RATE,
        schema.CHANNELS,
        schema.SHAPE,
        schema.MODALITY,
        schema.UNITS,
        schema.FILTER,
        schema.OVERLAP,
    ]
    table = store.records.select(columns)
    for source in config.sources:
        rows = table.filter(pc.equal(table.column(schema.SOURCE), source.name))
        if not len(rows):
            continue
        held = rows.slice(0, 1).to_pylist()[0]
        now = {
            schema.MODALITY: source.modality.value,
            schema.RATE: source.rate,
            schema.CHANNELS: [channel.stored for channel in source.channels],
            schema.SHAPE: [len(source.channels), source.segment_length],
            schema.UNITS: source.units or held[schema.UNITS],
            schema.FILTER: source.filter.text if source.filter is not None else None,
            schema.OVERLAP: source.overlap,
        }
        for column, value in now.items():
            if held[column] != value:
                msg = (
                    f"source {source.name}: the store at {store.path} holds it with {column} "
                    f"{held[column]} and not {value}; ingest into a new store, or rename the source"
                )
                raise IngestError(msg)
