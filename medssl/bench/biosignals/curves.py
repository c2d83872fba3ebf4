"""Label curves of the published recipe: fine-tuned, frozen, from scratch, and MiniRocket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medssl.bench.arms import Arm
from medssl.bench.biosignals.legs import CurveConfig, Leg
from medssl.bench.biosignals.scores import MINIROCKET
from medssl.bench.points import NAMES, Point, score_points, together
from medssl.bench.runs import Job, write_pipeline
from medssl.evaluation.baselines import FeatureTable
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.minirocket import ridge_config
from medssl.evaluation.predictions import Predictions, read_predictions
from medssl.evaluation.probes import ProbeConfig, holdout
from medssl.evaluation.targets import Target
from medssl.finetuning.config import FinetuneConfig
from medssl.finetuning.curve import percent
from medssl.finetuning.finetune import choose_subsets
from medssl.finetuning.units import LabelledUnits, label_units, split_units
from medssl.sampling.splits import TEST, TRAIN
from medssl.stages.finetune import PREDICTIONS
from medssl.store import Store
from medssl.store.schema import RECORD


def curve_jobs(leg: Leg, arm: Arm, seeds: int, root: Path) -> list[Job]:
    """A pipeline for each curve and seed: what pretraining left is used again."""
    jobs = []
    for curve in leg.config.curves:
        for seed in range(seeds):
            slug = "".join(c if c.isalnum() else "_" for c in curve.target)
            name = f"{leg.name}-curve-{slug}-{seed}"
            pipeline = leg.pipeline(name=name, root=root, seed=seed, pretrain=arm.pretrain)
            pipeline["stages"].pop("embed")
            pipeline["stages"]["finetune"] = finetune_settings(leg, curve)
            path = write_pipeline(pipeline, root / "runs" / f"{name}.yaml")
            jobs.append(Job(curve.target, seed, path))
    return jobs


def finetune_settings(leg: Leg, curve: CurveConfig) -> dict[str, Any]:
    """The finetune stage of one curve and one seed."""
    target = next(t for t in leg.targets if t["name"] == curve.target)
    return {
        "target": target, "fractions": list(curve.fractions), "seeds": 1, "steps": curve.steps,
        "warmup_steps": curve.steps // 5, "validate_every": 15, "patience": 6, "threads": 1,
        "bootstrap": 100,
    }  # fmt: skip


def score_curve(
    store: Store,
    rows: np.ndarray,
    splits: Mapping[str, str],
    leg: Leg,
    curve: CurveConfig,
    folders: Sequence[Path],
    rocket: FeatureTable,
) -> tuple[list[Point], list[str]]:
    """Score a curve over seeds, every model on the same test participants.

    Args:
        store: Where labels and records are.
        rows: Records that may be used.
        splits: Participant → split.
        leg: The leg.
        curve: The curve.
        folders: Output folders of the finetune stage, by seed.
        rocket: MiniRocket features of the records.

    Returns:
        Points, and notes on fractions that were left out.
    """
    seeds = [read_predictions(folder / PREDICTIONS) for folder in folders]
    target = Target.model_validate(next(t for t in leg.targets if t["name"] == curve.target))
    metric = next(m for m in METRICS[target.kind] if m.name == leg.config.metrics[curve.target])
    classical = _minirocket(rocket, store, rows, splits, leg, curve, target, len(folders))
    points, notes = [], []
    for fraction in curve.fractions:
        share = percent(fraction)
        found = {
            name: together([one[curve.target, f"{start}, {share}"] for one in seeds])
            for start, name in NAMES.items()
            if all((curve.target, f"{start}, {share}") in one for one in seeds)
        }
        if not found:
            notes.append(f"{curve.target}: too few labelled participants at {share}.")
            continue
        found[MINIROCKET] = together([one[fraction] for one in classical])
        points += score_points(found, target=curve.target, metric=metric, fraction=fraction)
    return points, notes


def _minirocket(
    rocket: FeatureTable,
    store: Store,
    rows: np.ndarray,
    splits: Mapping[str, str],
    leg: Leg,
    curve: CurveConfig,
    target: Target,
    seeds: int,
) -> list[dict[float, Predictions]]:
    """MiniRocket and ridge on the same labelled participants as the networks, by seed.

    The features are the same for every seed; their biases are quantiles over all training
    participants, which needs no labels.
    """
    parts = split_units(label_units(store, rows, target), splits)
    config = ridge_config(ProbeConfig(targets=(target,)))
    settings = FinetuneConfig.model_validate(finetune_settings(leg, curve))
    scored = _means(parts[TEST], rocket, store)
    found = []
    for seed in range(seeds):
        subsets, _ = choose_subsets(parts[TRAIN], settings, seed=seed)
        predictions = {}
        for fraction, units in subsets.items():
            fit = (_means(units[0], rocket, store), units[0].values, units[0].participants)
            made = holdout(
                fit, (scored, parts[TEST].values, parts[TEST].participants),
                kind=target.kind, config=config, classes=len(parts[TEST].classes),
            )  # fmt: skip
            predictions[fraction] = replace(made, units=parts[TEST].names)
        found.append(predictions)
    return found


def _means(units: LabelledUnits, table: FeatureTable, store: Store) -> np.ndarray:
    """Mean features of each unit's records, shape (units, features)."""
    values = table.rows(store.column(RECORD, units.rows).astype(np.str_))
    sums = np.add.reduceat(values, units.offsets[:-1], axis=0, dtype=np.float64)
    return np.asarray(sums / units.counts[:, None])
