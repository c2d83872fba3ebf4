"""Labels of records, and of the other records of their study where they have none themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medssl.sampling.studies import study_codes
from medssl.store.schema import RECORD
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.store import Store


def study_labels(store: Store, rows: Rows) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Labels of some records, such as reports whose findings a manifest tells of the images.

    A label that at least one of the records has is left as it is. One that none of them has comes
    from the other records of each study: where those that have it agree, it is theirs, else it is
    missing.

    Args:
        store: Records, studies and labels.
        rows: Row numbers of the records, of one modality.

    Returns:
        One row for each record, index record names, all label columns of the store; and the columns
        that come from other records.
    """
    names = store.column(RECORD, rows)
    own = store.record_labels.reindex(names)
    absent = [name for name in own.columns if own[name].isna().all()]
    if not absent:
        return own, ()
    labelled = store.record_labels[absent].dropna(how="all")
    others = pd.Index(store.column(RECORD)).get_indexer(labelled.index)
    others = np.setdiff1d(others[others >= 0], rows)
    # Codes of these alone: a store may hold millions of records without a label.
    codes, of_others = np.split(study_codes(store, np.concatenate([rows, others])), [len(rows)])
    studies = labelled.reindex(store.column(RECORD, others)).groupby(of_others)
    agreed = studies.first().where(studies.nunique() == 1).reindex(codes)
    given = tuple(str(name) for name in absent if agreed[name].notna().any())
    return own.assign(**{name: agreed[name].to_numpy() for name in given}), given
