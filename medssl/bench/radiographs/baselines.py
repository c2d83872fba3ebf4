"""Features that need no training, beside the arms."""

from __future__ import annotations

from medssl.evaluation.acquisition import acquisition_features
from medssl.evaluation.baselines import FeatureTable, mean_features
from medssl.evaluation.image_statistics import image_features, image_shape_features
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
