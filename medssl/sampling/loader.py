"""Batches of positive pairs read from a store; the position is the whole state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from medssl.batches import Raw
from medssl.sampling.pairs import PairBatch, PairSampler
from medssl.store import Store
from medssl.types import Rows

Read = Callable[[Rows], Raw]
"""Gives the records of some rows, as a store holds them."""


class Batch(TypedDict):
    """One batch of positive pairs as it comes from the store, before views."""

    first: Raw
    """Records of the first modality."""
    second: Raw
    """Of the same modality, or of a partner's."""
    participants: Tensor
    """Codes, shape (pairs,)."""
    position: int
    """Number of this batch since the start of training."""
    places: NotRequired[Tensor]
    """Number of each first record among those that are drawn from, shape (pairs,)."""
    studies: NotRequired[Tensor]
    """Codes of studies, shape (pairs,)."""
    companion: NotRequired[Raw]
    """A further record of the first modality for each pair."""


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
        read: Gives the records of some rows; by default arrays as they are stored.
        read_partner: The same for the second record of each pair; by default `read`.
        studies: Number of the study of each of the sampler's rows.
        companions: Whether batches hold the sampler's companions.
    """

    def __init__(
        self,
        store: Store,
        sampler: PairSampler,
        *,
        total: int,
        read: Read | None = None,
        read_partner: Read | None = None,
        studies: Rows | None = None,
        companions: bool = False,
    ) -> None:
        self._sampler = sampler
        self._read_first: Read = read or (lambda rows: torch.from_numpy(store.read(rows)))
        self._read_second = read_partner or self._read_first
        self._studies = studies
        self._companions = companions
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
        batch: Batch = {
            "first": self._read_first(pairs.first),
            "second": self._read_second(pairs.second),
            "participants": torch.from_numpy(pairs.participants),
            "position": position,
            "places": torch.from_numpy(pairs.places),
        }
        if self._studies is not None:
            batch["studies"] = torch.from_numpy(self._studies[pairs.places])
        if self._companions:
            batch["companion"] = self._read_first(pairs.companions)
        return batch
