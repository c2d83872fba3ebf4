"""Batches of positive pairs read from a store; the position is the whole state."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import torch
from torch import Tensor

from medssl.sampling.pairs import PairBatch, PairSampler
from medssl.store import Store


class Batch(TypedDict):
    """One batch of positive pairs as it comes from the store, before views."""

    first: Tensor
    """Shape (pairs, channels, time)."""
    second: Tensor
    """Shape (pairs, channels, time)."""
    participants: Tensor
    """Codes, shape (pairs,)."""
    position: int
    """Number of this batch since the start of training."""


class PairLoader:
    """All batches of a training run, in order; can start at any of them.

    The batch at a position depends on the sampler alone, so that a resumed run sees what an
    undisturbed one would have seen. `state_dict` follows the protocol by which Lightning stores
    the state of loaders: it counts the batches handed out, and one batch is read ahead in a
    thread without being counted.

    Args:
        store: Where the records are.
        sampler: Which records stand in which batch.
        total: Number of batches in the whole run.
    """

    def __init__(self, store: Store, sampler: PairSampler, *, total: int) -> None:
        self._store = store
        self._sampler = sampler
        self._total = total
        self._position = 0

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the current position to the end."""
        with ThreadPoolExecutor(1) as reader:
            batches = self._positions()
            ahead = next(batches, None)
            future = reader.submit(self._read, *ahead) if ahead else None
            while future is not None:
                ahead = next(batches, None)
                batch = future.result()
                future = reader.submit(self._read, *ahead) if ahead else None
                self._position = batch["position"] + 1
                yield batch

    def state_dict(self) -> dict[str, int]:
        """The number of batches handed out."""
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to the batch after the last one handed out."""
        self._position = int(state["position"])

    def _positions(self) -> Iterator[tuple[int, PairBatch]]:
        epoch, inside = divmod(self._position, self._sampler.batches_per_epoch)
        position = self._position
        while position < self._total:
            for pairs in self._sampler.epoch(epoch)[inside:]:
                if position == self._total:
                    return
                yield position, pairs
                position += 1
            epoch, inside = epoch + 1, 0

    def _read(self, position: int, pairs: PairBatch) -> Batch:
        return {
            "first": torch.from_numpy(self._store.read(pairs.first)),
            "second": torch.from_numpy(self._store.read(pairs.second)),
            "participants": torch.from_numpy(pairs.participants),
            "position": position,
        }
