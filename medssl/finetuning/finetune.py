"""From a bundle, a store and labels to a label curve and a task bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from medssl.bundle import WEIGHTS
from medssl.contracts import Contract
from medssl.encoders import BaseEncoder, EncoderConfig
from medssl.errors import StageError
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.statistics import METHODS
from medssl.files import digest_json, replacing
from medssl.finetuning.config import BUNDLE, SCRATCH, FinetuneConfig
from medssl.finetuning.curve import Curve, Skipped, percent, score_curve
from medssl.finetuning.fractions import nested_subsets, shortage, stratify
from medssl.finetuning.loop import choose_device, repeatable
from medssl.finetuning.network import Reader
from medssl.finetuning.runs import (
    RunKey,
    RunResult,
    Work,
    load_network,
    run_one,
)
from medssl.finetuning.task import save_task
from medssl.finetuning.units import LabelledUnits, label_units, split_units
from medssl.finetuning.validation import check_validation
from medssl.inputs import make_inputs
from medssl.sampling.splits import TEST, TRAIN, VALIDATION
from medssl.store import Store
from medssl.text.tokenizer import Tokenizer
from medssl.types import Rows
from medssl.version import __version__
from medssl.views.seeds import derive_seed

RUNS: Final = ".runs"
_KEY: Final = "key"
TASK_FOLDER: Final = "task"

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
Watch = Callable[[RunKey, int, float], None]
"""Called with (run, steps done, validation loss)."""


@dataclass(frozen=True)
class Pretrained:
    """What is fine-tuned.

    Args:
        encoder: How it is built.
        module: It, with its weights; never changed.
        contract: What it expects of its input.
        digest: Digest of its weights.
        tokenizer: Of a text encoder.
    """

    encoder: EncoderConfig
    module: BaseEncoder
    contract: Contract
    digest: str
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What fine-tuning gives.

    Args:
        curve: All scores.
        predictions: Those of the test units, by (target, start and fraction).
        chosen: The run whose weights are in the task bundle.
        test: The scored units.
        digest: Digest of the weights in the task bundle.
    """

    curve: Curve
    predictions: dict[tuple[str, str], Predictions]
    chosen: RunResult
    test: LabelledUnits
    digest: str


