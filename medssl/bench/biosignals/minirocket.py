"""MiniRocket with the ridge of its paper, beside the probes and on the label curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from medssl.bench.linear import Further
from medssl.bench.parts import CurveConfig, Part
from medssl.evaluation.baselines import FeatureTable
from medssl.evaluation.cases import Case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.minirocket import ridge_config
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probe import Entry, predict_entries
from medssl.evaluation.probes import ProbeConfig, holdout
from medssl.finetuning.config import FinetuneConfig
from medssl.finetuning.finetune import choose_subsets
from medssl.finetuning.units import LabelledUnits, label_units, split_units
from medssl.sampling.splits import TEST, TRAIN
from medssl.store import Store
from medssl.store.schema import RECORD

MINIROCKET: Final = "MiniRocket + ridge"


def beside_probes(table: FeatureTable, config: ProbeConfig) -> Further:
    """Its predictions of a case.

    Args:
        table: MiniRocket features of all records.
        config: The probes that it stands beside.
    """

    def predict(case: Case, reference: Embeddings) -> tuple[Mapping[str, Predictions], list[str]]:
        features, notes = table, []
        if case.target.level != "participant":
            # Thousands of rows by ten thousand features would take minutes for each fold.
            features = replace(table, values=table.values[:, ::4], columns=table.columns[::4])
            notes = [f"{case.target.name}: {MINIROCKET} has every fourth feature."]
        entry = {MINIROCKET: Entry((features,))}
        return predict_entries(case, entry, reference, ridge_config(config)), notes

    return predict


def on_a_curve(
    table: FeatureTable,
    store: Store,
    rows: np.ndarray,
    part: Part,
    curve: CurveConfig,
    settings: FinetuneConfig,
    seeds: int,
) -> list[dict[float, Predictions]]:
    """Its predictions by fraction and seed, fitted on the networks' labelled participants.

    The features are the same for every seed; their biases are quantiles over all training
    participants, which needs no labels.
    """
    target = part.target(curve.target)
    parts = split_units(label_units(store, rows, target), part.splits(store))
    config = ridge_config(ProbeConfig(targets=(target,)))
    scored = _means(parts[TEST], table, store)
    found = []
    for seed in range(seeds):
        subsets, _ = choose_subsets(parts[TRAIN], settings, seed=seed)
        predictions = {}
        for fraction, units in subsets.items():
            fit = (_means(units[0], table, store), units[0].values, units[0].participants)
            made = holdout(
                fit, (scored, parts[TEST].values, parts[TEST].participants),
                kind=target.kind, config=config, classes=len(parts[TEST].classes),
            )  # fmt: skip
            predictions[fraction] = replace(made, units=parts[TEST].names)
        found.append(predictions)
    return found


def _means(units: LabelledUnits, table: FeatureTable, store: Store) -> np.ndarray:
    """Mean features of each unit's records, shape (units, features)."""
    values = table.rows(store.column(RECORD, units.rows).astype(np.str_))
    sums = np.add.reduceat(values, units.offsets[:-1], axis=0, dtype=np.float64)
    return np.asarray(sums / units.counts[:, None])
