"""What the waveforms of a modality have in common, as the contract of an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from medssl.errors import StoreError
from medssl.filters import Filter
from medssl.records import Contract
from medssl.store import schema
from medssl.types import Kind, Modality, Rows

if TYPE_CHECKING:
    from medssl.store.reader import Store

_SHOWN = 5


def find_contract(store: Store, modality: str, rows: Rows | None) -> Contract:
    """The one contract that all chosen waveforms meet; see `Store.contract`."""
    chosen = store.rows(modality=modality)
    kind = Modality(modality)
    if rows is not None:
        chosen = np.intersect1d(chosen, rows)
    if kind.kind is not Kind.WAVEFORM:
        msg = f"{modality} records are no waveforms: only waveforms have a contract yet"
        raise StoreError(msg)
    if chosen.size == 0:
        msg = f"no {modality} records in the store at {store.path}: check what selected them"
        raise StoreError(msg)
    names = [schema.RATE, schema.CHANNELS, schema.UNITS, schema.SHAPE, schema.FILTER]
    frame = pd.DataFrame({name: store.column(name, chosen) for name in names})
    counts = frame.groupby(names, dropna=False, sort=False).size()
    # Each key has five parts, which the type stubs do not know.
    variants = [(cast(tuple[Any, ...], key), count) for key, count in counts.items()]
    if len(variants) > 1:
        shown = "; ".join(f"{count} with {_describe(*key)}" for key, count in variants[:_SHOWN])
        msg = f"{modality} records differ ({shown}): select one kind, or ingest to one rate"
        raise StoreError(msg)
    rate, channels, units, shape, filter = variants[0][0]
    if not isinstance(units, str):
        msg = f"{modality} records have no units: set them in the ingest configuration"
        raise StoreError(msg)
    overlaps = store.column(schema.OVERLAP, chosen)
    return Contract(
        modality=kind,
        rate=float(rate),
        channels=channels,
        units=units,
        length=shape[-1],
        filter=_parse(filter),
        # Where sources overlap differently, all of them overlap at least as much.
        overlap=float(np.nan_to_num(overlaps).min()),
    )


def _parse(filter: object) -> Filter | None:
    return Filter.parse(filter) if isinstance(filter, str) else None


def _describe(
    rate: float,
    channels: tuple[str, ...],
    units: str | None,
    shape: tuple[int, ...],
    filter: object,
) -> str:
    parsed = _parse(filter)
    filtered = "" if parsed is None else f", filter {parsed.label}"
    return f"{rate:g} Hz, {'+'.join(channels)}, {units}, {shape[-1]} samples{filtered}"
