"""Reduction rules, applied in order: a quality floor, then exact duplicates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medssl.reduction.config import ReduceConfig
from medssl.reduction.selection import Selection
from medssl.store import Store
from medssl.store.schema import CONTENT_DIGEST, PARTICIPANT, QUALITY

LOW_QUALITY = "low_quality"
EXACT_DUPLICATE = "exact_duplicate"
AMBIGUOUS_OWNER = "ambiguous_owner"


def reduce(store: Store, config: ReduceConfig) -> Selection:
    """Apply the rules to a whole store.

    Duplicates inside a participant keep their first record. Equal content under two participants
    is left out everywhere, because a positive pair or a label would be false for one of them.
    """
    selection = Selection.everything(store)
    quality = store.column(QUALITY).astype(float)
    low = np.flatnonzero(quality < config.quality_floor)
    selection = selection.drop(low, reason=LOW_QUALITY)
    kept = np.flatnonzero(selection.keep)
    frame = pd.DataFrame(
        {
            "row": kept,
            "digest": store.column(CONTENT_DIGEST, kept),
            "participant": store.column(PARTICIPANT, kept),
        }
    )
    if config.across_participants:
        owners = frame.groupby("digest")["participant"].transform("nunique")
        shared = frame.loc[owners > 1, "row"].to_numpy()
        selection = selection.drop(shared, reason=AMBIGUOUS_OWNER)
        frame = frame[owners == 1]
    if config.exact_duplicates:
        first = frame.groupby(["participant", "digest"])["row"].transform("min")
        repeats = frame[frame["row"] != first]
        selection = selection.drop(
            repeats["row"].to_numpy(),
            reason=EXACT_DUPLICATE,
            keepers=first[repeats.index].to_numpy(),
            distances=np.zeros(len(repeats)),
        )
    return selection
