"""Run the benchmark: write the corpus, ingest, train every arm, score, and write the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medssl.bench.arms import Arm, pick_arms
from medssl.bench.clock import Clock
from medssl.bench.radiographs.arms import BASE, IMAGES, TIP, arms, table_arms
from medssl.bench.radiographs.results import Options, PartResult
from medssl.bench.radiographs.setting import PARTS, Part, load_part
from medssl.bench.runs import Job, Report, Run, prepare, run_jobs, write_pipeline
from medssl.config import merge
from medssl.errors import StageError
from medssl.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

CORPUS_FACTS = "corpus.json"


def run_bench(options: Options, out: Path, *, report: Report) -> Path:
    """Run the parts and write page and figures.

    Args:
        options: What to run.
        out: The page, Markdown; figures and numbers stand beside it.
        report: Called with lines of progress.

    Returns:
        The page.

    Raises:
        StageError: The data are not there, or an arm cannot be run.
    """
    from medssl.bench.radiographs.figures import draw
    from medssl.bench.radiographs.page import numbers, render

    chosen = pick_arms(arms(), options.arms, always=(BASE,))
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        msg = f"there is no part {unknown[0]!r}: choose of {', '.join(PARTS)}"
        raise StageError(msg)
    options.root.mkdir(parents=True, exist_ok=True)
    corpus = options.root / "corpus"
    parts = {name: load_part(name, options.data, corpus) for name in PARTS if name in options.parts}
    results = {}
    if "labels" in parts:
        results["labels"] = _labels(parts["labels"], chosen, options, corpus, report)
    if "pairs" in parts:
        results["pairs"] = _pairs(parts["pairs"], options, report)
    if "tables" in parts:
        results["tables"] = _tables(parts["tables"], options, report)
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = draw(results, out)
    facts = {name: numbers(result) for name, result in results.items()}
    with replacing(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    with replacing(out) as temporary:
        temporary.write_text(render(results, options, pictures), encoding="utf-8")
    return out


def _train(
    part: Part, chosen: Sequence[Arm], options: Options, report: Report
) -> tuple[dict[str, Path], list[Run]]:
    """Ingest once, then pretrain and embed every arm with every seed."""
    steps = {} if options.steps is None else {"steps": options.steps}
    first = part.pipeline(name=part.name, root=options.root, seed=0)
    folders = prepare(first, options.root, workers=options.workers)
    report(f"{part.name}: ingested")
    jobs = []
    for seed in range(options.seeds):
        for arm in chosen:
            name = f"{part.name}-{arm.slug}-{seed}"
            pipeline = part.pipeline(
                name=name, root=options.root, seed=seed, pretrain=merge(dict(arm.pretrain), steps)
            )
            jobs.append(
                Job(
                    arm.name, seed, write_pipeline(pipeline, options.root / "runs" / f"{name}.yaml")
                )
            )
    runs = run_jobs(
        jobs, workers=options.workers, report=lambda line: report(f"{part.name}: {line}")
    )
    return folders, runs


def _labels(
    part: Part, chosen: Sequence[Arm], options: Options, corpus: Path, report: Report
) -> PartResult:
    """Label-matched pairs: linear probes, label curves, zero-shot, retrieval."""
    from medssl.bench.radiographs.corpus import shown_counts, write_corpus
    from medssl.sampling.splits import SplitConfig
    from medssl.store import Store

    result = PartResult(part.config.title, list(part.config.notes))
    clock = Clock(result.seconds, options.root / "labels-seconds.json")
    split = SplitConfig.model_validate(part.config.pipeline["split"])
    if not (corpus / CORPUS_FACTS).is_file():
        write_json(corpus / CORPUS_FACTS, write_corpus(options.data, corpus, split))
    result.notes[:0] = shown_counts(read_json(corpus / CORPUS_FACTS))
    clock.stop("corpus")
    folders, result.runs = _train(part, chosen, options, report)
    clock.took("pretraining", _seconds_of(result.runs, options))
    curves = _curves(part, chosen, options, report) if options.curves else {}
    clock.stop("label curves: training")
    store = _open(folders)
    splits = _describe(result, part, store, options)
    _score_labels(result, part, store, splits, options, report)
    _score_curves(result, part, curves)
    assert isinstance(store, Store)
    clock.stop("scoring")
    return result


def _seconds_of(runs: Sequence[Run], options: Options) -> float:
    """Seconds of all pretraining runs, shared by the workers: whenever and however often called."""
    return sum(run.seconds for run in runs) / options.workers


def _open(folders: Mapping[str, Path]) -> Store:
    from medssl.stages.ingest import store_folder
    from medssl.store import Store

    return Store.open(store_folder(folders["ingest"]))


def _describe(result: PartResult, part: Part, store: Store, options: Options) -> dict[str, str]:
    """Counts for the page; gives the splits."""
    from medssl.sampling.splits import SplitConfig, assign_splits
    from medssl.store.schema import PARTICIPANT

    splits = assign_splits(
        store.participants, SplitConfig.model_validate(part.config.pipeline["split"])
    )
    rows = store.rows(modality="radiograph")
    result.store_digest, result.images = store.digest, len(rows)
    result.reports = len(store.rows(modality="report"))
    result.steps = options.steps or int(part.config.pipeline["stages"]["pretrain"]["steps"])
    for name in set(store.column(PARTICIPANT, rows).tolist()):
        result.participants[splits[name]] = result.participants.get(splits[name], 0) + 1
    return splits


def _rows_of(store: Store, splits: Mapping[str, str], *names: str) -> Rows:
    """Images of participants of some splits."""
    import numpy as np

    from medssl.store.schema import PARTICIPANT

    rows = store.rows(modality="radiograph")
    wanted = [splits[name] in names for name in store.column(PARTICIPANT, rows).tolist()]
    found: Rows = rows[np.array(wanted, dtype=bool)]
    return found


def _score_labels(
    result: PartResult,
    part: Part,
    store: Store,
    splits: Mapping[str, str],
    options: Options,
    report: Report,
) -> None:
    from medssl.bench.radiographs.image_text import (
        hold_out,
        needs_the_image,
        project,
        score_retrieval,
        score_zero_shot,
    )
    from medssl.bench.radiographs.linear import baseline_tables, score_linear
    from medssl.bench.radiographs.maps import draw_maps
    from medssl.bench.radiographs.sentences import read_pools
    from medssl.bench.untrained import UNTRAINED_SEEDS, untrained_embeddings
    from medssl.bundle.names import BUNDLE
    from medssl.evaluation.baselines import UNTRAINED
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.evaluation.probes import ProbeConfig
    from medssl.sampling.splits import TEST, TRAIN
    from medssl.stages.embed import EMBEDDINGS

    rows = store.rows(modality="radiograph")
    held = hold_out(store, _rows_of(store, splits, TEST), read_pools(options.data)[TEST])
    fitted = _rows_of(store, splits, TRAIN)
    embeddings: dict[str, list[Embeddings]] = {}
    projections: dict[str, list[Any]] = {}
    groups = {arm.name: arm.group for arm in arms()}
    for run in result.runs:
        embedded = Embeddings.read(run.folders["embed"] / EMBEDDINGS)
        embeddings.setdefault(run.arm, []).append(embedded)
        if groups[run.arm] != IMAGES:
            model = ImageTextModel.load(run.folders["pretrain"], device="cpu")
            projections.setdefault(run.arm, []).append(project(model, held))
            if run.arm == BASE and run.seed == 0:
                result.image_use["Effusion"] = needs_the_image(model, held, "Effusion")
                result.maps = draw_maps(model, held, options.root / "maps")
    _false_negatives(result)
    report("labels: baselines")
    bundle = result.runs[0].folders["pretrain"] / BUNDLE
    untrained = untrained_embeddings(store, rows, fitted, bundle, seeds=UNTRAINED_SEEDS)
    embeddings[UNTRAINED] = list(untrained)
    report("labels: scores")
    probe = ProbeConfig.model_validate(part.config.pipeline["stages"]["probe"])
    trained = [name for name, split in splits.items() if split == TRAIN]
    result.linear, notes = score_linear(
        store, embeddings, baseline_tables(store, rows), probe, part.config.metrics, splits,
        pretraining=trained,
    )  # fmt: skip
    result.notes += notes
    result.zero_shot = score_zero_shot(held, projections)
    places = {name: place for place, name in enumerate(embeddings[BASE][0].records.tolist())}
    wanted = [places[name] for name in held.store.column("record", held.rows).tolist()]
    alone = {
        name: [one.values[wanted] for one in seeds]
        for name, seeds in embeddings.items()
        if name not in projections
    }
    result.retrieval = score_retrieval(held, projections, alone)


def _false_negatives(result: PartResult) -> None:
    """Mean over the logged steps and seeds, by arm."""
    from medssl.training.monitors import METRICS

    found: dict[str, list[float]] = {}
    for run in result.runs:
        lines = (run.folders["pretrain"] / METRICS).read_text(encoding="utf-8").splitlines()
        rates = [json.loads(line).get("train/false_negatives") for line in lines]
        found.setdefault(run.arm, []).extend(rate for rate in rates if rate is not None)
    result.false_negatives = {arm: sum(rates) / len(rates) for arm, rates in found.items() if rates}


def _curves(
    part: Part, chosen: Sequence[Arm], options: Options, report: Report
) -> dict[str, dict[str, list[Path]]]:
    """Output folders of the finetune stage, by target, arm and in the order of the seeds."""
    from medssl.bench.radiographs.curves import CURVE_ARMS, curve_jobs

    steps = {} if options.steps is None else {"steps": options.steps}
    drawn = [
        Arm(name=arm.name, group=arm.group, pretrain=merge(dict(arm.pretrain), steps))
        for arm in chosen
        if arm.name in CURVE_ARMS
    ]
    done = run_jobs(
        curve_jobs(part, drawn, options.seeds, options.root), workers=options.workers,
        report=lambda line: report(f"label curves: {line}"),
    )  # fmt: skip
    found: dict[str, dict[str, list[Path]]] = {}
    for run in done:
        target, _, arm = run.arm.rpartition("/")
        found.setdefault(target, {}).setdefault(arm, []).append(run.folders["finetune"])
    return found


def _score_curves(
    result: PartResult, part: Part, curves: Mapping[str, Mapping[str, Sequence[Path]]]
) -> None:
    from medssl.bench.radiographs.curves import score_curve

    for curve in part.config.curves:
        if curve.target in curves:
            points, notes = score_curve(part, curve, curves[curve.target])
            result.points += points
            result.notes += notes


def _pairs(part: Part, options: Options, report: Report) -> PartResult:
    """True pairs: does an image of somebody new find its text?"""
    from medssl.bench.radiographs.true_pairs import TruePairs, needs_the_image, score_pairs
    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.sampling.splits import TEST
    from medssl.sampling.studies import match_studies

    result = PartResult(part.config.title, list(part.config.notes))
    clock = Clock(result.seconds, options.root / "pairs-seconds.json")
    base = Arm(name=BASE, group="")
    folders, result.runs = _train(part, [base], options, report)
    clock.took("pretraining", _seconds_of(result.runs, options))
    store = _open(folders)
    splits = _describe(result, part, store, options)
    pairs = match_studies(store, _rows_of(store, splits, TEST), store.rows(modality="report"))
    held = TruePairs(store, pairs)
    models = [ImageTextModel.load(run.folders["pretrain"], device="cpu") for run in result.runs]
    result.retrieval = score_pairs(held, models)
    result.image_use["which text"] = needs_the_image(held, models[0])
    _false_negatives(result)
    clock.stop("scoring")
    return result


def _tables(part: Part, options: Options, report: Report) -> PartResult:
    """Images with laboratory values: TIP beside image-only pretraining."""
    from medssl.bench.radiographs.linear import baseline_tables, score_linear
    from medssl.bench.untrained import UNTRAINED_SEEDS, untrained_embeddings
    from medssl.bundle.names import BUNDLE
    from medssl.evaluation.baselines import UNTRAINED
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.probes import ProbeConfig
    from medssl.sampling.splits import TRAIN
    from medssl.stages.embed import EMBEDDINGS

    result = PartResult(part.config.title, list(part.config.notes))
    clock = Clock(result.seconds, options.root / "tables-seconds.json")
    chosen = table_arms()
    folders, result.runs = _train(part, chosen, options, report)
    clock.took("pretraining", _seconds_of(result.runs, options))
    store = _open(folders)
    splits = _describe(result, part, store, options)
    embeddings: dict[str, list[Embeddings]] = {}
    for run in result.runs:
        embedded = Embeddings.read(run.folders["embed"] / EMBEDDINGS)
        embeddings.setdefault(run.arm, []).append(embedded)
    rows = store.rows(modality="radiograph")
    bundle = result.runs[0].folders["pretrain"] / BUNDLE
    embeddings[UNTRAINED] = list(
        untrained_embeddings(
            store, rows, _rows_of(store, splits, TRAIN), bundle, seeds=UNTRAINED_SEEDS
        )
    )
    probe = ProbeConfig.model_validate(part.config.pipeline["stages"]["probe"])
    result.linear, notes = score_linear(
        store, embeddings, baseline_tables(store, rows), probe, part.config.metrics, splits,
        pretraining=[name for name, split in splits.items() if split == TRAIN], base=TIP,
    )  # fmt: skip
    result.notes += notes
    clock.stop("scoring")
    return result
