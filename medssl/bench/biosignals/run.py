"""Run the benchmark: ingest, train every arm, draw label curves, score, and write the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medssl.bench.arms import Arm
from medssl.bench.biosignals.arms import BASE, choose_arms
from medssl.bench.biosignals.legs import LEGS, MOMENTS, load_leg
from medssl.bench.biosignals.results import LegResult
from medssl.bench.clock import Clock
from medssl.bench.options import Options
from medssl.bench.parts import Part
from medssl.bench.runs import Report
from medssl.bench.training import ingest_part, train_arms, train_curves
from medssl.config import merge
from medssl.errors import StageError


def run_leg(name: str, options: Options, *, report: Report) -> LegResult:
    """Run one leg from raw files to scores.

    Args:
        name: Which leg.
        options: What to run.
        report: Called with lines of progress.

    Raises:
        StageError: The data are not there, or an arm cannot be run.
    """
    from medssl.bench.biosignals.curves import finetune_settings

    leg = load_leg(name, options.data)
    chosen = [_tuned(arm, leg) for arm in choose_arms(options.arms)]
    result = LegResult(leg)
    clock = Clock(result.seconds, options.root / f"{name}-seconds.json")
    folders = ingest_part(leg, options, report=report)
    clock.stop("ingest")
    result.runs = train_arms(leg, chosen, options, report=report)
    clock.stop("pretraining and embedding")
    curves = {}
    if options.curves:
        curves = train_curves(
            leg, chosen[:1], lambda curve, _: finetune_settings(leg, curve), options, report=report
        )
    clock.stop("label curves: training")
    _score(result, folders, curves, report)
    clock.stop("scoring")
    return result


def _tuned(arm: Arm, leg: Part) -> Arm:
    changes = leg.config.tuned.get(arm.name, {})
    return replace(arm, pretrain=merge(dict(arm.pretrain), changes))


def _score(
    result: LegResult,
    folders: Mapping[str, Path],
    curves: Mapping[str, Mapping[str, Sequence[Path]]],
    report: Report,
) -> None:
    from medssl.bench.biosignals.curves import score_curve
    from medssl.bench.biosignals.minirocket import beside_probes
    from medssl.bench.biosignals.orderings import judge
    from medssl.bench.biosignals.ranks import measure
    from medssl.bench.linear import score_linear
    from medssl.bench.untrained import UNTRAINED_SEEDS, untrained_embeddings
    from medssl.evaluation.baselines import UNTRAINED, mean_features
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.heart_rate_variability import heart_rate_variability_features
    from medssl.evaluation.minirocket import minirocket_features
    from medssl.evaluation.store_features import store_features
    from medssl.reduction.selection import Selection
    from medssl.sampling.splits import TRAIN
    from medssl.stages.embed import EMBEDDINGS
    from medssl.stages.ingest import store_folder
    from medssl.stages.pretrain import BUNDLE
    from medssl.stages.reduce import SELECTION
    from medssl.store import Store
    from medssl.store.schema import PARTICIPANT
    from medssl.types import Modality

    leg = result.leg
    store = Store.open(store_folder(folders["ingest"]))
    modality = leg.config.pipeline["stages"]["pretrain"]["modality"]
    rows = Selection.read(folders["reduce"] / SELECTION).rows(store, store.rows(modality=modality))
    splits = leg.splits(store)
    people = set(store.column(PARTICIPANT, rows).tolist())
    result.store_digest, result.records = store.digest, len(rows)
    for name in people:
        result.participants[splits[name]] = result.participants.get(splits[name], 0) + 1
    embeddings: dict[str, list[Embeddings]] = {}
    for run in result.runs:
        embeddings.setdefault(run.arm, []).append(
            Embeddings.read(run.folders["embed"] / EMBEDDINGS)
        )
    fit_rows = rows[[splits[p] == TRAIN for p in store.column(PARTICIPANT, rows)]]
    base_bundle = result.runs[0].folders["pretrain"] / BUNDLE
    report(f"{leg.name}: baselines")
    untrained = untrained_embeddings(store, rows, fit_rows, base_bundle, seeds=UNTRAINED_SEEDS)
    tables = [
        *store_features(store, rows, each_record=True),
        heart_rate_variability_features(store, rows, modality=Modality(modality)),
        mean_features(store.column(PARTICIPANT, rows)),
    ]
    rocket = minirocket_features(store, rows, fit_rows=fit_rows, seed=0)
    report(f"{leg.name}: scores")
    result.scores, result.notes = score_linear(
        leg, store, {**embeddings, UNTRAINED: untrained}, tables, base=BASE,
        further=beside_probes(rocket, leg.probe),
    )  # fmt: skip
    held_out = [name for name in people if splits[name] != TRAIN]
    result.geometry = measure({**embeddings, UNTRAINED: untrained}, held_out)
    result.orderings = judge(result.scores, result.geometry)
    for curve in leg.config.curves:
        if curve.target in curves:
            points, notes = score_curve(store, rows, leg, curve, curves[curve.target][BASE], rocket)
            result.points += points
            result.notes += notes


def tune_bench(legs: Sequence[str], options: Options, *, report: Report) -> None:
    """Try learning rates for every arm on validation participants, and report the tables.

    Args:
        legs: Which.
        options: What to run; one seed is used.
        report: Called with lines of progress, and with a table for each leg.
    """
    from medssl.bench.biosignals.tune import tune

    chosen = [name for name in LEGS if name in legs]
    if not chosen:
        msg = f"nothing is tuned for {', '.join(legs)}: choose of {', '.join(LEGS)}"
        raise StageError(msg)
    for name in chosen:
        leg = load_leg(name, options.data)
        table = tune(leg, choose_arms(options.arms), options, report=report)
        report(table.round(3).to_string(index=False))


def run_bench(legs: Sequence[str], options: Options, out: Path, *, report: Report) -> Path:
    """Run the legs and write page and figures.

    Args:
        legs: Which.
        options: What to run.
        out: The page, Markdown; figures and numbers stand beside it.
        report: Called with lines of progress.

    Returns:
        The page.

    Raises:
        StageError: The data are not there, or an arm cannot be run.
    """
    from medssl.bench.biosignals.figures import draw
    from medssl.bench.biosignals.moments import load_moments, run_moments
    from medssl.bench.biosignals.page import moment_numbers, numbers, render
    from medssl.files import replacing

    # What is missing is said at once, not after the hours of the legs before it.
    choose_arms(options.arms)
    for name in LEGS:
        if name in legs:
            load_leg(name, options.data)
    if MOMENTS in legs:
        load_moments(options.data)
    results = [run_leg(name, options, report=report) for name in LEGS if name in legs]
    moments = None
    if MOMENTS in legs:
        moments = run_moments(
            options.data, options.root, seeds=options.seeds, steps=options.steps,
            workers=options.workers, report=report,
        )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = [path for result in results for path in draw(result, out)]
    facts: dict[str, Any] = {result.leg.name: numbers(result) for result in results}
    if moments is not None:
        facts[MOMENTS] = moment_numbers(moments)
    with replacing(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    with replacing(out) as temporary:
        temporary.write_text(render(results, options, pictures, moments), encoding="utf-8")
    return out
