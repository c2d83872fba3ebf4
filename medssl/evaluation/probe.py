"""Probing embeddings beside their baselines, on the same participants and the same folds."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.baselines import (
    DEMOGRAPHICS,
    HEART_RATE,
    MEAN,
    UNTRAINED,
    FeatureTable,
    demographic_features,
    embedding_features,
    mean_features,
)
from medssl.evaluation.cases import Case, build_case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.heart_rate import heart_rate_features
from medssl.evaluation.metrics import METRICS, Metric, fold_ranks
from medssl.evaluation.probes import Predictions, ProbeConfig, cross_validate, holdout
from medssl.evaluation.statistics import METHODS, Interval, WeightedMetric, resample
from medssl.evaluation.tables import DifferenceRow, ProbeRow, ProbeTable
from medssl.store.schema import MODALITY, RECORD
from medssl.types import Modality

if TYPE_CHECKING:
    from medssl.store import Store

logger = logging.getLogger(__name__)

ENCODER: Final = "encoder"
_SEPARATOR: Final = "\0"


def run_probes(
    embeddings: Embeddings,
    labels: pd.DataFrame,
    config: ProbeConfig,
    splits: Mapping[str, str],
    *,
    baselines: Sequence[FeatureTable] = (),
    untrained: Sequence[Embeddings] = (),
    pretraining: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeTable:
    """Probe embeddings, and everything they must beat, on the same participants.

    Each participant is one row: the mean of its embeddings. Predict-the-mean and demographics are
    always beside the encoder; heart-rate features come in `baselines`, encoders with random weights
    in `untrained`. Several untrained encoders (seeds) are probed one by one: their row is the mean
    of the metric over seeds, and its interval that of this mean. The same holds for the repeats of
    a cross-validation. Intervals tell how far the scored participants, not the fitted ones, decide.

    Args:
        embeddings: Of the trained encoder.
        labels: A store's participants table: index pseudonyms, one column per label.
        config: Targets, splits or folds, penalties, bootstrap.
        splits: Participant → `"train"`, `"validation"` or `"test"`, as `assign_splits` gives it.
        baselines: More feature tables.
        untrained: Embeddings of the same records by untrained encoders, one per seed.
        pretraining: Participants whose records the encoder was pretrained on, if known.
        progress: Called with (targets done, targets in all).

    Raises:
        ConfigError: A target does not fit the labels.
        StageError: The untrained embeddings are of other participants.
        LeakageError: A participant would be fitted and scored.
    """
    names, means, counts = embeddings.participant_table()
    fixed = [FeatureTable(ENCODER, names, means)]
    random = [_same_participants(other, names) for other in untrained]
    everyone = [mean_features(names)]
    rows: list[ProbeRow] = []
    differences: list[DifferenceRow] = []
    predictions: dict[tuple[str, str], Predictions] = {}
    notes: list[str] = []
    for done, target in enumerate(config.targets):
        case = build_case(target, names, counts, labels, splits, config, pretraining)
        tables: dict[str, list[FeatureTable]] = {fixed[0].name: fixed}
        if random:
            tables[UNTRAINED] = random
        tables |= {table.name: [table] for table in baselines}
        demographics = demographic_features(labels, config.demographics, without=target.column)
        tables[DEMOGRAPHICS] = [demographics] if demographics is not None else []
        tables[MEAN] = everyone
        found = {} if case.problem else _predict(case, tables, config)
        new_rows, new_differences = _score(case, tables, found, config)
        rows += new_rows
        differences += new_differences
        predictions |= {(target.name, name): one for name, one in found.items()}
        notes += case.notes()
        if progress is not None:
            progress(done + 1, len(config.targets))
    given = {row.features for row in rows}
    notes += _general_notes(config, given, names, splits, len(differences))
    return ProbeTable(tuple(rows), tuple(differences), tuple(notes), predictions)


def probe_store(
    embeddings: Embeddings,
    store: Store,
    config: ProbeConfig,
    splits: Mapping[str, str],
    *,
    baselines: Sequence[FeatureTable] = (),
    untrained: Sequence[Embeddings] = (),
    pretraining: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeTable:
    """`run_probes` with the labels of a store, and heart-rate features of the embedded records."""
    extra = list(baselines)
    if not any(table.name == HEART_RATE for table in extra):
        position = {name: row for row, name in enumerate(store.column(RECORD).tolist())}
        absent = sum(name not in position for name in embeddings.records.tolist())
        if absent:
            msg = f"{absent} embedded records are not in the store {store.path}: embed it again"
            raise StageError(msg)
        rows = np.array([position[name] for name in embeddings.records.tolist()], dtype=np.int64)
        modalities = set(store.column(MODALITY, rows).tolist())
        if modalities in ({Modality.PPG.value}, {Modality.ECG.value}):
            modality = Modality(modalities.pop())
            extra.append(heart_rate_features(store, rows, modality=modality))
    return run_probes(
        embeddings,
        store.participants,
        config,
        splits,
        baselines=extra,
        untrained=untrained,
        pretraining=pretraining,
        progress=progress,
    )


def _same_participants(other: Embeddings, names: np.ndarray) -> FeatureTable:
    table = embedding_features(other, UNTRAINED)
    if not np.array_equal(table.participants, names):
        msg = (
            "the untrained encoder embedded other participants than the trained one: "
            "embed the same rows with both"
        )
        raise StageError(msg)
    return table


def _predict(
    case: Case, tables: Mapping[str, Sequence[FeatureTable]], config: ProbeConfig
) -> dict[str, Predictions]:
    found: dict[str, Predictions] = {}
    for name, seeds in tables.items():
        runs = [_predict_one(case, table, config) for table in seeds]
        if runs:
            found[name] = replace(
                runs[0],
                scores=np.concatenate([run.scores for run in runs]),
                folds=np.concatenate([run.folds for run in runs]),
                alphas=np.concatenate([run.alphas for run in runs]),
                n_records=case.n_records,
            )
    return found


def _predict_one(case: Case, table: FeatureTable, config: ProbeConfig) -> Predictions:
    x = table.rows_of(case.participants)
    kind = case.target.kind
    if config.folds is not None:
        return cross_validate(x, case.truth, case.participants, kind=kind, config=config)
    fit, score = (
        (x[mask], case.truth[mask], case.participants[mask]) for mask in (case.fitted, case.scored)
    )
    return holdout(fit, score, kind=kind, config=config)


def weighted_metric(metric: Metric, predictions: Predictions) -> WeightedMetric:
    """A metric as a function of participant weights, averaged over the runs of the predictions."""
    runs = list(zip(predictions.scores, predictions.folds, strict=True))
    if metric.folds == "ranks":
        runs = [(fold_ranks(scores, folds), folds) for scores, folds in runs]

    def evaluate(weights: np.ndarray) -> np.ndarray:
        total = np.zeros(len(weights))
        for scores, folds in runs:
            options = {"strata": folds} if metric.folds == "pairs" else {}
            total += metric.function(predictions.truth, scores, weights, **options)
        return total / len(runs)

    return evaluate


def _score(
    case: Case,
    tables: Mapping[str, Sequence[FeatureTable]],
    found: Mapping[str, Predictions],
    config: ProbeConfig,
) -> tuple[list[ProbeRow], list[DifferenceRow]]:
    metrics = METRICS[case.target.kind]
    functions = {
        _SEPARATOR.join((metric.name, name)): weighted_metric(metric, predictions)
        for metric in metrics
        for name, predictions in found.items()
    }
    drawn = resample(
        functions,
        case.participants[case.scored],
        replicates=config.bootstrap,
        seed=config.seed,
        n_records=case.n_records,
        method=config.interval,
    )
    rows: list[ProbeRow] = []
    differences: list[DifferenceRow] = []
    for metric in metrics:
        own = _SEPARATOR.join((metric.name, ENCODER))
        for name, seeds in tables.items():
            key = _SEPARATOR.join((metric.name, name))
            interval = (
                drawn.interval(key, level=config.level)
                if name in found
                else _no_interval(case, config)
            )
            rows.append(_row(case, name, metric, interval, found.get(name), seeds))
            if name in found and name != ENCODER:
                differences.append(
                    DifferenceRow(
                        target=case.target.name,
                        metric=metric.name,
                        features=ENCODER,
                        baseline=name,
                        interval=drawn.difference(own, key, level=config.level),
                        higher_is_better=metric.higher_is_better,
                    )
                )
    return rows, differences


def _row(
    case: Case,
    name: str,
    metric: Metric,
    interval: Interval,
    predictions: Predictions | None,
    seeds: Sequence[FeatureTable],
) -> ProbeRow:
    remarks = [case.problem]
    if not seeds and not case.problem:
        remarks.append("no demographic column other than the target's own")
    if len(seeds) > 1:
        remarks.append(f"mean of {len(seeds)} seeds")
    remarks += [table.note for table in seeds[:1]]
    without_features = name == MEAN or predictions is None
    return ProbeRow(
        target=case.target.name,
        features=name,
        metric=metric.name,
        interval=interval,
        n_fit=case.n_fit if predictions is None else predictions.n_fit,
        n_score=case.n_score,
        n_pretrained=case.n_pretrained,
        alpha=math.nan if without_features or predictions is None else predictions.alpha,
        note="; ".join(remark for remark in remarks if remark),
    )


def _no_interval(case: Case, config: ProbeConfig) -> Interval:
    return Interval(math.nan, math.nan, math.nan, config.level, case.n_score, case.n_records)


def _general_notes(
    config: ProbeConfig,
    given: Collection[str],
    names: np.ndarray,
    splits: Mapping[str, str],
    comparisons: int,
) -> list[str]:
    notes = [
        f"Intervals: {config.level:.0%}, {METHODS[config.interval]}, "
        f"{config.bootstrap} replicates; differences are paired.",
    ]
    if comparisons > 1:
        notes.append(f"{comparisons} comparisons; intervals are not corrected for their number.")
    if config.folds is not None:
        notes.append(
            f"{config.repeats} × {config.folds}-fold cross-validation over participants; "
            "AUROC compares participants inside a fold, partial AUROC their ranks in the fold."
        )
    missing = [name for name in (HEART_RATE, UNTRAINED) if name not in given]
    if missing:
        notes.append(f"Not beside the encoder, because not given: {', '.join(missing)}.")
    outside = sum(name not in splits for name in names.tolist())
    if outside:
        notes.append(f"{outside} embedded participants are in no split and were left out.")
    return notes
