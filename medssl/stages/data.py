"""Which records of a store a stage works on: modality, selection, split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medssl.errors import StageError
from medssl.files import read_json
from medssl.reduction.selection import Selection
from medssl.sampling.splits import SPLITS, TRAIN, assign_splits, check_disjoint
from medssl.stages.base import PARTICIPANTS, Context
from medssl.stages.ingest import store_folder
from medssl.stages.reduce import SELECTION
from medssl.store import Store
from medssl.store.schema import PARTICIPANT
from medssl.types import Rows


@dataclass(frozen=True)
class Corpus:
    """The kept records of one modality, with the split of every participant."""

    store: Store
    modality: str
    rows: Rows
    participants: np.ndarray
    """Participant of each row."""
    splits: dict[str, str]
    """Split of each participant of the store."""

    def of(self, *names: str) -> Rows:
        """Rows of participants of these splits."""
        wanted = np.array([self.splits[p] in names for p in self.participants], dtype=bool)
        return np.asarray(self.rows[wanted])

    def counts(self) -> dict[str, int]:
        """Participants with records, by split."""
        present = set(self.participants)
        return {name: sum(self.splits[p] == name for p in present) for name in SPLITS}


def read_pretraining(folder: Path, splits: Mapping[str, str]) -> list[str]:
    """Whom the encoder was pretrained on, as `pretrain` and `embed` leave it in their outputs.

    Raises:
        LeakageError: Some of them are in validation or test here.
    """
    if not (folder / PARTICIPANTS).is_file():
        msg = f"{folder} does not say whom the encoder was pretrained on: run pretrain again"
        raise StageError(msg)
    trained: list[str] = read_json(folder / PARTICIPANTS)
    held_out = [name for name, split in splits.items() if split != TRAIN]
    check_disjoint("pretraining and validation or test", trained, held_out)
    return trained


def open_corpus(context: Context, modality: str) -> Corpus:
    """Open what `ingest` and `reduce` left.

    Raises:
        StageError: The store holds no record of the modality, or none is kept.
    """
    store = Store.open(store_folder(context.inputs["ingest"]))
    rows = store.rows(modality=modality)
    if len(rows) == 0:
        there = sorted(set(store.column("modality")))
        msg = f"the store holds no {modality} record; it holds: {', '.join(there)}"
        raise StageError(msg)
    if "reduce" in context.inputs:
        rows = Selection.read(context.inputs["reduce"] / SELECTION).rows(store, rows)
        if len(rows) == 0:
            msg = f"the selection keeps no {modality} record: loosen the reduce stage"
            raise StageError(msg)
    return Corpus(
        store, modality, rows, store.column(PARTICIPANT, rows),
        assign_splits(store.participants, context.split, previous=context.assigned),
    )  # fmt: skip
