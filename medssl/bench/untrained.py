"""Encoders with random weights, beside the arms of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medssl.bundle import load_encoder, read_config
from medssl.encoders import parse_encoder_config
from medssl.evaluation.embed import embed_store
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.untrained import untrained_encoder
from medssl.store import Store

UNTRAINED_SEEDS = 3
"""Untrained encoders beside the arms."""


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
