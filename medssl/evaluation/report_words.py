"""A bag of words of every report: what an encoder of texts must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.baselines import FeatureTable
from medssl.store import schema
from medssl.types import Kind, Modality, Rows

if TYPE_CHECKING:
    from medssl.store import Store

BAG_OF_WORDS: Final = "bag of words"
COLUMNS: Final = 1024
"""Places that words share."""


def word_features(store: Store, rows: Rows) -> FeatureTable:
    """Words and pairs of neighbouring words of every report, counted without any training.

    Each is hashed to one of `COLUMNS` places with a sign, and rows are scaled to length 1
    (Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009). All
    sections are read, with their names, whatever the encoder's text policy takes.

    Args:
        store: Where the reports are.
        rows: Row numbers of reports.

    Raises:
        StageError: A row is no report.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    if any(
        Modality(name).kind is not Kind.TEXT for name in set(store.column(schema.MODALITY, rows))
    ):
        msg = f"a {BAG_OF_WORDS} is for records of texts: choose rows of modality report"
        raise StageError(msg)
    counter = HashingVectorizer(n_features=COLUMNS, ngram_range=(1, 2), dtype=np.float32)
    texts = (str(store.read_record(int(row))) for row in rows)
    return FeatureTable(
        BAG_OF_WORDS,
        store.column(schema.RECORD, rows),
        counter.transform(texts).toarray(),
        tuple(f"place {place}" for place in range(COLUMNS)),
        note=f"words and pairs of words of all sections, hashed to {COLUMNS} places",
        by="record",
    )
