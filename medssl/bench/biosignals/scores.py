"""Probe scores of every arm beside what needs no pretraining, with paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medssl.bench.biosignals.arms import BASE
from medssl.bench.scores import Score, score_case
from medssl.evaluation.baselines import (
    DEMOGRAPHICS,
    FeatureTable,
    demographic_features,
    embedding_features,
)
from medssl.evaluation.cases import build_case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.minirocket import ridge_config
from medssl.evaluation.probe import Entry, predict_entries
from medssl.evaluation.probes import ProbeConfig
from medssl.store import Store

MINIROCKET = "MiniRocket + ridge"


def score_arms(
    store: Store,
    embeddings: Mapping[str, Sequence[Embeddings]],
    baselines: Sequence[FeatureTable],
    config: ProbeConfig,
    metrics: Mapping[str, str],
    splits: Mapping[str, str],
    *,
    pretraining: Sequence[str],
    rocket: FeatureTable | None = None,
) -> tuple[list[Score], list[str]]:
    """Score every arm and baseline on every target, on the same participants.

    Demographics other than the target join the baselines where `config` names some.

    Args:
        store: Labels.
        embeddings: Of each arm, one table per seed, all of the same records.
        baselines: Other features.
        config: Targets, splits and bootstrap.
        metrics: The metric for each target.
        splits: Participant → split.
        pretraining: Participants that the encoders were pretrained on.
        rocket: MiniRocket features, which get the ridge of their paper.

    Returns:
        Scores, and notes on who was scored.
    """
    reference = embeddings[BASE][0]
    fixed = {
        name: Entry(tuple(embedding_features(one, name) for one in seeds))
        for name, seeds in embeddings.items()
    } | {table.name: Entry((table,)) for table in baselines}
    scores: list[Score] = []
    notes: list[str] = []
    for target in config.targets:
        case = build_case(
            target, reference, store.participants, store.record_labels, splits, config, pretraining
        )
        notes += case.notes
        if case.problem:
            notes.append(f"{target.name} left out: {case.problem}.")
            continue
        metric = next(m for m in METRICS[target.kind] if m.name == metrics[target.name])
        entries = dict(fixed)
        known = demographic_features(
            store.participants, config.demographics, without=target.sources
        )
        if known is not None:
            entries[DEMOGRAPHICS] = Entry((known,))
        found = predict_entries(case, entries, reference, config)
        if rocket is not None:
            # Thousands of rows by ten thousand features would take minutes for each fold.
            table = rocket
            if target.level != "participant":
                table = _thinned(rocket)
                notes.append(f"{target.name}: {MINIROCKET} has every fourth feature.")
            entry = {MINIROCKET: Entry((table,))}
            found |= predict_entries(case, entry, reference, ridge_config(config))
        scores += score_case(case, metric, found, config, base=BASE)
        notes.append(
            f"{target.name}: fitted on {case.n_fit} participants, scored on {case.n_score} "
            f"({case.n_records} records)."
        )
    return scores, notes


def _thinned(table: FeatureTable) -> FeatureTable:
    """Every fourth feature."""
    return replace(table, values=table.values[:, ::4], columns=table.columns[::4])
