"""The encoder with random weights: what any trained encoder must beat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from medssl.bundle import Encoder
from medssl.encoders import EncoderConfig, build_encoder
from medssl.encoders.calibration import calibrate_batch_norm
from medssl.records import Contract
from medssl.store import Store
from medssl.types import Rows
from medssl.views.normalise import zscore

_BATCH = 256


def plain_batches(store: Store, rows: Rows, *, limit: int, seed: int) -> Iterator[Tensor]:
    """Normalised segments without views, at most `limit` of them, drawn once with `seed`.

    Yields:
        Float32 tensors of shape (batch, channels, time).
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    for part in np.array_split(drawn, -(-len(drawn) // _BATCH)):
        yield zscore(torch.from_numpy(store.read(part)))


def untrained_encoder(
    config: EncoderConfig, contract: Contract, store: Store, rows: Rows, *, limit: int, seed: int
) -> Encoder:
    """An encoder of the same shape with random weights, its batch norm fitted to the same data.

    Args:
        config: How to build it.
        contract: What it expects of its input.
        store: Where the records are.
        rows: Records of the training participants.
        limit: Records used for the batch-norm statistics.
        seed: Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_encoder(config)
    calibrate_batch_norm(module, plain_batches(store, rows, limit=limit, seed=seed))
    return Encoder(module, contract, digest=f"untrained-{seed}")
