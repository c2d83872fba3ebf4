"""The features that need no training, as the records of a store give them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Final

from medssl.evaluation.baselines import HEART_RATE, METADATA, STATISTICS, FeatureTable
from medssl.evaluation.image_statistics import IMAGE_SHAPE, IMAGE_STATISTICS
from medssl.evaluation.report_words import BAG_OF_WORDS
from medssl.store.schema import MODALITY
from medssl.types import Kind, Modality, Rows

if TYPE_CHECKING:
    from medssl.store import Store

SIGNALS: Final = (HEART_RATE, STATISTICS)
_USUAL: Final = {
    Kind.WAVEFORM: SIGNALS, Kind.IMAGE: (IMAGE_STATISTICS,), Kind.TEXT: (BAG_OF_WORDS,),
}  # fmt: skip


def usual_features(store: Store, rows: Rows) -> tuple[str, ...]:
    """Names of the features that such records should stand beside."""
    modality = _modality(store, rows)
    return () if modality is None else _USUAL.get(modality.kind, ())


def store_features(
    store: Store, rows: Rows, *, each_record: bool, without: Collection[str] = ()
) -> list[FeatureTable]:
    """Features of records of one modality: of signals, images or reports, and how they were made.

    Args:
        store: Where the records are.
        rows: Their rows; of records of several modalities only the metadata are told.
        each_record: Whether every record needs its beats, as targets of records do.
        without: Names of features that are there already.
    """
    from medssl.evaluation.acquisition import acquisition_features
    from medssl.evaluation.heart_rate import heart_rate_features
    from medssl.evaluation.image_statistics import image_features, image_shape_features
    from medssl.evaluation.report_words import word_features
    from medssl.evaluation.signal_statistics import signal_features

    modality = _modality(store, rows)
    kind = None if modality is None else modality.kind
    makers: dict[str, Callable[[Store, Rows], FeatureTable]] = {}
    if modality in (Modality.PPG, Modality.ECG):
        makers[HEART_RATE] = partial(
            heart_rate_features, modality=modality, per_participant=None if each_record else 16
        )
    if kind is Kind.WAVEFORM:
        makers[STATISTICS] = signal_features
    if kind is Kind.IMAGE:
        makers |= {IMAGE_STATISTICS: image_features, IMAGE_SHAPE: image_shape_features}
    if kind is Kind.TEXT:
        makers[BAG_OF_WORDS] = word_features
    makers[METADATA] = acquisition_features
    return [make(store, rows) for name, make in makers.items() if name not in without]


def _modality(store: Store, rows: Rows) -> Modality | None:
    """Of all the records; None of several."""
    found = set(store.column(MODALITY, rows).tolist())
    return Modality(found.pop()) if len(found) == 1 else None
