"""Every arm with every seed, as runs of one pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medssl.bench.arms import Arm
from medssl.bench.biosignals.legs import Leg
from medssl.bench.runs import Job, Report, Run, run_jobs, write_pipeline


def train(
    leg: Leg, arms: Sequence[Arm], seeds: int, root: Path, *, workers: int, report: Report
) -> list[Run]:
    """Pretrain and embed every arm with every seed.

    Args:
        leg: Whose data and settings.
        arms: What to compare.
        seeds: Seeds of each arm.
        root: Where outputs stand; finished runs are not repeated.
        workers: Processes, each with one thread.
        report: Called as runs finish.

    Raises:
        StageError: An arm cannot be run.
    """
    jobs = []
    for seed in range(seeds):
        for arm in arms:
            name = f"{leg.name}-{arm.slug}-{seed}"
            pipeline = leg.pipeline(name=name, root=root, seed=seed, pretrain=arm.pretrain)
            path = write_pipeline(pipeline, root / "runs" / f"{name}.yaml")
            jobs.append(Job(arm.name, seed, path))
    return run_jobs(jobs, workers=workers, report=lambda line: report(f"{leg.name}: {line}"))
