"""Features that need no training, beside the arms."""

from __future__ import annotations

import numpy as np

from medssl.evaluation.acquisition import acquisition_features
from medssl.evaluation.baselines import FeatureTable, mean_features
from medssl.evaluation.heart_rate import heart_rate_features
from medssl.evaluation.heart_rate_variability import heart_rate_variability_features
from medssl.evaluation.signal_statistics import signal_features
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
