"""Linear probes of every arm beside what needs no pretraining, on the same participants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from medssl.bench.parts import Part
from medssl.bench.scores import Score, score_case
from medssl.evaluation.baselines import (
    DEMOGRAPHICS,
    FeatureTable,
    demographic_features,
    embedding_features,
)
from medssl.evaluation.cases import Case, build_case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probe import Entry, predict_entries
from medssl.evaluation.probes import ProbeConfig
from medssl.sampling.splits import TRAIN
from medssl.store import Store

Further = Callable[[Case, Embeddings], tuple[Mapping[str, Predictions], Sequence[str]]]
"""Predictions of a case by other means, with notes on them."""


def score_linear(
    part: Part,
    store: Store,
    embeddings: Mapping[str, Sequence[Embeddings]],
    baselines: Sequence[FeatureTable],
    *,
    base: str,
    noun: str = "records",
    config: ProbeConfig | None = None,
    further: Further | None = None,
) -> tuple[list[Score], list[str]]:
    """Score every arm and baseline on every target, on the same participants.

    Demographics other than the target join the baselines where the probes name some.

    Args:
        part: Targets, metrics and splits.
        store: Labels.
        embeddings: Of each arm, one table per seed, all of the same records.
        baselines: Other features.
        base: The arm that the others are compared with.
        noun: What the records are, for the notes.
        config: Probes other than the part's.
        further: What else predicts.

    Returns:
        Scores, and notes on who was scored.
    """
    config = config or part.probe
    splits = part.splits(store)
    trained = [name for name, split in splits.items() if split == TRAIN]
    reference = embeddings[base][0]
    fixed = {
        name: Entry(tuple(embedding_features(one, name) for one in seeds))
        for name, seeds in embeddings.items()
    } | {table.name: Entry((table,)) for table in baselines}
    scores: list[Score] = []
    notes: list[str] = []
    for target in config.targets:
        case = build_case(
            target, reference, store.participants, store.record_labels, splits, config, trained
        )
        notes += case.notes
        if case.problem:
            notes.append(f"{target.name} left out: {case.problem}.")
            continue
        entries = dict(fixed)
        known = demographic_features(
            store.participants, config.demographics, without=target.sources
        )
        if known is not None:
            entries[DEMOGRAPHICS] = Entry((known,))
        found = dict(predict_entries(case, entries, reference, config))
        if further is not None:
            others, told = further(case, reference)
            found |= others
            notes += told
        scores += score_case(case, part.metric(target), found, config, base=base)
        notes.append(
            f"{target.name}: fitted on {case.n_fit} participants, scored on {case.n_score} "
            f"({case.n_records} {noun})."
        )
    return scores, notes
