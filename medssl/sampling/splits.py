"""Splits over participants that nobody leaves when data are added."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
_GOLDEN: Final = 0.6180339887498949


class SplitConfig(StrictModel):
    """Fractions of the participants that go to each split.

    Without `stratify_by` a participant's split is a function of the salt and its pseudonym alone.
    With it, the members of each stratum are dealt out evenly, and who has been dealt keeps the
    place: a pipeline remembers what it assigned (`ROOT/PIPELINE/splits.json`).
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


def assign_splits(
    participants: pd.DataFrame, config: SplitConfig, *, previous: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give every participant one split.

    The n-th member of a stratum gets the split that (u + n·φ) mod 1 falls in, with the golden
    ratio φ and a u that depends on salt and stratum: even inside the stratum, and unbiased for
    strata of one.

    Args:
        participants: A store's participants table: index pseudonyms, a column `added`, labels.
        config: Fractions, salt and strata.
        previous: Stratified: earlier assignments, which are kept.

    Returns:
        Participant → `"train"`, `"validation"` or `"test"`.

    Raises:
        ConfigError: A column of `stratify_by` is not in the table.
    """
    names = [str(name) for name in participants.index]
    uniforms = {name: salted_uniform(config.salt, name) for name in names}
    if not config.stratify_by:
        return {name: _split_of(u, config) for name, u in uniforms.items()}
    strata = dict(zip(names, _strata(participants, config.stratify_by), strict=True))
    splits = {name: split for name, split in (previous or {}).items() if name in strata}
    dealt = Counter(strata[name] for name in splits)
    added = dict(zip(names, participants[ADDED].tolist(), strict=True))
    for name in sorted(set(names) - set(splits), key=lambda n: (added[n], uniforms[n])):
        stratum = strata[name]
        start = salted_uniform(config.salt, f"stratum {stratum}")
        splits[name] = _split_of((start + dealt[stratum] * _GOLDEN) % 1.0, config)
        dealt[stratum] += 1
    return {name: splits[name] for name in names}


def _split_of(u: float, config: SplitConfig) -> str:
    """The split whose share of [0, 1) holds u."""
    edges = np.cumsum(config.fractions)
    return SPLITS[min(int(np.searchsorted(edges, u, side="right")), 2)]


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
