"""Every arm with every seed, as runs of one pipeline; label curves on top of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medssl.bench.arms import Arm, slug
from medssl.bench.options import Options
from medssl.bench.parts import CurveConfig, Part
from medssl.bench.runs import Job, Report, Run, prepare, run_jobs, write_pipeline
from medssl.config import merge

Settings = Callable[[CurveConfig, Arm], dict[str, Any]]
"""What the finetune stage of a curve and an arm is told."""


def ingest_part(part: Part, options: Options, *, report: Report) -> dict[str, Path]:
    """Ingest and reduce once, and give the folders."""
    first = part.pipeline(name=part.name, root=options.root, seed=0)
    folders = prepare(first, options.root, workers=options.workers)
    report(f"{part.name}: ingested")
    return folders


def train_arms(part: Part, arms: Sequence[Arm], options: Options, *, report: Report) -> list[Run]:
    """Pretrain and embed every arm with every seed.

    Args:
        part: Whose data and settings.
        arms: What to compare.
        options: Seeds, steps, workers, and where outputs stand; finished runs are not repeated.
        report: Called as runs finish.

    Raises:
        StageError: An arm cannot be run.
    """
    jobs = []
    for seed in range(options.seeds):
        for arm in arms:
            name = f"{part.name}-{arm.slug}-{seed}"
            pipeline = part.pipeline(
                name=name, root=options.root, seed=seed, pretrain=_changes(arm, options)
            )
            path = write_pipeline(pipeline, options.root / "runs" / f"{name}.yaml")
            jobs.append(Job(arm.name, seed, path))
    return run_jobs(
        jobs, workers=options.workers, report=lambda line: report(f"{part.name}: {line}")
    )


def train_curves(
    part: Part, arms: Sequence[Arm], settings: Settings, options: Options, *, report: Report
) -> dict[str, dict[str, list[Path]]]:
    """Fine-tune arms for every label curve and seed; what pretraining left is used again.

    Args:
        part: Whose curves.
        arms: With their changes.
        settings: Of the finetune stage.
        options: As for `train_arms`.
        report: Called as runs finish.

    Returns:
        Output folders of the finetune stage, by target, arm and in the order of the seeds.
    """
    jobs = []
    for curve in part.config.curves:
        for arm in arms:
            for seed in range(options.seeds):
                name = f"{part.name}-curve-{slug(curve.target)}-{arm.slug}-{seed}"
                pipeline = part.pipeline(
                    name=name, root=options.root, seed=seed, pretrain=_changes(arm, options)
                )
                pipeline["stages"].pop("embed")
                pipeline["stages"]["finetune"] = settings(curve, arm)
                path = write_pipeline(pipeline, options.root / "runs" / f"{name}.yaml")
                jobs.append(Job(f"{curve.target}/{arm.name}", seed, path))
    done = run_jobs(
        jobs, workers=options.workers,
        report=lambda line: report(f"{part.name}, label curves: {line}"),
    )  # fmt: skip
    found: dict[str, dict[str, list[Path]]] = {}
    for run in done:
        target, _, arm_name = run.arm.rpartition("/")
        found.setdefault(target, {}).setdefault(arm_name, []).append(run.folders["finetune"])
    return found


def _changes(arm: Arm, options: Options) -> dict[str, Any]:
    steps = {} if options.steps is None else {"steps": options.steps}
    return merge(dict(arm.pretrain), steps)
