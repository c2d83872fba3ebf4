"""What the stages of one run left, read when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.study_labels import study_labels
from medssl.files import digest_json, read_json
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.stages.audit import PAGE
from medssl.stages.base import PARTICIPANTS, Manifest
from medssl.stages.embed import EMBEDDINGS, LAYER, UNTRAINED
from medssl.stages.ingest import store_folder
from medssl.stages.pipeline import SPLITS
from medssl.stages.pretrain import BUNDLE
from medssl.stages.probe import PREDICTIONS, PROBES
from medssl.store import Store
from medssl.store.schema import ADDED, RECORD, presence
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.evaluation.predictions import Predictions

_METRICS: Final = "metrics.jsonl"
"""As `medssl.training.fit.METRICS`, whose module takes seconds to import."""


@dataclass(frozen=True, eq=False)
class RunOutputs:
    """What the stages of one run left; every part is read when it is first asked for.

    Use `open_run`. All of it may hold pseudonyms: keep it local.

    Args:
        name: What tables and figures call it.
        folders: Finished output folder of each stage that was found.
        manifests: What these folders say of themselves.
        roots: Where was looked.
        several: Stages of which several outputs belong to what was opened, with their folders.
    """

    name: str
    folders: Mapping[str, Path]
    manifests: Mapping[str, Manifest]
    roots: tuple[Path, ...] = ()
    several: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"RunOutputs({self.name!r}, stages: {', '.join(self.folders) or 'none'})"

    def folder(self, stage: str) -> Path:
        """Output folder of a stage.

        Raises:
            StageError: It was not found, or there are several.
        """
        if stage in self.folders:
            return self.folders[stage]
        if stage in self.several:
            shown = ", ".join(map(str, self.several[stage]))
            msg = f"{self.name} has {len(self.several[stage])} {stage} outputs: open one of {shown}"
            raise StageError(msg)
        looked = ", ".join(map(str, self.roots))
        msg = (
            f"{self.name} has no {stage} output below {looked}: run that stage, or name the folder "
            "that has it under roots"
        )
        raise StageError(msg)

    def summary(self, stage: str) -> Mapping[str, Any]:
        """The facts that a stage told when it was done."""
        self.folder(stage)
        return self._manifest(stage).summary

    def config(self, stage: str) -> Mapping[str, Any]:
        """The settings of a stage that can change its outputs."""
        self.folder(stage)
        found: Mapping[str, Any] = self._manifest(stage).parts.get("config", {})
        return found

    def _manifest(self, stage: str) -> Manifest:
        try:
            return self.manifests[stage]
        except KeyError:
            msg = f"{self.name}: no stage made {self.folders[stage]}, so its settings are not known"
            raise StageError(msg) from None

    @cached_property
    def store(self) -> Store:
        """The store."""
        return Store.open(store_folder(self.folder("ingest")))

    @cached_property
    def embeddings(self) -> Embeddings:
        """Of the trained encoder."""
        return Embeddings.read(self.folder("embed") / EMBEDDINGS)

    @cached_property
    def untrained(self) -> list[Embeddings]:
        """Of untrained encoders, one for each seed."""
        files = sorted(self.folder("embed").glob(UNTRAINED.format(seed="*")))
        return [Embeddings.read(file) for file in files]

    @cached_property
    def layers(self) -> dict[str, Embeddings]:
        """Of other layers of the trained encoder, by name of the layer."""
        files = sorted(self.folder("embed").glob(LAYER.format(number="*")))
        return {found.metadata["layer"]: found for found in map(Embeddings.read, files)}

    @cached_property
    def rows(self) -> Rows:
        """Row in the store of each embedded record, in the order of the embeddings."""
        return find_rows(self.store, self.embeddings.records)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Label columns of participants, by pseudonym."""
        frame = self.store.participants
        kept = [c for c in frame.columns if c != ADDED and not str(c).startswith(presence(""))]
        return frame[kept]

    @cached_property
    def record_labels(self) -> pd.DataFrame:
        """Label columns of embedded records, or of other records of their studies, by record."""
        return study_labels(self.store, self.rows)[0]

    @cached_property
    def splits(self) -> dict[str, str]:
        """Participant → `"train"`, `"validation"` or `"test"`, as the stages used it.

        Raises:
            StageError: No stage here knows of a split, or what a stratified one assigned is gone.
        """
        found = [m.parts["split"] for m in self.manifests.values() if "split" in m.parts]
        if not found:
            msg = f"{self.name}: no stage here knows of a split: run pretrain or embed"
            raise StageError(msg)
        # Stages of one chain share it: they are made from the same pipeline file.
        split = dict(found[-1])
        digest = split.pop("assigned", None)
        assigned = {} if digest is None else self._assigned(digest)
        return assign_splits(self.store.participants, SplitConfig(**split), previous=assigned)

    def _assigned(self, digest: str) -> dict[str, str]:
        """What a stratified split gave out, from the pipelines' files that remember it."""
        for root in self.roots:
            for file in sorted(root.glob(f"*/{SPLITS}")):
                assigned: dict[str, str] = read_json(file)["assigned"]
                if digest_json(assigned) == digest:
                    return assigned
        msg = (
            f"{self.name}: the stratified split of these outputs is in no */{SPLITS} any more: "
            "run the pipeline again"
        )
        raise StageError(msg)

    @cached_property
    def pretrained(self) -> list[str]:
        """Pseudonyms of the participants that the encoder was pretrained on."""
        stage = "embed" if "embed" in self.folders else "pretrain"
        path = self.folder(stage) / PARTICIPANTS
        if not path.is_file():
            msg = f"{path} is absent, so nobody knows whom the encoder saw: run {stage} again"
            raise StageError(msg)
        found: list[str] = read_json(path)
        return found

    @cached_property
    def _probes(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.folder("probe") / PROBES)
        return found

    @property
    def probes(self) -> pd.DataFrame:
        """One line per target, features and metric, with its interval."""
        return pd.DataFrame(self._probes["rows"])

    @property
    def differences(self) -> pd.DataFrame:
        """One line per paired difference of the encoder and what stands beside it."""
        return pd.DataFrame(self._probes["differences"])

    @property
    def notes(self) -> list[str]:
        """What a reader of the probe table should know."""
        return list(self._probes["notes"])

    @cached_property
    def predictions(self) -> dict[tuple[str, str], Predictions]:
        """Out-of-sample predictions by (target, features)."""
        from medssl.evaluation.predictions import read_predictions

        return read_predictions(self.folder("probe") / PREDICTIONS)

    @property
    def audit_page(self) -> Path:
        """The page for people."""
        return self.folder("audit") / PAGE

    @cached_property
    def audit(self) -> dict[str, Any]:
        """The audit's report, as in its JSON file."""
        found: dict[str, Any] = read_json(self.audit_page.with_suffix(".json"))
        return found

    @property
    def findings(self) -> pd.DataFrame:
        """The audit's findings, the worst first."""
        columns = ["severity", "audit", "title", "value", "low", "high", "n_participants", "advice"]
        return pd.DataFrame(self.audit["findings"], columns=columns)

    @property
    def bundle(self) -> Path:
        """Folder of the trained encoder, for `medssl.load_encoder`."""
        return self.folder("pretrain") / BUNDLE

    @cached_property
    def history(self) -> pd.DataFrame:
        """What training logged: one line per step, NaN where a number was not logged."""
        lines = pd.read_json(self.folder("pretrain") / _METRICS, lines=True)
        if lines.empty:
            return pd.DataFrame(index=pd.Index([], name="step"))
        # Losses and monitors of one step are logged on a line each.
        frame: pd.DataFrame = lines.groupby("step").last()
        return frame


def find_rows(store: Store, records: np.ndarray) -> Rows:
    """Row of each record in a store.

    Raises:
        StageError: A record is not in the store.
    """
    rows = pd.Index(store.column(RECORD)).get_indexer(pd.Index(records))
    absent = int((rows < 0).sum())
    if absent:
        msg = f"{absent} of {len(rows)} records are not in the store {store.path}: open its own"
        raise StageError(msg)
    return np.asarray(rows, dtype=np.int64)
