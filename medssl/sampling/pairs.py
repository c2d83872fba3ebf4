"""Positive pairs: two records of one participant, drawn as a pure function of the position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from medssl.config import StrictModel
from medssl.errors import StageError
from medssl.types import Rows


class PairConfig(StrictModel):
    """How positive pairs are drawn."""

    level: Literal["participant", "segment"] = Field(
        "participant",
        description="participant: two different segments of one participant; "
        "segment: two views of one segment",
    )
    min_records: PositiveInt = Field(
        2, description="participants with fewer records are left out; at least 2 for participant"
    )


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Row numbers of a batch of positive pairs; `first[i]` and `second[i]` are one participant."""

    first: Rows
    second: Rows
    participants: Rows
    """Codes of the participants, equal for equal participants."""


class PairSampler:
    """Batches of positive pairs, uniform over participants.

    An epoch is a random order of all participants, cut into batches of different participants;
    those left over open the next epoch's queue, so no participant is drawn more than once more
    often than another one. Everything is a function of (seed, epoch, rank, world size): no state.

    Args:
        rows: Row numbers of the records to draw from.
        participants: Participant of each row.
        batch_size: Pairs in a batch, over all ranks.
        config: Level and minimum number of records.
        seed: Seed of the order and of the choice of records.
        rank: This process, from 0.
        world_size: Number of processes; divides `batch_size`.

    Raises:
        StageError: Too few participants have enough records for one batch.
    """

    def __init__(
        self,
        rows: Rows,
        participants: np.ndarray,
        *,
        batch_size: int,
        config: PairConfig,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        minimum = config.min_records if config.level == "segment" else max(2, config.min_records)
        if batch_size % world_size:
            msg = (
                f"pretrain.batch_size {batch_size} does not divide by {world_size} processes: "
                f"use {batch_size // world_size * world_size or world_size}"
            )
            raise StageError(msg)
        names, codes, counts = np.unique(participants, return_inverse=True, return_counts=True)
        order = np.argsort(codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._rows = np.asarray(rows, dtype=np.int64)[order]
        eligible = np.flatnonzero(counts >= minimum)
        self.n_participants = len(eligible)
        self.n_left_out = len(names) - len(eligible)
        if len(eligible) < batch_size:
            msg = (
                f"pretrain.batch_size is {batch_size} and {len(eligible)} participant(s) have at "
                f"least {minimum} record(s): set pretrain.batch_size to {len(eligible)} or less"
            )
            raise StageError(msg)
        self._codes = eligible
        self._starts = starts[eligible]
        self._counts = counts[eligible]
        self._batch_size = batch_size
        self._level = config.level
        self._seed = seed
        self._rank = rank
        self._world_size = world_size

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one epoch."""
        return self.n_participants // self._batch_size

    def epoch(self, epoch: int) -> list[PairBatch]:
        """All batches of one epoch, this rank's share of each."""
        return list(self._batches(epoch))

    def _batches(self, epoch: int) -> Iterator[PairBatch]:
        generator = np.random.default_rng([self._seed, epoch])
        order = self._order(epoch)
        uniforms = generator.random((2, len(order)))
        counts = self._counts[order]
        first = (uniforms[0] * counts).astype(np.int64)
        second = first
        if self._level == "participant":
            # Step from the first record to one of the others: uniform over ordered pairs.
            second = (first + 1 + (uniforms[1] * (counts - 1)).astype(np.int64)) % counts
        starts = self._starts[order]
        for batch in range(self.batches_per_epoch):
            share = slice(
                batch * self._batch_size + self._rank,
                (batch + 1) * self._batch_size,
                self._world_size,
            )
            yield PairBatch(
                self._rows[(starts + first)[share]],
                self._rows[(starts + second)[share]],
                self._codes[order[share]],
            )

    def _order(self, epoch: int) -> Rows:
        """The epoch's participants: who was left over from the last epoch, then the others.

        Each epoch drops `n mod batch_size` participants. A cycle of epochs is one permutation of
        the participants, rotated by the number already used, so that the dropped ones come first
        in the next epoch and all are drawn equally often over the cycle.
        """
        n = self.n_participants
        used = self.batches_per_epoch * self._batch_size
        cycle = n // np.gcd(n, used) if used < n else 1
        permutation = np.random.default_rng([self._seed, 1 << 32, epoch // cycle]).permutation(n)
        turned = np.roll(permutation, -(epoch % cycle) * used)
        # A fresh order inside the epoch: batches differ even when everybody is used every time.
        shuffled = np.random.default_rng([self._seed, 2 << 32, epoch]).permutation(used)
        return turned[:used][shuffled]
