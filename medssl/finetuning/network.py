"""An encoder with a head: from records of units to outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from medssl.batches import ModelInput, Raw, move
from medssl.contracts import Contract
from medssl.errors import StageError
from medssl.finetuning.heads import Head
from medssl.finetuning.scale import Scale
from medssl.finetuning.units import LabelledUnits
from medssl.inputs import Inputs
from medssl.store import Store
from medssl.types import Rows

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
BATCH: Final = 256
"""Records encoded at once when nothing is learned; bounds the memory."""

_DTYPES: Final = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}


class TaskNetwork(nn.Module):
    """An encoder and a head.

    Args:
        encoder: Maps normalised records to (records, dim).
        head: Pools the records of a unit and classifies.
        precision: In which the encoder runs; the head and every loss are float32.
    """

    def __init__(self, encoder: nn.Module, head: Head, *, precision: Precision = "32-true") -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self._precision: Precision = precision

    def encode(self, records: ModelInput) -> Tensor:
        """Embeddings of normalised records, float32, shape (records, dim)."""
        device = records.device if isinstance(records, Tensor) else records[0].device
        with self.autocast(device):
            features: Tensor = self.encoder(records)
        return features.float()

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """Mixed precision where it was asked for."""
        found: AbstractContextManager[None] = torch.autocast(
            device.type, dtype=_DTYPES[self._precision], enabled=self._precision != "32-true"
        )
        return found

    def pool(self, features: Tensor, mask: Tensor) -> Tensor:
        """One vector for each unit; `features` holds the records in the order of the true places.

        Args:
            features: Shape (r, dim).
            mask: Shape (b, k), with r true places.
        """
        padded = features.new_zeros(*mask.shape, features.shape[1])
        padded[mask] = features
        pooled: Tensor = self.head.pool(padded, mask)
        return pooled


class Reader:
    """Fetches records of a store as an encoder takes them.

    Args:
        store: Where they are.
        inputs: How they are normalised.
    """

    def __init__(self, store: Store, inputs: Inputs) -> None:
        self._store = store
        self._inputs = inputs

    @property
    def digest(self) -> str:
        """Digest of the store."""
        return self._store.digest

    @property
    def contract(self) -> Contract:
        """What the encoder expects of the records."""
        return self._inputs.contract

    def plain(self, rows: Rows, device: torch.device) -> ModelInput:
        """Without views.

        Raises:
            StageError: Some of them hold NaN or infinite samples.
        """
        return self._inputs.plain(self._read(rows), device)

    def viewed(self, rows: Rows, device: torch.device, views: Any, *, seed: int) -> ModelInput:
        """Seen through views.

        Raises:
            StageError: Some of them hold NaN or infinite samples.
        """
        return self._inputs.viewed(move(self._read(rows), device), views, seed=seed)

    def _read(self, rows: Rows) -> Raw:
        raw = self._inputs.read(self._store, rows)
        bad = int(self._inputs.broken(raw).sum())
        if bad:
            msg = (
                f"finetune: {bad} record(s) hold NaN or infinite samples: drop them with a "
                "selection, or ingest them again"
            )
            raise StageError(msg)
        return raw


@torch.no_grad()
def embed_rows(network: TaskNetwork, read: Reader, rows: Rows, device: torch.device) -> Tensor:
    """Embeddings of many records in evaluation mode, on the CPU, shape (r, dim)."""
    network.encoder.eval()
    pieces = [
        network.encode(read.plain(rows[start : start + BATCH], device)).cpu()
        for start in range(0, len(rows), BATCH)
    ]
    return torch.cat(pieces)


@torch.no_grad()
def predict_units(
    network: TaskNetwork, read: Reader, units: LabelledUnits, scale: Scale, device: torch.device
) -> np.ndarray:
    """Predictions in the natural scale, one a unit, shape (n,) or (n, k).

    A linear head predicts each record, and a unit's prediction is the mean over its records in
    the natural scale (of probabilities, not of logits). An attention head predicts the bag of all
    records of the unit. At most `BATCH` records, or one unit, are held at a time.
    """
    network.eval()
    found = []
    for block in blocks(units.counts):
        rows = units.rows[units.offsets[block.start] : units.offsets[block.stop]]
        features = embed_rows(network, read, rows, device).to(device)
        found.append(predict_features(network, features, units.counts[block], scale))
    return np.concatenate(found)


@torch.no_grad()
def predict_features(
    network: TaskNetwork, features: Tensor, counts: np.ndarray, scale: Scale
) -> np.ndarray:
    """Predictions of units from the embeddings of their records, in the natural scale.

    Args:
        network: In evaluation mode.
        features: Embeddings of all records, unit after unit, shape (r, dim).
        counts: Records of each unit, shape (n,).
        scale: What the outputs mean.
    """
    bags = counts if network.head.bags else np.ones(int(counts.sum()), dtype=np.int64)
    mask = torch.from_numpy(np.arange(int(bags.max())) < bags[:, None]).to(features.device)
    outputs = network.head.classify(network.pool(features, mask)).double().cpu().numpy()
    natural = scale.natural(outputs)
    if network.head.bags:
        return natural
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(natural, starts, axis=0)
    return np.asarray(sums / (counts if natural.ndim == 1 else counts[:, None]))


def blocks(counts: np.ndarray) -> Iterator[slice]:
    """Consecutive units with at most `BATCH` records together; a larger unit stands alone."""
    start = held = 0
    for place, count in enumerate(counts.tolist()):
        if place > start and held + count > BATCH:
            yield slice(start, place)
            start, held = place, 0
        held += count
    if start < len(counts):
        yield slice(start, len(counts))
