"""Reduction rules, applied in order: quality and its parts, views, then exact duplicates."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medssl.reduction.config import ReduceConfig
from medssl.reduction.selection import Selection
from medssl.store import Store
from medssl.store.schema import CONTENT_DIGEST, GRADES, MODALITY, PARTICIPANT, QUALITY, VIEW
from medssl.types import Kind

LOW_QUALITY = "low_quality"
EXACT_DUPLICATE = "exact_duplicate"
AMBIGUOUS_OWNER = "ambiguous_owner"
OTHER_VIEW = "other_view"


def quality_reason(component: str) -> str:
    """Why a record is left out whose component of quality is out of range.

    >>> quality_reason("kurtosis")
    'quality_kurtosis'
    """
    return f"quality_{component}"


def reduce(store: Store, config: ReduceConfig) -> Selection:
    """Apply the rules to a whole store.

    Duplicates inside a participant keep their first record. Equal content under two participants
    is left out everywhere, because a positive pair or a label would be false for one of them.
    Reports are compared by neither rule: many normal ones read alike, word by word.
    """
    selection = Selection.everything(store)
    quality = store.column(QUALITY).astype(float)
    low = np.flatnonzero(quality < config.quality_floor)
    selection = selection.drop(low, reason=LOW_QUALITY)
    for component, kept_range in config.quality.given():
        # As they are stored, so that both ends are included; NaN, not graded, is outside nothing.
        values = store.column(GRADES[component]).astype(np.float32)
        below = values < np.float32(-np.inf if kept_range.min is None else kept_range.min)
        above = values > np.float32(np.inf if kept_range.max is None else kept_range.max)
        outside = np.flatnonzero(below | above)
        selection = selection.drop(outside, reason=quality_reason(component))
    if config.views:
        shown = store.column(VIEW)
        image = np.isin(store.column(MODALITY).astype(str), Kind.IMAGE.modalities)
        wanted = np.array([view in config.views for view in shown.tolist()], dtype=bool)
        selection = selection.drop(np.flatnonzero(image & ~wanted), reason=OTHER_VIEW)
    kept = np.flatnonzero(
        selection.keep & ~np.isin(store.column(MODALITY).astype(str), Kind.TEXT.modalities)
    )
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


def count_ungraded(store: Store, config: ReduceConfig, selection: Selection) -> dict[str, int]:
    """Kept records that a rule could not judge, by what they lack; only rules that are on."""
    columns = {"quality": QUALITY} if config.quality_floor > 0 else {}
    columns |= {name: GRADES[name] for name, _ in config.quality.given()}
    missing = {
        name: int((selection.keep & np.isnan(store.column(column).astype(float))).sum())
        for name, column in columns.items()
    }
    return {name: count for name, count in missing.items() if count}
