"""Frozen rows that say how alike reports are, for targets that are weighted by likeness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from medssl.errors import StageError
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_text

TOPICS: Final = 64
"""Dimensions of latent semantic analysis, where the reports have as many."""


def reference_rows(reports: Sequence[str], bundle: Path | None) -> np.ndarray:
    """One row for each report, float32 of shape (reports, dim).

    Args:
        reports: As stored.
        bundle: Of a text encoder; None takes latent semantic analysis (Deerwester et al., 1990):
            the leading singular vectors of the reports' TF-IDF, words and pairs of words.

    Raises:
        StageError: The bundle holds no text encoder, or the reports have no words.
    """
    if bundle is not None:
        return _embedded(reports, bundle)
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    policy = TextPolicy(missing="other")
    texts = [chosen_text(report, policy) or "" for report in reports]
    try:
        counts = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit_transform(texts)
    except ValueError as error:
        msg = "the training reports have no words to compare: see the ledger of ingest"
        raise StageError(msg) from error
    topics = min(TOPICS, counts.shape[1] - 1, counts.shape[0] - 1)
    if topics < 1:
        return np.asarray(counts.toarray(), dtype=np.float32)
    rows = TruncatedSVD(topics, random_state=0).fit_transform(counts)
    return np.asarray(rows, dtype=np.float32)


def _embedded(reports: Sequence[str], bundle: Path) -> np.ndarray:
    from medssl.bundle import load_encoder
    from medssl.types import Kind

    encoder = load_encoder(bundle)
    if encoder.contract.modality.kind is not Kind.TEXT:
        msg = f"{bundle} is no text encoder: method.loss.reference needs one"
        raise StageError(msg)
    return encoder.embed_raw(list(reports))
