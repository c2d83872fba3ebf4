"""Label curves of the published recipe: fine-tuned, frozen, from scratch, and MiniRocket."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medssl.bench.biosignals.minirocket import MINIROCKET, on_a_curve
from medssl.bench.parts import CurveConfig, Part
from medssl.bench.points import NAMES, Point, score_fractions, together
from medssl.evaluation.baselines import FeatureTable
from medssl.evaluation.predictions import Predictions, read_predictions
from medssl.finetuning.config import FinetuneConfig
from medssl.finetuning.curve import percent
from medssl.stages.finetune import PREDICTIONS
from medssl.store import Store


def finetune_settings(part: Part, curve: CurveConfig) -> dict[str, Any]:
    """The finetune stage of one curve and one seed."""
    target = part.target(curve.target).model_dump(mode="json", exclude_defaults=True)
    return {
        "target": target, "fractions": list(curve.fractions), "seeds": 1, "steps": curve.steps,
        "warmup_steps": curve.steps // 5, "validate_every": 15, "patience": 6, "threads": 1,
        "bootstrap": 100,
    }  # fmt: skip


def score_curve(
    store: Store,
    rows: np.ndarray,
    part: Part,
    curve: CurveConfig,
    folders: Sequence[Path],
    rocket: FeatureTable,
) -> tuple[list[Point], list[str]]:
    """Score a curve over seeds, every model on the same test participants.

    Args:
        store: Where labels and records are.
        rows: Records that may be used.
        part: The leg.
        curve: The curve.
        folders: Output folders of the finetune stage, by seed.
        rocket: MiniRocket features of the records.

    Returns:
        Points, and notes on fractions that were left out.
    """
    seeds = [read_predictions(folder / PREDICTIONS) for folder in folders]
    settings = FinetuneConfig.model_validate(finetune_settings(part, curve))
    classical = on_a_curve(rocket, store, rows, part, curve, settings, len(folders))

    def predicted(fraction: float) -> dict[str, Predictions]:
        share = percent(fraction)
        found = {
            name: together([one[curve.target, f"{start}, {share}"] for one in seeds])
            for start, name in NAMES.items()
            if all((curve.target, f"{start}, {share}") in one for one in seeds)
        }
        if found:
            found[MINIROCKET] = together([one[fraction] for one in classical])
        return found

    return score_fractions(part, curve, predicted)
