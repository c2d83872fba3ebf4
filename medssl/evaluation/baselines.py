"""What a probe must beat: features that need no training, and the encoder with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.units import Units

MEAN: Final = "predict the mean"
DEMOGRAPHICS: Final = "demographics"
METADATA: Final = "acquisition metadata"
STATISTICS: Final = "signal statistics"
HEART_RATE: Final = "heart rate"
VARIABILITY: Final = "heart-rate variability"
MINIROCKET: Final = "MiniRocket"
UNTRAINED: Final = "untrained encoder"
SUPERVISED: Final = "supervised from scratch"


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of participants or of records.

    Args:
        name: As shown in the probe table.
        keys: Pseudonyms or record names, shape (p,), each once.
        values: Float64 array of shape (p, d), or float32 as embeddings are; NaN is missing, and is
            imputed inside the fold with an indicator. No column at all means predict-the-mean.
        columns: Names of the columns.
        note: What a reader of the table should know.
        by: What a row is. Those of records are averaged over the unit that is probed.

    Raises:
        StageError: Lengths differ, or a key has two rows.
    """

    name: str
    keys: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...] = ()
    note: str = ""
    by: Literal["participant", "record"] = "participant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", np.asarray(self.keys, dtype=np.str_))
        values = np.asarray(self.values)
        kept = values.dtype if values.dtype == np.float32 else np.float64
        object.__setattr__(self, "values", values.astype(kept, copy=False))
        if self.values.ndim != 2 or len(self.values) != len(self.keys):
            msg = f"feature table {self.name!r}: give one row per {self.by}"
            raise StageError(msg)
        if len(np.unique(self.keys)) != len(self.keys):
            msg = f"feature table {self.name!r}: a {self.by} has two rows; average them first"
            raise StageError(msg)

    def of(self, units: Units) -> np.ndarray:
        """Features of units in their order, shape (u, d); NaN for those without a row."""
        if self.by == "participant":
            return self.rows(units.participants)
        return units.means(self.rows(units.records))

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """Features of participants or records in the order of `keys`; NaN for unknown ones."""
        if np.array_equal(keys, self.keys):
            return self.values
        found = pd.Index(self.keys).get_indexer(pd.Index(keys))
        picked = np.full((len(found), self.values.shape[1]), np.nan, dtype=self.values.dtype)
        picked[found >= 0] = self.values[found[found >= 0]]
        return picked


def embedding_features(embeddings: Embeddings, name: str) -> FeatureTable:
    """Embeddings as features of records."""
    return FeatureTable(name, embeddings.records, embeddings.values, by="record")


def mean_features(participants: np.ndarray) -> FeatureTable:
    """No features at all: the fitted mean, or the shares of the classes."""
    names = np.unique(participants)
    return FeatureTable(MEAN, names, np.empty((len(names), 0)))


def demographic_features(
    labels: pd.DataFrame, columns: Sequence[str], *, without: Sequence[str]
) -> FeatureTable | None:
    """Demographics other than the target's own columns.

    Numbers stay numbers; text becomes one column per category and, where some are missing, one
    that says so.

    Args:
        labels: Index pseudonyms, one column per label.
        columns: Label columns to use; absent ones are skipped, since not every source has them.
        without: The target's columns, which would give the answer away.

    Returns:
        The table, or None when no column is left.
    """
    used = [name for name in columns if name in labels.columns and name not in without]
    used = [name for name in used if labels[name].notna().any()]
    if not used:
        return None
    table = pd.concat([encode(labels[name]) for name in used], axis=1)
    return FeatureTable(
        DEMOGRAPHICS,
        labels.index.astype(str).to_numpy(),
        table.to_numpy(dtype=np.float64),
        tuple(map(str, table.columns)),
        note=", ".join(used),
    )


def encode(column: pd.Series[Any]) -> pd.DataFrame:
    """A column as numbers: itself, or one column per category and one for missing values."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(np.float64).to_frame()
    missing = column.isna()
    categories = sorted(column[~missing].astype(str).unique())
    coded = {f"{column.name}={value}": column.astype(str) == value for value in categories}
    if missing.any():
        coded[f"{column.name}=missing"] = missing
    return pd.DataFrame(coded, index=column.index).astype(np.float64)
