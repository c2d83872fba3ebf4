"""Acquisition metadata as features: how a record was made, and nothing of what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medssl.evaluation.baselines import METADATA, FeatureTable, encode
from medssl.store import schema
from medssl.types import Kind, Rows

if TYPE_CHECKING:
    from medssl.store import Store

_NAMES = (
    schema.SOURCE, schema.SITE, schema.DEVICE, schema.UNITS, schema.VIEW, schema.DISPLAY,
)  # fmt: skip
MAX_CATEGORIES = 50
"""Sites, devices or sources beyond this many are counted as one rest."""


def acquisition_features(store: Store, rows: Rows) -> FeatureTable:
    """How records were made: origin, view, shape, rate, display, quality, and how many there are.

    Of images the shape is the ratio of columns to rows, as a logarithm, and the number of pixels;
    the display is what was done to stored values, such as an inversion, which tells the machine.
    A label that these predict can be learned from how it was recorded: an encoder must beat them
    before its score says anything about physiology.

    Args:
        store: Where the records are.
        rows: Row numbers of the records.
    """
    owners = pd.Series(store.column(schema.PARTICIPANT, rows))
    recordings = pd.Series(store.column(schema.RECORDING, rows))
    shapes = store.column(schema.SHAPE, rows)
    numbers = {
        "rate": store.column(schema.RATE, rows),
        "size": np.array([np.prod(shape) if shape else 0 for shape in shapes], dtype=np.float64),
        "aspect": _aspects(shapes, store.column(schema.MODALITY, rows)),
        "start": store.column(schema.START, rows),
        "time": store.column(schema.TIME, rows),
        "quality": store.column(schema.QUALITY, rows).astype(np.float64),
        "records": owners.map(owners.value_counts()).to_numpy(np.float64),
        "recordings": owners.map(recordings.groupby(owners.to_numpy()).nunique()).to_numpy(
            np.float64
        ),
    }
    parts = [pd.DataFrame(numbers)]
    for name in _NAMES:
        column = pd.Series(store.column(name, rows), name=name, dtype=object)
        common = column.value_counts().index[:MAX_CATEGORIES]
        parts.append(encode(column.where(column.isin(common) | column.isna(), "rest")))
    table = pd.concat(parts, axis=1)
    varying = [name for name in table.columns if table[name].nunique(dropna=False) > 1]
    return FeatureTable(
        METADATA,
        store.column(schema.RECORD, rows),
        table[varying].to_numpy(dtype=np.float64),
        tuple(map(str, varying)),
        note=_shown(varying),
        by="record",
    )


def _aspects(shapes: np.ndarray, modalities: np.ndarray) -> np.ndarray:
    """Logarithm of columns over rows, shape (n,); NaN of what is no image."""
    images = np.isin(modalities.astype(str), Kind.IMAGE.modalities)
    found = np.full(len(shapes), np.nan)
    for place in np.flatnonzero(images):
        rows, columns = shapes[place][-2:]
        found[place] = np.log(columns / rows)
    return found


def _shown(names: list[str]) -> str:
    if not names:
        return "all records were made alike"
    kinds = list(dict.fromkeys(str(name).split("=")[0] for name in names))
    return ", ".join(kinds)
