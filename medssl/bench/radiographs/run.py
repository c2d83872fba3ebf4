"""Run the benchmark: write the corpus, ingest, train every arm, score, and write the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medssl.bench.arms import Arm, pick_arms
from medssl.bench.clock import Clock
from medssl.bench.options import Options
from medssl.bench.parts import Part, load_part
from medssl.bench.radiographs.arms import BASE, IMAGES, TIP, arms, table_arms
from medssl.bench.radiographs.results import PartResult
from medssl.bench.runs import Report, Run
from medssl.bench.training import ingest_part, train_arms, train_curves
from medssl.errors import StageError
from medssl.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from medssl.evaluation.embeddings import Embeddings
    from medssl.store import Store
    from medssl.types import Rows

CORPUS: Final = "corpus"
"""Folder of the tables that the benchmark writes, and the word for it in the files of the parts."""
CORPUS_FACTS: Final = "corpus.json"


def run_bench(names: Sequence[str], options: Options, out: Path, *, report: Report) -> Path:
    """Run the parts and write page and figures.

    Args:
        names: Of the parts, some of `PARTS`.
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

    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        msg = f"there is no part {unknown[0]!r}: choose of {', '.join(PARTS)}"
        raise StageError(msg)
    pick_arms(arms(), options.arms)
    options.root.mkdir(parents=True, exist_ok=True)
    made = {CORPUS: options.root / CORPUS}
    # What is missing is said at once, not after the hours of the parts before it.
    parts = {
        name: load_part(__package__, name, options.data, made=made)
        for name in PARTS
        if name in names
    }
    results = {name: _RUN[name](part, options, report) for name, part in parts.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = draw(results, out)
    facts = {name: numbers(result) for name, result in results.items()}
    with replacing(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    with replacing(out) as temporary:
        temporary.write_text(render(results, options, pictures), encoding="utf-8")
    return out


def _labels(part: Part, options: Options, report: Report) -> PartResult:
    """Label-matched pairs: linear probes, label curves, zero-shot, retrieval."""
    from medssl.bench.radiographs.corpus import shown_counts, write_corpus
    from medssl.bench.radiographs.curves import CURVE_ARMS, finetune_settings, score_curve
    from medssl.sampling.splits import SplitConfig

    chosen = pick_arms(arms(), options.arms, always=(BASE,))
    result = PartResult(part, list(part.config.notes))
    clock = Clock(result.seconds, options.root / "labels-seconds.json")
    corpus = options.root / CORPUS
    if not (corpus / CORPUS_FACTS).is_file():
        split = SplitConfig.model_validate(part.config.pipeline["split"])
        write_json(corpus / CORPUS_FACTS, write_corpus(options.data, corpus, split))
    result.notes[:0] = shown_counts(read_json(corpus / CORPUS_FACTS))
    clock.stop("corpus")
    store = _train(result, chosen, options, clock, report)
    curves = {}
    if options.curves:
        curves = train_curves(
            part, [arm for arm in chosen if arm.name in CURVE_ARMS],
            lambda curve, arm: finetune_settings(part, curve, arm), options, report=report,
        )  # fmt: skip
    clock.stop("label curves: training")
    report(f"{part.name}: scores")
    embeddings = _score_linear(result, store, base=BASE)
    _score_pairs(result, store, embeddings, options)
    for curve in part.config.curves:
        if curve.target in curves:
            points, notes = score_curve(part, curve, curves[curve.target])
            result.points += points
            result.notes += notes
    clock.stop("scoring")
    return result


def _pairs(part: Part, options: Options, report: Report) -> PartResult:
    """True pairs: does an image of somebody new find its text?"""
    from medssl.bench.radiographs.true_pairs import TruePairs, needs_the_image, score_pairs
    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.sampling.splits import TEST
    from medssl.sampling.studies import match_studies

    result = PartResult(part, list(part.config.notes))
    clock = Clock(result.seconds, options.root / "pairs-seconds.json")
    store = _train(result, [Arm(name=BASE, group="")], options, clock, report)
    pairs = match_studies(store, _rows_of(part, store, TEST), store.rows(modality="report"))
    held = TruePairs(store, pairs)
    models = [ImageTextModel.load(run.folders["pretrain"], device="cpu") for run in result.runs]
    result.retrieval = score_pairs(held, models)
    result.image_use["which text"] = needs_the_image(held, models[0])
    clock.stop("scoring")
    return result


def _tables(part: Part, options: Options, report: Report) -> PartResult:
    """Images with laboratory values: TIP beside image-only pretraining."""
    result = PartResult(part, list(part.config.notes))
    clock = Clock(result.seconds, options.root / "tables-seconds.json")
    store = _train(result, table_arms(), options, clock, report)
    _score_linear(result, store, base=TIP)
    clock.stop("scoring")
    return result


_RUN: Final[Mapping[str, Callable[[Part, Options, Report], PartResult]]] = {
    "labels": _labels, "pairs": _pairs, "tables": _tables,
}  # fmt: skip
PARTS: Final = tuple(_RUN)


def _train(
    result: PartResult, chosen: Sequence[Arm], options: Options, clock: Clock, report: Report
) -> Store:
    """Ingest, pretrain and embed every arm with every seed, count, and give the store."""
    from medssl.stages.ingest import store_folder
    from medssl.store import Store
    from medssl.store.schema import PARTICIPANT

    part = result.part
    folders = ingest_part(part, options, report=report)
    result.runs = train_arms(part, chosen, options, report=report)
    # Shared by the workers, and the same whenever and however often the benchmark is called.
    clock.took("pretraining", sum(run.seconds for run in result.runs) / options.workers)
    result.false_negatives = _false_negatives(result.runs)
    store = Store.open(store_folder(folders["ingest"]))
    rows = store.rows(modality="radiograph")
    result.store_digest, result.images = store.digest, len(rows)
    result.reports = len(store.rows(modality="report"))
    result.steps = options.steps or part.steps
    splits = part.splits(store)
    for name in set(store.column(PARTICIPANT, rows).tolist()):
        result.participants[splits[name]] = result.participants.get(splits[name], 0) + 1
    return store


def _rows_of(part: Part, store: Store, *names: str) -> Rows:
    """Images of participants of some splits."""
    import numpy as np

    from medssl.store.schema import PARTICIPANT

    splits = part.splits(store)
    rows = store.rows(modality="radiograph")
    wanted = [splits[name] in names for name in store.column(PARTICIPANT, rows).tolist()]
    found: Rows = rows[np.array(wanted, dtype=bool)]
    return found


def _score_linear(
    result: PartResult, store: Store, *, base: str
) -> dict[str, Sequence[Embeddings]]:
    """Probe every arm and the untrained encoder; gives their embeddings, one table a seed."""
    from medssl.bench.linear import score_linear
    from medssl.bench.untrained import UNTRAINED_SEEDS, untrained_embeddings
    from medssl.bundle.names import BUNDLE
    from medssl.evaluation.baselines import UNTRAINED, mean_features
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.store_features import store_features
    from medssl.sampling.splits import TRAIN
    from medssl.stages.embed import EMBEDDINGS
    from medssl.store.schema import PARTICIPANT

    found: dict[str, list[Embeddings]] = {}
    for run in result.runs:
        embedded = Embeddings.read(run.folders["embed"] / EMBEDDINGS)
        found.setdefault(run.arm, []).append(embedded)
    rows = store.rows(modality="radiograph")
    fitted = _rows_of(result.part, store, TRAIN)
    bundle = result.runs[0].folders["pretrain"] / BUNDLE
    untrained = untrained_embeddings(store, rows, fitted, bundle, seeds=UNTRAINED_SEEDS)
    embeddings: dict[str, Sequence[Embeddings]] = {**found, UNTRAINED: untrained}
    beside = [
        *store_features(store, rows, each_record=True),
        mean_features(store.column(PARTICIPANT, rows)),
    ]
    result.linear, notes = score_linear(
        result.part, store, embeddings, beside, base=base, noun="images"
    )
    result.notes += notes
    return embeddings


def _score_pairs(
    result: PartResult, store: Store, embeddings: Mapping[str, Sequence[Embeddings]],
    options: Options,
) -> None:  # fmt: skip
    """What models of images and texts can do beside probes: prompts, retrieval, maps."""
    from medssl.bench.radiographs.image_text import (
        hold_out,
        needs_the_image,
        project,
        score_retrieval,
        score_zero_shot,
    )
    from medssl.bench.radiographs.maps import draw_maps
    from medssl.bench.radiographs.sentences import read_pools
    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.sampling.splits import TEST
    from medssl.store.schema import RECORD

    held = hold_out(store, _rows_of(result.part, store, TEST), read_pools(options.data)[TEST])
    projections: dict[str, list[Any]] = {}
    groups = {arm.name: arm.group for arm in arms()}
    for run in result.runs:
        if groups[run.arm] == IMAGES:
            continue
        model = ImageTextModel.load(run.folders["pretrain"], device="cpu")
        projections.setdefault(run.arm, []).append(project(model, held))
        if run.arm == BASE and run.seed == 0:
            result.image_use["Effusion"] = needs_the_image(model, held, "Effusion")
            result.maps = draw_maps(model, held, options.root / "maps")
    result.zero_shot = score_zero_shot(held, projections)
    places = {name: place for place, name in enumerate(embeddings[BASE][0].records.tolist())}
    wanted = [places[name] for name in store.column(RECORD, held.rows).tolist()]
    alone = {
        name: [one.values[wanted] for one in seeds]
        for name, seeds in embeddings.items()
        if name not in projections
    }
    result.retrieval = score_retrieval(held, projections, alone)


def _false_negatives(runs: Sequence[Run]) -> dict[str, float]:
    """Mean over the logged steps and seeds, by arm."""
    from medssl.training.monitors import METRICS

    found: dict[str, list[float]] = {}
    for run in runs:
        lines = (run.folders["pretrain"] / METRICS).read_text(encoding="utf-8").splitlines()
        rates = [json.loads(line).get("train/false_negatives") for line in lines]
        found.setdefault(run.arm, []).extend(rate for rate in rates if rate is not None)
    return {arm: sum(rates) / len(rates) for arm, rates in found.items() if rates}
