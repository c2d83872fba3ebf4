"""Linear probes of every arm beside what needs no pretraining, on the same participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medssl.bench.radiographs.arms import BASE
from medssl.bench.scores import Score, score_case
from medssl.evaluation.acquisition import acquisition_features
from medssl.evaluation.baselines import FeatureTable, embedding_features, mean_features
from medssl.evaluation.cases import build_case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_statistics import image_features, image_shape_features
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.probe import Entry, predict_entries
from medssl.evaluation.probes import ProbeConfig
from medssl.store import Store
from medssl.store.schema import PARTICIPANT
from medssl.types import Rows


def baseline_tables(store: Store, rows: Rows) -> list[FeatureTable]:
    """Features of the images that need no training: statistics, shape, view and the like, none."""
    return [
        image_features(store, rows),
        image_shape_features(store, rows),
        acquisition_features(store, rows),
        mean_features(store.column(PARTICIPANT, rows)),
    ]


def score_linear(
    store: Store,
    embeddings: Mapping[str, Sequence[Embeddings]],
    baselines: Sequence[FeatureTable],
    config: ProbeConfig,
    metrics: Mapping[str, str],
    splits: Mapping[str, str],
    *,
    pretraining: Sequence[str],
    base: str = BASE,
) -> tuple[list[Score], list[str]]:
    """Score every arm and baseline on every target.

    Args:
        store: Labels.
        embeddings: Of each arm, one table per seed, all of the same records.
        baselines: Other features.
        config: Targets, splits and bootstrap.
        metrics: The metric for each target.
        splits: Participant → split.
        pretraining: Participants that the encoders were pretrained on.
        base: What the others are compared with.

    Returns:
        Scores, and notes on who was scored.
    """
    reference = embeddings[base][0]
    entries = {
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
        found = predict_entries(case, entries, reference, config)
        scores += score_case(case, metric, found, config, base=base)
        notes.append(
            f"{target.name}: fitted on {case.n_fit} participants, scored on {case.n_score} "
            f"({case.n_records} images)."
        )
    return scores, notes
