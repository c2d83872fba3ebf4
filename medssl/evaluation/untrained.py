"""The encoder with random weights: what any trained encoder must beat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from medssl.batches import ModelInput
from medssl.bundle import Encoder
from medssl.contracts import Contract
from medssl.encoders import EncoderConfig, build_encoder
from medssl.encoders.calibration import calibrate_batch_norm
from medssl.inputs import Inputs
from medssl.store import Store
from medssl.text.tokenizer import Tokenizer
from medssl.types import Rows

_BATCH = 256


def plain_batches(
    inputs: Inputs, store: Store, rows: Rows, *, limit: int, seed: int
) -> Iterator[ModelInput]:
    """What an encoder takes of at most `limit` usable records, without views, drawn with `seed`."""
    rows = inputs.usable(store, rows)
    drawn = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    for part in np.array_split(drawn, -(-len(drawn) // _BATCH)):
        yield inputs.plain(inputs.read(store, part))


def untrained_encoder(
    config: EncoderConfig,
    contract: Contract,
    store: Store,
    rows: Rows,
    *,
    limit: int,
    seed: int,
    tokenizer: Tokenizer | None = None,
) -> Encoder:
    """An encoder of the same shape with random weights, its batch norm fitted to the same data.

    Args:
        config: How to build it.
        contract: What it expects of its input.
        store: Where the records are.
        rows: Records of the training participants.
        limit: Records used for the batch-norm statistics.
        seed: Of the weights.
        tokenizer: Of a text encoder.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_encoder(config)
    encoder = Encoder(
        module, contract, digest=f"untrained-{seed}", device="cpu", tokenizer=tokenizer
    )
    calibrate_batch_norm(module, plain_batches(encoder.inputs, store, rows, limit=limit, seed=seed))
    return Encoder(module, contract, digest=encoder.digest, tokenizer=tokenizer)
