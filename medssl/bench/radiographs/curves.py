"""Label curves: ConVIRT and SimCLR fine-tuned and frozen, and the same network from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from medssl.bench.arms import Arm
from medssl.bench.points import SCRATCH, Point, score_points, together
from medssl.bench.radiographs.arms import BASE
from medssl.bench.radiographs.setting import CurveConfig, Part
from medssl.bench.runs import Job, write_pipeline
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.predictions import Predictions, read_predictions
from medssl.evaluation.targets import Target
from medssl.finetuning.curve import percent
from medssl.stages.finetune import PREDICTIONS

STARTS: Final = {"bundle": "fine-tuned", "frozen": "linear"}
CURVE_ARMS: Final = (BASE, "SimCLR")
"""Arms with a label curve; the first also runs from scratch."""


def curve_jobs(part: Part, arms: Sequence[Arm], seeds: int, root: Path) -> list[Job]:
    """A pipeline for each curve, arm and seed: what pretraining left is used again."""
    jobs = []
    for curve in part.config.curves:
        for arm in arms:
            for seed in range(seeds):
                slug = "".join(c if c.isalnum() else "_" for c in curve.target)
                name = f"{part.name}-curve-{slug}-{arm.slug}-{seed}"
                pipeline = part.pipeline(name=name, root=root, seed=seed, pretrain=arm.pretrain)
                pipeline["stages"].pop("embed")
                pipeline["stages"]["finetune"] = _settings(part, curve, scratch=arm.name == BASE)
                path = write_pipeline(pipeline, root / "runs" / f"{name}.yaml")
                jobs.append(Job(f"{curve.target}/{arm.name}", seed, path))
    return jobs


def _settings(part: Part, curve: CurveConfig, *, scratch: bool) -> dict[str, Any]:
    """The finetune stage of one curve and one seed."""
    target = next(t for t in part.targets if t["name"] == curve.target)
    starts = [*STARTS, *(["scratch"] if scratch else [])]
    return {
        "target": target, "fractions": list(curve.fractions), "seeds": 1, "steps": curve.steps,
        "start": starts, "warmup_steps": curve.steps // 6, "validate_every": 20, "patience": 6,
        "threads": 1, "bootstrap": 100,
    }  # fmt: skip


def score_curve(
    part: Part, curve: CurveConfig, folders: Mapping[str, Sequence[Path]]
) -> tuple[list[Point], list[str]]:
    """Score a curve over seeds, every model on the same test participants.

    Args:
        part: The part.
        curve: The curve.
        folders: Output folders of the finetune stage by arm, in the order of the seeds.

    Returns:
        Points, and notes on fractions that were left out.
    """
    target = Target.model_validate(next(t for t in part.targets if t["name"] == curve.target))
    metric = next(m for m in METRICS[target.kind] if m.name == part.config.metrics[curve.target])
    read = {arm: [read_predictions(f / PREDICTIONS) for f in own] for arm, own in folders.items()}
    points: list[Point] = []
    notes = []
    for fraction in curve.fractions:
        found: dict[str, Predictions] = {}
        for arm, seeds in read.items():
            names = {start: f"{arm}, {name}" for start, name in STARTS.items()}
            for start, name in {**names, "scratch": SCRATCH}.items():
                key = (curve.target, f"{start}, {percent(fraction)}")
                if all(key in one for one in seeds):
                    found[name] = together([one[key] for one in seeds])
        if SCRATCH in found:
            points += score_points(found, target=curve.target, metric=metric, fraction=fraction)
        else:
            notes.append(f"{curve.target}: too few labelled participants at {percent(fraction)}.")
    return points, notes
