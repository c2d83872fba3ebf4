"""What an ingest refuses before it reads anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from medssl.errors import IngestError
from medssl.ingest.config import IngestConfig
from medssl.ingest.discover import Discovery
from medssl.ingest.sources import PixelSource, Source, WaveformSource
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
    columns = [schema.SOURCE, *_RECIPE]
    table = store.records.select(columns)
    for source in config.sources:
        rows = table.filter(pc.equal(table.column(schema.SOURCE), source.name))
        if not len(rows):
            continue
        held = rows.slice(0, 1).to_pylist()[0]
        for column, value in _recipe(source, held).items():
            if held[column] != value:
                msg = (
                    f"source {source.name}: the store at {store.path} holds it with {column} "
                    f"{held[column]} and not {value}; ingest into a new store, or rename the source"
                )
                raise IngestError(msg)


_RECIPE: Final = (
    schema.MODALITY, schema.RATE, schema.CHANNELS, schema.SHAPE, schema.UNITS, schema.FILTER,
    schema.OVERLAP, schema.DTYPE,
)  # fmt: skip


def _recipe(source: Source, held: Mapping[str, Any]) -> dict[str, Any]:
    """What the records of a source have in common, by column."""
    common: dict[str, Any] = {schema.MODALITY: source.modality.value}
    if isinstance(source, WaveformSource):
        common |= {
            schema.RATE: source.rate,
            schema.CHANNELS: [channel.stored for channel in source.channels],
            schema.SHAPE: [len(source.channels), source.segment_length],
            schema.UNITS: source.units or held[schema.UNITS],
            schema.FILTER: source.filter.text if source.filter is not None else None,
            schema.OVERLAP: source.overlap,
        }
    if isinstance(source, PixelSource) and held[schema.SHAPE]:
        # The longer side is the same in all of them; the shorter one is each image's own.
        shape = held[schema.SHAPE]
        edge = [source.edge if side == max(shape) else side for side in shape]
        common |= {schema.SHAPE: edge, schema.DTYPE: np.dtype(f"u{source.bits // 8}").str}
    return common