def finetune_store(
    store: Store,
    rows: Rows,
    splits: Mapping[str, str],
    pretrained: Pretrained,
    config: FinetuneConfig,
    folder: Path,
    *,
    seed: int,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Run every start at every fraction with every seed, score them, and save one as a task bundle.

    Fitted on participants of the training split, stopped on those of validation, scored once on
    those of test. Finished runs are kept in `folder` until all are done: called again after it was
    killed, it goes on with the others; called with anything else, it begins anew.

    Args:
        store: Where labels and records are.
        rows: Row numbers of the records that may be used.
        splits: Participant → split.
        pretrained: The encoder.
        config: Settings.
        folder: Where `task/` goes.
        seed: Of everything.
        provenance: More for the card, such as the pretraining's. No identifiers.
        progress: Called as training goes.
        watch: Called after each validation.

    Raises:
        ConfigError: The target does not fit the labels.
        LeakageError: A participant stands in two splits.
        StageError: Too few participants for any fraction, for stopping, or for scoring.
    """
    labelled = label_units(store, rows, config.target)
    parts = split_units(labelled, splits)
    train, validation, test = (parts[name] for name in (TRAIN, VALIDATION, TEST))
    check_validation(validation, config.target.name)
    if len(test) == 0:
        msg = (
            f"finetune.target {config.target.name!r}: no test participant has this label: "
            "raise split.test, or label more participants"
        )
        raise StageError(msg)
    subsets, skipped = choose_subsets(train, config, seed=seed)
    keys = [RunKey(s, f, n) for f in subsets for s in config.start for n in range(config.seeds)]
    device = choose_device(config)
    read = Reader(store, make_inputs(pretrained.contract, pretrained.tokenizer))
    work = Work(read, validation, test, pretrained.encoder, pretrained.module, config, seed, device)
    largest = max(subsets)
    _keep_runs_of(
        folder / RUNS,
        digest_json(
            {
                "medssl": __version__, "config": config.model_dump(mode="json"), "seed": seed,
                "encoder": pretrained.digest, "store": store.digest, "splits": dict(splits),
                "rows": np.asarray(rows).tolist(),
            }
        ),
    )  # fmt: skip
    results = []
    with repeatable(device, config.threads):
        for place, key in enumerate(keys):

            def report(done: int, loss: float, key: RunKey = key, place: int = place) -> None:
                if watch is not None:
                    watch(key, done, loss)
                if progress is not None:
                    progress(place * config.steps + done, len(keys) * config.steps)

            results.append(
                _once(
                    work, key, subsets[key.fraction][key.seed], folder / RUNS / key.name,
                    keep_weights=key.fraction == largest and key.start == _task_start(config),
                    report=report,
                )
            )  # fmt: skip
            if progress is not None:
                progress((place + 1) * config.steps, len(keys) * config.steps)
        curve, predictions = score_curve(
            results, subsets, test, config, seed=derive_seed(seed, "bootstrap"),
            skipped=skipped,
            notes=[*describe(config, labelled, parts), *describe_runs(config, results)],
        )  # fmt: skip
        chosen = choose_run([r for r in results if (r.key.start, r.key.fraction)
                             == (_task_start(config), largest)])  # fmt: skip
        digest = _save(work, pretrained, chosen, curve, folder, provenance or {}, parts)
    shutil.rmtree(folder / RUNS)
    return Outcome(curve, predictions, chosen, test, digest)


def choose_subsets(
    train: LabelledUnits, config: FinetuneConfig, *, seed: int
) -> tuple[dict[float, list[LabelledUnits]], list[Skipped]]:
    """The fitted units of each fraction, one for each seed, and the fractions that are too small.

    Raises:
        StageError: All are.
    """
    names, strata = stratify(train)
    drawn = [
        nested_subsets(strata, config.fractions, seed=derive_seed(seed, "subset", number))
        for number in range(config.seeds)
    ]
    subsets: dict[float, list[LabelledUnits]] = {}
    skipped = []
    for fraction in config.fractions:
        people = [names[found[fraction]] for found in drawn]
        units = [train.take(np.isin(train.participants, some)) for some in people]
        reason = next((why for why in map(shortage, units) if why is not None), None)
        if reason is None:
            subsets[fraction] = units
        else:
            skipped.append(Skipped(fraction, len(people[0]), reason))
    if not subsets:
        last = skipped[-1]
        mend = (
            "add a larger one to finetune.fractions, or label more participants"
            if last.fraction < 1
            else "label more participants, or look at the values of the target's column"
        )
        msg = (
            f"finetune.target {config.target.name!r}: too few labelled training participants at "
            f"every fraction ({percent(last.fraction)}: {last.reason}): {mend}"
        )
        raise StageError(msg)
    return subsets, skipped


def choose_run(results: Sequence[RunResult]) -> RunResult:
    """The run with the median validation loss (the lower one of two): neither lucky nor unlucky."""
    ordered = sorted(results, key=lambda result: (result.training.best_loss, result.key.seed))
    return ordered[(len(ordered) - 1) // 2]


def _keep_runs_of(folder: Path, key: str) -> None:
    """Throw away what a killed call with other settings or data left."""
    given = folder / _KEY
    if folder.is_dir() and not (given.is_file() and given.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(given) as temporary:
        temporary.write_text(key, encoding="utf-8")


def describe(
    config: FinetuneConfig, labelled: LabelledUnits, parts: Mapping[str, LabelledUnits]
) -> list[str]:
    """How to read the curve."""
    train, validation, test = (parts[name].n_participants for name in (TRAIN, VALIDATION, TEST))
    notes = [
        f"Shares are of {train} training participants with this label. All {validation} validation "
        f"participants with it decide at every share when to stop; {test} test participants are "
        "scored once a run.",
        f"Values are means over {config.seeds} seed(s), each with its own nested subsets. "
        f"Intervals: {config.level:.0%}, {METHODS[config.interval]}, {config.bootstrap} "
        "replicates; they tell how far the test participants decide, not the fitted ones.",
        "Not corrected for the number of comparisons.",
    ]
    if labelled.n_torn:
        notes.append(
            f"{labelled.n_torn} {config.target.level}s were left out: their records disagree on "
            "the label (level: record keeps them)."
        )
    if set(config.start) != {SCRATCH}:
        notes.append(
            "The encoder was pretrained without labels on training participants, those that are "
            "fitted here among them; nobody of validation or test was seen in pretraining."
        )
    if SCRATCH in config.start:
        notes.append(
            "scratch: random weights; the same steps, batches, views and validations, without "
            "warm-up, without frozen batch norm, and with one learning rate for all layers."
        )
    return notes


def describe_runs(config: FinetuneConfig, results: Sequence[RunResult]) -> list[str]:
    """What has to be known of the runs themselves."""
    steps = [r.training.best_step for r in results if r.key.start == BUNDLE]
    still = sum(step <= config.warmup_steps for step in steps)
    if not still:
        return []
    return [
        f"In {still} of {len(steps)} runs from the bundle nothing after the warm-up was better on "
        "the validation participants: there the encoder is as it was pretrained, as with frozen."
    ]


def _once(
    work: Work,
    key: RunKey,
    units: LabelledUnits,
    folder: Path,
    *,
    keep_weights: bool,
    report: Callable[[int, float], None],
) -> RunResult:
    """A run, or what is left of it when it was finished before."""
    if RunResult.finished(folder):
        return RunResult.read(folder)
    return run_one(work, key, units, folder, keep_weights=keep_weights, report=report)


def _save(
    work: Work,
    pretrained: Pretrained,
    chosen: RunResult,
    curve: Curve,
    folder: Path,
    provenance: Mapping[str, Any],
    parts: Mapping[str, LabelledUnits],
) -> str:
    config, key = work.config, chosen.key
    network = load_network(work, chosen.scale, folder / RUNS / key.name / WEIGHTS)
    facts = {
        "start": key.start,
        "pretrained weights": "none" if key.start == SCRATCH else pretrained.digest[:12],
        "objective": config.chosen_objective.name,
        "fitted participants": chosen.n_fit,
        "fitted records": chosen.n_fit_records,
        "validation participants": parts[VALIDATION].n_participants,
        "best step": chosen.training.best_step,
        "steps": chosen.training.steps,
        "seed of the run": f"{key.seed} of {config.seeds}: the median validation loss",
        "store digest": work.read.digest,
        **provenance,
    }
    return save_task(
        folder / TASK_FOLDER, network,
        encoder=pretrained.encoder, contract=pretrained.contract, scale=chosen.scale,
        tokenizer=pretrained.tokenizer,
        task={
            "target": config.target.model_dump(mode="json"),
            "head": config.head,
            "attention_width": config.attention_width,
            "objective": config.chosen_objective.model_dump(mode="json"),
        },
        provenance=facts,
        scores=[
            {**curve.find(key.start, key.fraction, metric.name).to_dict(), "metric": metric.label}
            for metric in curve.metrics
        ],
    )  # fmt: skip


def _task_start(config: FinetuneConfig) -> str:
    return BUNDLE if BUNDLE in config.start else config.start[0]
