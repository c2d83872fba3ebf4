"""Probing embeddings beside their baselines, on the same participants and the same folds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.baselines import (
    DEMOGRAPHICS,
    MEAN,
    METADATA,
    UNTRAINED,
    FeatureTable,
    demographic_features,
    embedding_features,
    mean_features,
)
from medssl.evaluation.cases import Case, build_case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.models.bags import Bags
from medssl.evaluation.models.settings import ModelName
from medssl.evaluation.predictions import Predictions, join_runs
from medssl.evaluation.probes import ProbeConfig, cross_validate, holdout
from medssl.evaluation.scoring import ENCODER, score
from medssl.evaluation.statistics import METHODS
from medssl.evaluation.store_features import SIGNALS, store_features, usual_features
from medssl.evaluation.study_labels import study_labels
from medssl.evaluation.tables import DifferenceRow, ProbeRow, ProbeTable
from medssl.evaluation.units import Records
from medssl.sampling.splits import SPLITS
from medssl.store.schema import RECORD
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.store import Store


@dataclass(frozen=True)
class Entry:
    """One set of features of the table: how it is probed, and what to note.

    Args:
        tables: Features; several are seeds, whose metrics are averaged.
        model: What is fitted on them.
        variant: Another reading of the same encoder, and no baseline.
    """

    tables: tuple[FeatureTable, ...]
    model: ModelName = "linear"
    variant: bool = False

    @property
    def notes(self) -> list[str]:
        """What to note beside its rows."""
        seeds = [f"mean of {len(self.tables)} seeds"] if len(self.tables) > 1 else []
        return [*seeds, *(table.note for table in self.tables[:1])]


@dataclass(frozen=True)
class Rival:
    """A model that brings its own features: from whom to fit and whom to score to predictions.

    Args:
        predict: Predictions of those who are scored in a case, or why there are none.
        note: What a reader of the table should know.
    """

    predict: Callable[[Case], Predictions | str]
    note: str = ""


def run_probes(
    embeddings: Embeddings | Records,
    labels: pd.DataFrame,
    config: ProbeConfig,
    splits: Mapping[str, str],
    *,
    record_labels: pd.DataFrame | None = None,
    baselines: Sequence[FeatureTable] = (),
    untrained: Sequence[Embeddings] = (),
    layers: Mapping[str, Embeddings] | None = None,
    rivals: Mapping[str, Rival] | None = None,
    pretraining: Collection[str] | None = None,
    usual: Sequence[str] = SIGNALS,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeTable:
    """Probe embeddings, and everything they must beat, on the same rows.

    A row is what the target's level says: a participant or a session with the mean of its
    embeddings, or a record. Predict-the-mean and demographics are always beside the encoder; other
    feature tables come in `baselines`, encoders with random weights in `untrained`. Several
    untrained encoders (seeds) are probed one by one: their row is the mean of the metric over
    seeds, and its interval that of this mean. The same holds for the repeats of a
    cross-validation. Intervals tell how far the scored participants, not the fitted ones, decide.

    Args:
        embeddings: Of the trained encoder; records alone where there is none yet, and then nothing
            is compared with it.
        labels: A store's participants table: index pseudonyms, one column per label.
        config: Targets, models, splits or folds, penalties, bootstrap.
        splits: Participant → `"train"`, `"validation"` or `"test"`, as `assign_splits` gives it.
        record_labels: Labels of records, index record names.
        baselines: More feature tables.
        untrained: Embeddings of the same records by untrained encoders, one per seed.
        layers: Outputs of other layers of the trained encoder for the same records, by name.
        rivals: Models that bring their own features, by name.
        pretraining: Participants whose records the encoder was pretrained on, if known.
        usual: Baselines that such records have; a note tells which are not given.
        progress: Called with (targets done, targets in all).

    Raises:
        ConfigError: A target does not fit the labels.
        StageError: Untrained or layer embeddings are of other records; a model has no such target.
        LeakageError: A participant would be fitted and scored.
    """
    fixed: dict[str, Entry] = {}
    if isinstance(embeddings, Embeddings):
        own = embedding_features(embeddings, ENCODER)
        fixed[ENCODER] = Entry((own,), config.models[0])
        for model in config.models[1:]:
            fixed[f"{ENCODER} ({model})"] = Entry((own,), model, variant=True)
    for name, other in (layers or {}).items():
        table = _same_records(other, embeddings, name)
        fixed[table.name] = Entry((table,), config.models[0], variant=True)
    if untrained:
        tables = tuple(_same_records(other, embeddings, UNTRAINED) for other in untrained)
        fixed[UNTRAINED] = Entry(tables, config.models[0])
    fixed |= {table.name: Entry((table,)) for table in baselines}
    empty = pd.DataFrame(index=pd.Index([], dtype=object))
    rows: list[ProbeRow] = []
    differences: list[DifferenceRow] = []
    predictions: dict[tuple[str, str], Predictions] = {}
    notes: list[str] = []
    for done, target in enumerate(config.targets):
        case = build_case(
            target, embeddings, labels, empty if record_labels is None else record_labels,
            splits, config, pretraining,
        )  # fmt: skip
        demographics = demographic_features(labels, config.demographics, without=target.sources)
        entries = dict(fixed)
        if demographics is not None:
            entries[DEMOGRAPHICS] = Entry((demographics,))
        entries[MEAN] = Entry((mean_features(embeddings.participants),))
        remarks = {name: entry.notes for name, entry in entries.items()}
        for name in [name for name in entries if _cannot(entries[name], case)]:
            remarks[name] = [f"{entries.pop(name).model} cannot vote on censored times"]
        found = {} if case.problem else predict_entries(case, entries, embeddings, config)
        for name, rival in (rivals or {}).items():
            predicted = case.problem or rival.predict(case)
            remarks[name] = [predicted if isinstance(predicted, str) else rival.note]
            if isinstance(predicted, Predictions):
                found[name] = predicted
        if demographics is None:
            looked = ", ".join(config.demographics)
            why = f"no demographic column ({looked}) other than the target's own"
            why = why if looked else "no demographic column is given"
            remarks = {**remarks, DEMOGRAPHICS: [why]}
        variants = [name for name, entry in entries.items() if entry.variant]
        new_rows, new_differences = score(case, remarks, found, variants, config)
        rows += new_rows
        differences += new_differences
        predictions |= {(target.name, name): one for name, one in found.items()}
        notes += case.notes
        if progress is not None:
            progress(done + 1, len(config.targets))
    given = {row.features for row in rows}
    notes += _general_notes(
        config, given, usual, embeddings.participants, splits, len(differences)
    )  # fmt: skip
    return ProbeTable(tuple(rows), tuple(differences), tuple(notes), predictions)


def probe_store(
    embeddings: Embeddings | Records,
    store: Store,
    config: ProbeConfig,
    splits: Mapping[str, str],
    *,
    baselines: Sequence[FeatureTable] = (),
    untrained: Sequence[Embeddings] = (),
    layers: Mapping[str, Embeddings] | None = None,
    rivals: Mapping[str, Rival] | None = None,
    pretraining: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeTable:
    """`run_probes` with the labels of a store, and the baselines that its records give.

    These are acquisition metadata; for waveforms simple statistics of the samples and heart-rate
    features, for images statistics of grey values and shapes, for reports a bag of words. Labels
    that only other records of a study have hold for its embedded records too, see `study_labels`:
    those of images for their report, and findings of a report for its images.
    """
    given = {table.name for table in baselines}
    rows = rows_of(embeddings, store)
    # Targets of records need the beats of each of them.
    each = any(target.level != "participant" for target in config.targets)
    extra = store_features(store, rows, each_record=each, without=given)
    labels, borrowed = study_labels(store, rows)
    table = run_probes(
        embeddings,
        store.participants,
        config,
        splits,
        record_labels=labels,
        baselines=[*baselines, *extra],
        untrained=untrained,
        layers=layers,
        rivals=rivals,
        pretraining=pretraining,
        usual=usual_features(store, rows),
        progress=progress,
    )
    notes = [
        f"{target.name}: no embedded record has {name} itself; it is that of the other records of "
        "its study."
        for target in config.targets
        for name in target.sources
        if name in borrowed and name not in store.participants.columns
    ]
    return replace(table, notes=(*table.notes, *notes))


def rows_of(embeddings: Embeddings | Records, store: Store) -> Rows:
    """Row numbers of embedded records in their store.

    Raises:
        StageError: Some are not in it.
    """
    rows = pd.Index(store.column(RECORD)).get_indexer(pd.Index(embeddings.records))
    absent = int((rows < 0).sum())
    if absent:
        msg = f"{absent} embedded records are not in the store {store.path}: embed it again"
        raise StageError(msg)
    return np.asarray(rows, dtype=np.int64)


def _same_records(other: Embeddings, embeddings: Embeddings | Records, name: str) -> FeatureTable:
    if not np.array_equal(np.sort(other.records), np.sort(embeddings.records)):
        msg = f"{name}: these embeddings are of other records than the encoder's: embed the same"
        raise StageError(msg)
    return embedding_features(other, name)


def _cannot(entry: Entry, case: Case) -> bool:
    """Whether a second model of the encoder is not defined for the target."""
    return (entry.model, case.target.kind) == ("knn", "survival")


def predict_entries(
    case: Case, entries: Mapping[str, Entry], embeddings: Embeddings | Records, config: ProbeConfig
) -> dict[str, Predictions]:
    """Predictions of one target from every set of features; several tables of one are its runs.

    Args:
        case: The target, and who is fitted and scored.
        entries: Features by name.
        embeddings: Whose records the case was built from.
        config: Models, folds, penalties.
    """
    found: dict[str, Predictions] = {}
    for name, entry in entries.items():
        runs = [_predict_one(case, table, entry.model, config) for table in entry.tables]
        found[name] = replace(
            join_runs(runs),
            n_records=case.n_records,
            classes=case.classes,
            units=case.units.names[case.rows[case.scored]],
        )
    return found


def _predict_one(
    case: Case, table: FeatureTable, model: ModelName, config: ProbeConfig
) -> Predictions:
    features = _bags(case, table) if model == "attentive" else table.of(case.units)[case.rows]
    kind, classes = case.target.kind, len(case.classes)
    if config.folds is not None:
        return cross_validate(
            features, case.truth, case.participants,
            kind=kind, config=config, model=model, classes=classes,
        )  # fmt: skip
    fit, score_on = (
        (
            features.take(mask) if isinstance(features, Bags) else features[mask],
            case.truth[mask],
            case.participants[mask],
        )
        for mask in (case.fitted, case.scored)
    )
    return holdout(fit, score_on, kind=kind, config=config, model=model, classes=classes)


def _bags(case: Case, table: FeatureTable) -> Bags:
    """The records of each row of a case."""
    every = Bags(table.rows(case.units.records), case.units.owner, len(case.units))
    wanted = np.zeros(len(case.units), dtype=bool)
    wanted[case.rows] = True
    return every.take(wanted)


def _general_notes(
    config: ProbeConfig,
    given: Collection[str],
    usual: Sequence[str],
    participants: np.ndarray,
    splits: Mapping[str, str],
    comparisons: int,
) -> list[str]:
    notes = [
        f"Intervals: {config.level:.0%}, {METHODS[config.interval]}, "
        f"{config.bootstrap} replicates; differences are paired.",
    ]
    if any(metric.inflated for target in config.targets for metric in METRICS[target.kind]):
        notes.append(f"Calibration errors (ECE): {METHODS['basic']}, since chance lifts them.")
    if comparisons > 1:
        chance = comparisons * (1 - config.level)
        notes.append(
            f"{comparisons} comparisons; intervals are not corrected for their number: about "
            f"{chance:.2g} would exclude zero by chance alone."
        )
    if config.folds is not None:
        notes.append(
            f"{config.repeats} × {config.folds}-fold cross-validation over participants; "
            "AUROC and C-index compare rows inside a fold, partial AUROC and AUPRC their ranks."
        )
    if ENCODER not in given:
        notes.append("No encoder is in this table: nothing is compared with one.")
    missing = [name for name in (*usual, METADATA, UNTRAINED) if name not in given]
    if missing:
        notes.append(f"Not beside the encoder, because not given: {', '.join(missing)}.")
    used = {*config.score_on, *(config.fit_on if config.folds is None else ())}
    embedded = set(participants.tolist())
    unseen = sum(split in used and name not in embedded for name, split in splits.items())
    if unseen:
        where = ", ".join(split for split in SPLITS if split in used)
        notes.append(
            f"{unseen} participants of {where} have no embedded record "
            "(another modality, or left out by the selection)."
        )
    outside = sum(name not in splits for name in np.unique(participants).tolist())
    if outside:
        notes.append(f"{outside} embedded participants are in no split and were left out.")
    return notes
