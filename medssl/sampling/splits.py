"""Splits over participants that nobody leaves when data are added."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import Field, model_validator

from medssl.config import StrictModel
from medssl.errors import ConfigError, LeakageError
from medssl.store.schema import ADDED

if TYPE_CHECKING:
    import pandas as pd

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VALIDATION, TEST)


class SplitConfig(StrictModel):
    """Fractions of the participants that go to each split.

    Without `stratify_by` a participant's split is a function of the salt and its pseudonym alone.
    With it, participants are dealt out in the order in which the store first saw them, each to the
    split that its stratum lacks most: those who came earlier keep their place for ever.
    """

    salt: str = Field("medssl", description="another salt gives another split")
    train: float = Field(0.8, ge=0, le=1)
    validation: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)
    stratify_by: tuple[str, ...] = Field(
        (), description="label columns to balance; numbers are taken in bins of ten"
    )

    @model_validator(mode="after")
    def _sums_to_one(self) -> SplitConfig:
        total = sum(self.fractions)
        if abs(total - 1) > 1e-9:
            msg = f"train + validation + test must be 1, not {total:g}"
            raise ValueError(msg)
        return self

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Fractions in the order of `SPLITS`."""
        return (self.train, self.validation, self.test)


def salted_uniform(salt: str, participant: str) -> float:
    """A number in [0, 1) that depends on the salt and the participant alone.

    >>> salted_uniform("a", "p1") == salted_uniform("a", "p1") != salted_uniform("b", "p1")
    True
    """
    digest = hashlib.blake2b(participant.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def assign_splits(participants: pd.DataFrame, config: SplitConfig) -> dict[str, str]:
    """Give every participant one split.

    Args:
        participants: A store's participants table: index pseudonyms, a column `added`, labels.
        config: Fractions, salt and strata.

    Returns:
        Participant → `"train"`, `"validation"` or `"test"`.

    Raises:
        ConfigError: A column of `stratify_by` is not in the table.
    """
    names = [str(name) for name in participants.index]
    uniforms = {name: salted_uniform(config.salt, name) for name in names}
    if not config.stratify_by:
        edges = np.cumsum(config.fractions)
        return {
            name: SPLITS[min(int(np.searchsorted(edges, u, side="right")), 2)]
            for name, u in uniforms.items()
        }
    strata = _strata(participants, config.stratify_by)
    order = sorted(
        range(len(names)), key=lambda i: (int(participants[ADDED].iloc[i]), uniforms[names[i]])
    )
    counts: dict[str, list[int]] = {}
    splits: dict[str, str] = {}
    for i in order:
        count = counts.setdefault(strata[i], [0, 0, 0])
        size = sum(count) + 1
        lacks = [f * size - c for f, c in zip(config.fractions, count, strict=True)]
        chosen = int(np.argmax(lacks))
        count[chosen] += 1
        splits[names[i]] = SPLITS[chosen]
    return splits


def _strata(participants: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    absent = [column for column in columns if column not in participants.columns]
    if absent:
        known = ", ".join(map(str, participants.columns))
        msg = f"split.stratify_by: no label column {absent[0]!r} in the store; known: {known}"
        raise ConfigError(msg)
    return ["|".join(_bin(value) for value in row) for row in participants[list(columns)].values]


def _bin(value: object) -> str:
    if value is None or value != value:
        return "missing"
    if isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_):
        return str(int(float(value) // 10))
    return str(value)


def check_disjoint(boundary: str, left: Collection[str], right: Collection[str]) -> None:
    """Refuse participants that stand on both sides of a boundary.

    Raises:
        LeakageError: Names the participants.

    >>> check_disjoint("train and test", ["p1"], ["p2"])
    """
    shared = set(left) & set(right)
    if shared:
        raise LeakageError(shared, boundary)
