"""The same encoder trained from random weights with labels: what pretraining has to beat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from medssl.encoders import EncoderConfig
from medssl.errors import StageError
from medssl.evaluation.cases import Case
from medssl.evaluation.folds import grouped_folds
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probe import Rival
from medssl.evaluation.probes import ProbeConfig, dealing_seed
from medssl.evaluation.targets import Target
from medssl.files import digest_json
from medssl.finetuning.config import SCRATCH, SupervisedConfig
from medssl.finetuning.curve import gather_runs
from medssl.finetuning.fractions import shortage
from medssl.finetuning.loop import choose_device, repeatable
from medssl.finetuning.network import Reader
from medssl.finetuning.runs import RunKey, RunResult, Work, train_one
from medssl.finetuning.units import LabelledUnits, label_units
from medssl.finetuning.validation import check_validation
from medssl.inputs import Inputs, make_inputs
from medssl.sampling.splits import VALIDATION, check_disjoint
from medssl.store import Store
from medssl.store.schema import MODALITY
from medssl.types import Rows
from medssl.views.seeds import derive_seed


def supervised_predictions(
    store: Store,
    rows: Rows,
    target: Target,
    *,
    fit: Collection[str],
    stop: Collection[str],
    score: Collection[str],
    encoder: EncoderConfig,
    config: SupervisedConfig | None = None,
    seed: int = 0,
) -> Predictions:
    """Train an encoder from scratch with labels, and predict others.

    Args:
        store: Where labels and records are.
        rows: Row numbers of the records that may be used.
        target: What is predicted.
        fit: Participants to fit on.
        stop: Participants who decide when to stop.
        score: Participants to predict; their labels are only passed on.
        encoder: How to build the encoder.
        config: Steps, learning rate, seeds.
        seed: Of everything.

    Returns:
        One run a seed; units without a label are absent.

    Raises:
        ConfigError: The target does not fit the labels.
        LeakageError: A participant stands in two of the three groups.
        StageError: Too few participants to fit on, to stop by, or nobody to score.
    """
    config = config or SupervisedConfig()
    units = label_units(store, rows, target)
    parts = [units.take(np.isin(units.participants, list(some))) for some in (fit, stop, score)]
    if len(parts[2]) == 0:
        msg = f"supervised target {target.name!r}: nobody to score has this label"
        raise StageError(msg)
    runs = [
        train_from_scratch(store, *parts, target=target, encoder=encoder, config=config,
                           seed=seed, run=run)
        for run in range(config.seeds)
    ]  # fmt: skip
    return gather_runs(runs, parts[2])


def reader_of(store: Store, rows: Rows) -> Reader:
    """Reads records by the contract that a store tells of some of them."""
    (modality,) = set(store.column(MODALITY, rows).tolist())
    return Reader(store, make_inputs(store.contract(modality, rows)))


def train_from_scratch(
    store: Store,
    fit: LabelledUnits,
    stop: LabelledUnits,
    score: LabelledUnits,
    *,
    target: Target,
    encoder: EncoderConfig,
    config: SupervisedConfig,
    seed: int,
    run: int,
    folder: Path | None = None,
    inputs: Inputs | None = None,
) -> RunResult:
    """One run: fitted on some units, stopped early by others, the last ones predicted once.

    Args:
        store: Where the records are.
        fit: What is fitted.
        stop: What decides when to stop.
        score: What is predicted.
        target: What.
        encoder: How to build the encoder.
        config: Steps, learning rate.
        seed: Of all runs.
        run: Which of them.
        folder: Where its result is kept, and found again.
        inputs: As in `supervised_predictions`.

    Raises:
        LeakageError: A participant stands in two of the three.
        StageError: Too few participants to fit on or to stop by.
    """
    names = ("fitted", "stopping", "scored")
    groups = [part.participants.tolist() for part in (fit, stop, score)]
    for left, right in ((0, 1), (0, 2), (1, 2)):
        check_disjoint(f"{names[left]} and {names[right]}", groups[left], groups[right])
    reason = shortage(fit)
    if reason is not None:
        msg = f"supervised target {target.name!r}: too few to fit on ({reason})"
        raise StageError(msg)
    check_validation(stop, target.name)
    if folder is not None and RunResult.finished(folder):
        return RunResult.read(folder)
    settings = config.from_scratch(target)
    device = choose_device(settings)
    read = reader_of(store, fit.rows) if inputs is None else Reader(store, inputs)
    work = Work(read, stop, score, encoder, None, settings, seed, device)
    with repeatable(device, settings.threads):
        result, _ = train_one(work, RunKey(SCRATCH, 1.0, run), fit)
    if folder is not None:
        result.write(folder)
    return result


def supervised_rival(
    store: Store,
    rows: Rows,
    splits: Mapping[str, str],
    probe: ProbeConfig,
    *,
    encoder: EncoderConfig,
    config: SupervisedConfig,
    seed: int,
    inputs: Inputs | None = None,
    folder: Path | None = None,
    report: Callable[[], None] | None = None,
) -> Rival:
    """Training from scratch as a row of the probe table: the same participants, the same folds.

    Of those a probe is fitted on, the validation participants decide when to stop; in
    cross-validation, or where there are none, the first of the probe's inner folds. Run r of a
    cross-validation has the folds of the probe's repeat r.

    Args:
        store: Where labels and records are.
        rows: Row numbers of the records that are probed.
        splits: Participant → split.
        probe: Whose folds are used.
        encoder: How to build the encoder.
        config: Steps, learning rate, seeds.
        seed: Of weights and batches.
        inputs: As in `supervised_predictions`.
        folder: Where finished runs are kept.
        report: Called after each run.
    """

    def train(case: Case, units: LabelledUnits, held: np.ndarray, fold: int, run: int) -> RunResult:
        fitted = np.flatnonzero(case.fitted & ~held)
        stops = _stopping(case, fitted, splits, probe, dealing_seed(probe, run) + 1 + fold)
        name = digest_json([case.target.model_dump(mode="json"), fold, run])
        result = train_from_scratch(
            store, units.take(fitted[~stops]), units.take(fitted[stops]), units.take(held),
            target=case.target, encoder=encoder, config=config,
            seed=derive_seed(seed, "supervised", fold), run=run, inputs=inputs,
            folder=None if folder is None else folder / name[:16],
        )  # fmt: skip
        if report is not None:
            report()
        return result

    def predict(case: Case) -> Predictions | str:
        units = order_units(label_units(store, rows, case.target), case)
        runs = []
        try:
            for run in range(config.seeds):
                folds = _deal(case, probe, run)
                found = [
                    (folds == fold, train(case, units, folds == fold, fold, run))
                    for fold in range(int(folds.max()) + 1)
                ]
                runs.append(_together(units, folds, found))
        except StageError as error:
            return str(error)
        scored = np.flatnonzero(case.scored)
        return replace(
            runs[0],
            participants=units.participants[scored], truth=units.values[scored],
            units=units.names[scored], n_records=case.n_records,
            scores=np.concatenate([one.scores for one in runs])[:, scored],
            base=np.concatenate([one.base for one in runs])[:, scored],
            folds=np.concatenate([one.folds for one in runs])[:, scored],
            n_fit=min(one.n_fit for one in runs),
        )  # fmt: skip

    return Rival(
        predict, note=f"mean of {config.seeds} seeds; others of those fitted say when to stop"
    )


def order_units(units: LabelledUnits, case: Case) -> LabelledUnits:
    """Labelled units in the order of the rows of a case.

    Raises:
        StageError: A row of the case has no such unit.
    """
    place = pd.Index(units.names).get_indexer(pd.Index(case.units.names[case.rows]))
    if (place < 0).any():
        msg = f"supervised target {case.target.name!r}: rows of the probe are not in the store"
        raise StageError(msg)
    return units.take(place)


def _deal(case: Case, probe: ProbeConfig, run: int) -> np.ndarray:
    """The fold of each row; without cross-validation 0 for those scored, −1 for the others."""
    if probe.folds is None:
        return np.asarray(np.where(case.scored, 0, -1))
    return grouped_folds(
        case.participants, case.truth, folds=probe.folds, seed=dealing_seed(probe, run)
    )


def _stopping(
    case: Case, fitted: np.ndarray, splits: Mapping[str, str], probe: ProbeConfig, seed: int
) -> np.ndarray:
    """Which of the fitted rows decide when to stop, bool of their shape."""
    people = case.participants[fitted]
    if probe.folds is None:
        validation = np.array([splits[name] == VALIDATION for name in people.tolist()], dtype=bool)
        if validation.any() and not validation.all():
            return validation
    dealt = grouped_folds(people, case.truth[fitted], folds=probe.inner_folds, seed=seed)
    return np.asarray(dealt == 0)


def _together(
    units: LabelledUnits, folds: np.ndarray, found: list[tuple[np.ndarray, RunResult]]
) -> Predictions:
    """The predictions of all folds of one run, for every row; NaN where it is not scored."""
    first = found[0][1]
    shape = (len(units), *first.natural.shape[1:])
    scores, base = np.full(shape, np.nan), np.full(shape, np.nan)
    for held, result in found:
        scores[held] = result.scale.scores(result.natural)
        base[held] = result.base
    return Predictions(
        kind=units.kind, participants=units.participants, truth=units.values,
        scores=scores[None], folds=folds[None], base=base[None],
        n_fit=min(result.n_fit for _, result in found), classes=units.classes,
    )  # fmt: skip
