"""What a probe must beat: tables of features of participants, without learning from signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings

MEAN: Final = "predict the mean"
DEMOGRAPHICS: Final = "demographics"
HEART_RATE: Final = "heart rate"
UNTRAINED: Final = "untrained encoder"


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of participants, one row each.

    Args:
        name: As shown in the probe table.
        participants: Pseudonyms, shape (p,), each once.
        values: Float64 array of shape (p, d); NaN is missing, and is imputed inside the fold with
            an indicator. No column at all means predict-the-mean.
        columns: Names of the columns.
        note: What a reader of the table should know.

    Raises:
        StageError: Lengths differ, or a participant has two rows.
    """

    name: str
    participants: np.ndarray
    values: np.ndarray
    columns: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "participants", np.asarray(self.participants, dtype=np.str_))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        if self.values.ndim != 2 or len(self.values) != len(self.participants):
            msg = f"feature table {self.name!r}: give one row per participant"
            raise StageError(msg)
        if len(np.unique(self.participants)) != len(self.participants):
            msg = f"feature table {self.name!r}: a participant has two rows; average them first"
            raise StageError(msg)

    def rows_of(self, participants: np.ndarray) -> np.ndarray:
        """Features of these participants in their order; NaN for those without a row."""
        position = {name: i for i, name in enumerate(self.participants.tolist())}
        found = np.array([position.get(name, -1) for name in participants.tolist()], dtype=np.int64)
        picked = np.full((len(found), self.values.shape[1]), np.nan)
        picked[found >= 0] = self.values[found[found >= 0]]
        return picked


def embedding_features(embeddings: Embeddings, name: str) -> FeatureTable:
    """Mean embedding of each participant."""
    names, means = embeddings.participant_means()
    return FeatureTable(name, names, means)


def mean_features(participants: np.ndarray) -> FeatureTable:
    """No features at all: the fitted mean, or the share of the positives."""
    return FeatureTable(MEAN, participants, np.empty((len(participants), 0)))


def demographic_features(
    labels: pd.DataFrame, columns: Sequence[str], *, without: str
) -> FeatureTable | None:
    """Demographics other than the target's own column.

    Numbers stay numbers; text becomes one column per category and, where some are missing, one
    that says so.

    Args:
        labels: Index pseudonyms, one column per label.
        columns: Label columns to use; absent ones are skipped, since not every source has them.
        without: The target's column, which would give the answer away.

    Returns:
        The table, or None when no column is left.
    """
    used = [name for name in columns if name in labels.columns and name != without]
    used = [name for name in used if labels[name].notna().any()]
    if not used:
        return None
    parts = [_encode(labels[name]) for name in used]
    table = pd.concat(parts, axis=1)
    return FeatureTable(
        DEMOGRAPHICS,
        labels.index.astype(str).to_numpy(),
        table.to_numpy(dtype=np.float64),
        tuple(map(str, table.columns)),
        note=", ".join(used),
    )


def _encode(column: pd.Series[Any]) -> pd.DataFrame:
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(np.float64).to_frame()
    missing = column.isna()
    categories = sorted(column[~missing].astype(str).unique())
    coded = {f"{column.name}={value}": column.astype(str) == value for value in categories}
    if missing.any():
        coded[f"{column.name}=missing"] = missing
    return pd.DataFrame(coded, index=column.index).astype(np.float64)
