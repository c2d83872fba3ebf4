"""Pipelines of a benchmark, a few at a time in processes of their own."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from medssl.files import replacing

Report = Callable[[str], None]
"""Called with a line of progress."""


@dataclass(frozen=True)
class Run:
    """What one arm with one seed left.

    Args:
        arm: Name of the arm.
        seed: Seed of pretraining.
        folders: Output folders, by stage.
        seconds: Time that pretraining took, when it was done.
        final: What the monitors measured last.
    """

    arm: str
    seed: int
    folders: dict[str, Path]
    seconds: float
    final: dict[str, float]


@dataclass(frozen=True)
class Job:
    """A pipeline to run."""

    arm: str
    seed: int
    path: Path


def prepare(pipeline: dict[str, Any], root: Path, *, workers: int) -> dict[str, Path]:
    """Ingest and reduce once, before many processes ask for it, and give their folders."""
    first = ("ingest", "reduce")
    stages = {name: pipeline["stages"][name] for name in first if name in pipeline["stages"]}
    stages["ingest"] = {**stages["ingest"], "workers": workers}
    path = write_pipeline({**pipeline, "stages": stages}, root / f"{pipeline['name']}.yaml")
    return _run_pipeline(path)[0]


def run_jobs(jobs: Sequence[Job], *, workers: int, report: Report) -> list[Run]:
    """Run pipelines in processes of their own, and give what they left in the order asked for."""
    found = {}
    started = time.monotonic()
    for done, run in enumerate(_in_processes(jobs, workers), start=1):
        found[run.arm, run.seed] = run
        minutes = (time.monotonic() - started) / 60
        report(f"{done} of {len(jobs)} runs, {run.arm}, seed {run.seed} ({minutes:.1f} min)")
    return [found[job.arm, job.seed] for job in jobs]


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[Run]:
    if workers == 1:
        yield from map(run_job, jobs)
        return
    # Forked children of a process that used OpenMP may hang: spawn.
    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread
    ) as pool:
        futures = [pool.submit(run_job, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def run_job(job: Job) -> Run:
    """Run one pipeline, in whichever process."""
    folders, manifests = _run_pipeline(job.path)
    made = manifests["pretrain"]
    return Run(job.arm, job.seed, folders, made["seconds"], made["summary"]["final"])


def _run_pipeline(path: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    from medssl.stages.base import MANIFEST
    from medssl.stages.pipeline import Pipeline

    folders = {step.stage: Path(step.folder) for step in Pipeline(path).run() if step.folder}
    manifests = {
        stage: json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for stage, folder in folders.items()
    }
    return {stage: folder.resolve() for stage, folder in folders.items()}, manifests


def write_pipeline(pipeline: dict[str, Any], path: Path) -> Path:
    """Write a pipeline file, and give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(pipeline, sort_keys=False), encoding="utf-8")
    return path
