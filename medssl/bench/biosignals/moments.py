"""Cross-modal contrast of simultaneous signals: does PPG find the ECG of its moment?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from medssl.bench.runs import Job, prepare, run_jobs, write_pipeline
from medssl.bench.sources import fill_in
from medssl.bundle import load_encoder
from medssl.evaluation.cross_modal import Projector, moment_rankings
from medssl.evaluation.layers import load_head
from medssl.evaluation.retrieval_tables import Ranking, RetrievalRow, tabulate
from medssl.sampling.moments import Moments, match_moments
from medssl.sampling.splits import TRAIN, SplitConfig, assign_splits
from medssl.stages.ingest import store_folder
from medssl.stages.pretrain import BUNDLE, HEAD, PARTNER_BUNDLE, PARTNER_HEAD
from medssl.store import Store
from medssl.store.schema import PARTICIPANT

K = 5
UNTRAINED = "untrained"


@dataclass
class MomentsResult:
    """What cross-modal contrast gave.

    Args:
        title: As shown.
        rows: Recall at `K` of each form and task, mean over seeds.
        participants: Held-out participants.
        moments: Their moments.
        store_digest: Of the store.
    """

    title: str
    rows: list[tuple[str, RetrievalRow]] = field(default_factory=list)
    participants: int = 0
    moments: int = 0
    store_digest: str = ""


def run_moments(
    data: Path, root: Path, *, seeds: int, steps: int | None, workers: int,
    report: Callable[[str], None],
) -> MomentsResult:  # fmt: skip
    """Train every form of contrast, and look for the moments of held-out participants.

    Untrained encoders are trained for one step with a learning rate of next to nothing.

    Args:
        data: Folder with one folder for each data set.
        root: Where outputs stand.
        seeds: Seeds of each form.
        steps: Steps of each; None as the file says.
        workers: Processes that train.
        report: Called with lines of progress.
    """
    raw = load_moments(data)
    result = MomentsResult(raw["title"])
    prepare({**_common(raw, root), "name": "moments", "seed": 0}, root, workers=workers)
    jobs = _jobs(raw, root, seeds, steps)
    runs = run_jobs(jobs, workers=workers, report=lambda line: report(f"moments: {line}"))
    store = Store.open(store_folder(runs[0].folders["ingest"]))
    splits = assign_splits(store.participants, SplitConfig.model_validate(raw["split"]))
    moments = _held_out(store, splits)
    people = store.column(PARTICIPANT, moments.first)
    result.participants, result.moments = len(set(people.tolist())), len(moments)
    result.store_digest = store.digest
    by_form: dict[str, list[list[Ranking]]] = {}
    for run in runs:
        first, second = _projectors(run.folders["pretrain"])
        found = moment_rankings(first, second, store, moments, ks=(K,))
        by_form.setdefault(run.arm, []).append(found)
    for form, rankings in by_form.items():
        table = tabulate(_mean(rankings))
        result.rows += [(form, row) for row in table.rows if (row.metric, row.k) == ("recall", K)]
    return result


def load_moments(data: Path) -> dict[str, Any]:
    """Read the part's file and put the data folder in.

    Raises:
        StageError: The data set is not there.
    """
    text = resources.files(__package__).joinpath("moments.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    fill_in(raw["stages"]["ingest"]["sources"], data)
    return raw


def _common(raw: dict[str, Any], root: Path) -> dict[str, Any]:
    return {
        "root": str(root), "split": raw["split"], "tracking": {"enabled": False},
        "stages": raw["stages"],
    }  # fmt: skip


def _jobs(raw: dict[str, Any], root: Path, seeds: int, steps: int | None) -> list[Job]:
    jobs = []
    tried = [(form, steps) for form in raw["forms"]] + [(UNTRAINED, 1)]
    for seed in range(seeds):
        for form, count in tried:
            pretrain = {**raw["stages"]["pretrain"]}
            if form != UNTRAINED:
                pretrain["method"] = {**pretrain["method"], "form": form}
            if count is not None:
                pretrain["steps"] = count
                pretrain["optimiser"] = {**pretrain["optimiser"], "warmup_steps": 0}
            if form == UNTRAINED:
                pretrain["optimiser"] = {"learning_rate": 1e-12, "schedule": "constant"}
            slug = "".join(c if c.isalnum() else "_" for c in form)
            name = f"moments-{slug}-{seed}"
            pipeline = {**_common(raw, root), "name": name, "seed": seed}
            pipeline["stages"] = {**raw["stages"], "pretrain": pretrain}
            path = write_pipeline(pipeline, root / "runs" / f"{name}.yaml")
            jobs.append(Job(form, seed, path))
    return jobs


def _held_out(store: Store, splits: dict[str, str]) -> Moments:
    rows, others = (
        np.array(
            [
                row
                for row, name in zip(found, store.column(PARTICIPANT, found), strict=True)
                if splits[name] != TRAIN
            ],
            dtype=np.int64,
        )
        for found in (store.rows(modality="ppg"), store.rows(modality="ecg"))
    )
    return match_moments(store, rows, others)


def _projectors(folder: Path) -> tuple[Projector, Projector]:
    found = []
    for bundle, head in ((BUNDLE, HEAD), (PARTNER_BUNDLE, PARTNER_HEAD)):
        encoder = load_encoder(folder / bundle, device="cpu")
        found.append((encoder, load_head(folder / head, encoder.dim)))
    return found[0], found[1]


def _mean(seeds: Sequence[Sequence[Ranking]]) -> list[Ranking]:
    """Rankings whose values are means over seeds, query by query."""
    return [
        replace(same[0], values=np.mean([one.values for one in same], axis=0))
        for same in zip(*seeds, strict=True)
    ]
