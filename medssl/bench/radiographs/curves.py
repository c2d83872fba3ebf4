"""Label curves: ConVIRT and SimCLR fine-tuned and frozen, and the same network from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from medssl.bench.arms import Arm
from medssl.bench.parts import CurveConfig, Part
from medssl.bench.points import SCRATCH, Point, score_fractions, together
from medssl.bench.radiographs.arms import BASE
from medssl.evaluation.predictions import Predictions, read_predictions
from medssl.finetuning.curve import percent
from medssl.stages.finetune import PREDICTIONS

STARTS: Final = {"bundle": "fine-tuned", "frozen": "linear"}
CURVE_ARMS: Final = (BASE, "SimCLR")
"""Arms with a label curve; the first also runs from scratch."""


def finetune_settings(part: Part, curve: CurveConfig, arm: Arm) -> dict[str, Any]:
    """The finetune stage of one curve and one seed."""
    starts = [*STARTS, *(["scratch"] if arm.name == BASE else [])]
    return {
        "target": part.target(curve.target).model_dump(mode="json", exclude_defaults=True),
        "fractions": list(curve.fractions), "seeds": 1, "steps": curve.steps, "start": starts,
        "warmup_steps": curve.steps // 6, "validate_every": 20, "patience": 6, "threads": 1,
        "bootstrap": 100,
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
    read = {arm: [read_predictions(f / PREDICTIONS) for f in own] for arm, own in folders.items()}

    def predicted(fraction: float) -> dict[str, Predictions]:
        found: dict[str, Predictions] = {}
        for arm, seeds in read.items():
            names = {start: f"{arm}, {name}" for start, name in STARTS.items()}
            for start, name in {**names, "scratch": SCRATCH}.items():
                key = (curve.target, f"{start}, {percent(fraction)}")
                if all(key in one for one in seeds):
                    found[name] = together([one[key] for one in seeds])
        return found

    return score_fractions(part, curve, predicted)
