"""What the records of a modality have in common, as far as a store can tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from medssl.contracts import Contract, ImageContract, WaveformContract
from medssl.contracts.grey_scale import GreyScale
from medssl.errors import StoreError
from medssl.filters import Filter
from medssl.store import schema
from medssl.types import Kind, Modality, Rows

if TYPE_CHECKING:
    from medssl.store.reader import Store

_SHOWN = 5


def find_contract(store: Store, modality: str, rows: Rows | None) -> Contract:
    """The one contract that all chosen records meet; see `Store.contract`."""
    chosen = store.rows(modality=modality)
    if rows is not None:
        chosen = np.intersect1d(chosen, rows)
    kind = Modality(modality)
    if kind.kind not in (Kind.WAVEFORM, Kind.IMAGE):
        msg = f"a store does not tell the contract of {modality} records: the encoder does"
        raise StoreError(msg)
    if chosen.size == 0:
        msg = f"no {modality} records in the store at {store.path}: check what selected them"
        raise StoreError(msg)
    find = _waveforms if kind.kind is Kind.WAVEFORM else _images
    return find(store, kind, chosen)


def _waveforms(store: Store, modality: Modality, rows: Rows) -> WaveformContract:
    names = [schema.RATE, schema.CHANNELS, schema.UNITS, schema.SHAPE, schema.FILTER]
    frame = pd.DataFrame({name: store.column(name, rows) for name in names})
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
    overlaps = store.column(schema.OVERLAP, rows)
    return WaveformContract(
        modality=modality,
        rate=float(rate),
        channels=channels,
        units=units,
        length=shape[-1],
        filter=_parse(filter),
        # Where sources overlap differently, all of them overlap at least as much.
        overlap=float(np.nan_to_num(overlaps).min()),
    )


def _images(store: Store, modality: Modality, rows: Rows) -> ImageContract:
    """The size seen by an encoder is the stored one, until a method chooses another."""
    edges = [max(shape[-2:]) for shape in store.column(schema.SHAPE, rows)]
    names = [schema.DTYPE, schema.GREY_SCALE]
    frame = pd.DataFrame({"edge": edges} | {name: store.column(name, rows) for name in names})
    counts = frame.groupby(["edge", *names], dropna=False, sort=False).size()
    variants = [(cast(tuple[Any, ...], key), count) for key, count in counts.items()]
    if len(variants) > 1:
        shown = "; ".join(
            f"{count} with {edge} pixels, {_bits(dtype)} bits, grey values by {_label(grey)}"
            for (edge, dtype, grey), count in variants[:_SHOWN]
        )
        msg = f"{modality} records differ ({shown}): ingest all with one edge, bits and display"
        raise StoreError(msg)
    edge, dtype, grey = variants[0][0]
    return ImageContract(
        modality=modality, edge=int(edge), bits=_bits(dtype), size=int(edge), grey_scale=_grey(grey)
    )


def _grey(text: object) -> GreyScale | None:
    return GreyScale.parse(text) if isinstance(text, str) else None


def _label(text: object) -> str:
    grey = _grey(text)
    return "who wrote them" if grey is None else grey.label


def _bits(dtype: str) -> Any:
    return 8 * np.dtype(dtype).itemsize


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
