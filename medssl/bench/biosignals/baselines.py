"""What stands beside the arms: encoders with random weights, and features that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medssl.bundle import load_encoder, read_config
from medssl.encoders import parse_encoder_config
from medssl.evaluation.acquisition import acquisition_features
from medssl.evaluation.baselines import FeatureTable, mean_features
from medssl.evaluation.embed import embed_store
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.heart_rate import heart_rate_features
from medssl.evaluation.heart_rate_variability import heart_rate_variability_features
from medssl.evaluation.signal_statistics import signal_features
from medssl.evaluation.untrained import untrained_encoder
from medssl.store import Store
from medssl.store.schema import PARTICIPANT
from medssl.types import Modality


def baseline_tables(store: Store, rows: np.ndarray, modality: str) -> list[FeatureTable]:
    """Features by name that need no fitting, for the same records.

    Args:
        store: Where the records are.
        rows: Records that are probed.
        modality: `"ppg"` or `"ecg"`.
    """
    return [
        # Of every record, since some targets are of records.
        heart_rate_features(store, rows, modality=Modality(modality), per_participant=None),
        heart_rate_variability_features(store, rows, modality=Modality(modality)),
        signal_features(store, rows),
        acquisition_features(store, rows),
        mean_features(store.column(PARTICIPANT, rows)),
    ]


def untrained_embeddings(
    store: Store, rows: np.ndarray, fit_rows: np.ndarray, bundle: Path, *, seeds: int
) -> Sequence[Embeddings]:
    """Embeddings by encoders of the recipe's shape with random weights, one table per seed."""
    described = read_config(bundle)
    contract = load_encoder(bundle).contract
    return [
        embed_store(
            untrained_encoder(
                parse_encoder_config(described["encoder"]), contract, store, fit_rows,
                limit=described["provenance"]["calibration records"], seed=seed,
            ),
            store, rows,
        )
        for seed in range(seeds)
    ]  # fmt: skip
