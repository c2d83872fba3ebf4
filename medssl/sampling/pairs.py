"""Positive pairs: two records that belong together, drawn as a pure function of the position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from medssl.config import StrictModel
from medssl.errors import StageError
from medssl.sampling.studies import Companions
from medssl.sampling.weights import RecordWeights
from medssl.types import Modality, Rows


class PairConfig(StrictModel):
    """How positive pairs are drawn."""

    level: Literal["participant", "segment", "moment", "study", "record"] = Field(
        "participant",
        description="participant: two different records of one participant; "
        "segment: two views of one record; moment: simultaneous segments of two modalities; "
        "study: an image and its report, or, without partner, two images of one study; "
        "record: an image and its row of a table",
    )
    partner: Modality | None = Field(
        None, description="the second modality: of level moment, of study (report), record (table)"
    )
    draw: Literal["participant", "study"] = Field(
        "participant",
        description="what is drawn uniformly: participants, or studies as published for ConVIRT, "
        "by which participants with many studies weigh more",
    )
    companion: Literal["none", "study", "participant"] = Field(
        "none",
        description="a further image beside each: another one of its study, or one of another "
        "study of its participant (longitudinal); another view of itself where there is none",
    )
    min_records: PositiveInt = Field(
        2, description="participants with fewer records are left out; at least 2 for participant"
    )
    per_participant: PositiveInt = Field(
        1,
        description="pairs of one participant in a batch, of different records: for few "
        "participants with many records",
    )
    quality_weight: NonNegativeFloat = Field(
        0.0,
        description="the records of a participant are drawn with probability proportional to "
        "quality to this power; 0 draws them all alike",
    )

    @model_validator(mode="after")
    def _partnered(self) -> PairConfig:
        if self.level in ("moment", "record") and self.partner is None:
            example = "ecg" if self.level == "moment" else "table"
            msg = f"level: {self.level} needs partner, the second modality: partner: {example}"
            raise ValueError(msg)
        if self.level in ("participant", "segment") and self.partner is not None:
            msg = (
                f"level: {self.level} has no second modality: use level: moment or study, or drop "
                "partner"
            )
            raise ValueError(msg)
        if self.companion != "none" and not (self.level == "study" and self.partner is not None):
            msg = (
                "companion is a further image beside an image and its report: use level: study and "
                "partner: report, or companion: none"
            )
            raise ValueError(msg)
        if self.draw == "study" and self.level == "moment":
            msg = "draw: study is for images; moments are drawn by participant: drop draw"
            raise ValueError(msg)
        return self

    @property
    def fewest(self) -> int:
        """Records that a participant must have."""
        least = 2 if self.two_records else 1
        # Pairs of two kinds and drawn studies need no second record to make one.
        paired = self.partner is not None and self.level != "moment"
        smallest = 1 if paired or self.draw == "study" else self.min_records
        return max(smallest, self.per_participant, least)

    @property
    def two_records(self) -> bool:
        """Whether a pair is two different records of one modality."""
        return self.level == "participant" or (self.level == "study" and self.partner is None)

    @property
    def by_study(self) -> bool:
        """Whether studies, not participants, are drawn."""
        return self.draw == "study" or (self.level == "study" and self.partner is None)


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Row numbers of a batch of positive pairs; `first[i]` and `second[i]` are one participant."""

    first: Rows
    second: Rows
    participants: Rows
    """Codes of the participants, equal for equal participants."""
    places: Rows
    """Which of the sampler's rows each pair's first record is: the same in every run."""
    companions: Rows
    """A further record of the first modality for each pair; the first itself where none is."""


class PairSampler:
    """Batches of positive pairs, uniform over participants, or over studies.

    An epoch is a random order of all participants, cut into batches of different participants;
    those left over open the next epoch's queue, so no participant is drawn more than once more
    often than another one. A participant gives `per_participant` pairs to its batch, whose first
    records differ. Everything is a function of (seed, epoch, rank, world size): no state.

    Args:
        rows: Row numbers of the records to draw from.
        participants: Participant of each row.
        batch_size: Pairs in a batch, over all ranks.
        config: Level, minimum number of records, pairs of one participant in a batch.
        seed: Seed of the order and of the choice of records.
        partners: The record of the second modality that belongs to each row.
        studies: Number of each row's study, where studies are drawn or companions wanted.
        quality: Quality of each row, in [0, 1]; needed by `quality_weight`.
        rank: This process, from 0.
        world_size: Number of processes; divides `batch_size`.

    Raises:
        StageError: Too few participants have enough records for one batch, the batch does not
            divide by the processes or by the pairs of one participant, or records that are to be
            drawn by their quality have none.
    """

    def __init__(
        self,
        rows: Rows,
        participants: np.ndarray,
        *,
        batch_size: int,
        config: PairConfig,
        seed: int,
        partners: Rows | None = None,
        studies: Rows | None = None,
        quality: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _check_divides(batch_size, world_size, f"{world_size} processes")
        _check_divides(
            batch_size, config.per_participant, f"pairs.per_participant {config.per_participant}"
        )
        people = np.unique(participants, return_inverse=True)[1]
        if studies is None and (config.by_study or config.companion != "none"):
            msg = "studies are drawn, or companions wanted: give the study of each row"
            raise ValueError(msg)
        grouped = participants if studies is None or not config.by_study else studies
        names, codes, counts = np.unique(grouped, return_inverse=True, return_counts=True)
        order = np.argsort(codes, kind="stable")
        self._places = order
        self._people = people[order]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._rows = np.asarray(rows, dtype=np.int64)[order]
        self._partners = self._rows if partners is None else np.asarray(partners)[order]
        eligible = np.flatnonzero(counts >= config.fewest)
        self._groups = len(eligible)
        self.n_participants = len(np.unique(people[np.isin(codes, eligible)]))
        self.n_left_out = len(np.unique(people)) - self.n_participants
        drawn = "study" if config.by_study else "participant"
        self._each = config.per_participant
        self._drawn = batch_size // self._each
        if len(eligible) == 0:
            msg = (
                f"none of {len(names)} {drawn}(s) has at least {config.fewest} record(s): "
                "lower pairs.min_records or pairs.per_participant, ingest shorter segments, or use "
                "pairs.level=segment"
            )
            raise StageError(msg)
        if len(eligible) < self._drawn:
            msg = (
                f"pretrain.batch_size is {batch_size} and {len(eligible)} {drawn}(s) have at "
                f"least {config.fewest} record(s): set pretrain.batch_size to "
                f"{len(eligible) * self._each} or less, or raise pairs.per_participant"
            )
            raise StageError(msg)
        self._weights: RecordWeights | None = None
        if config.quality_weight > 0:
            grades = np.full(len(order), np.nan) if quality is None else np.asarray(quality)[order]
            self._weights = RecordWeights(grades, config.quality_weight, starts)
        self._companions = _companions(config, participants, studies)
        self._first = np.asarray(rows, dtype=np.int64)
        self._starts = starts[eligible]
        self._counts = counts[eligible]
        self._batch_size = batch_size
        self._two_records = config.two_records
        self._seed = seed
        self._rank = rank
        self._world_size = world_size

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one epoch."""
        return self._groups // self._drawn

    def epoch(self, epoch: int) -> list[PairBatch]:
        """All batches of one epoch, this rank's share of each."""
        return list(self._batches(epoch))

    def _batches(self, epoch: int) -> Iterator[PairBatch]:
        generator = np.random.default_rng([self._seed, epoch])
        order = self._order(epoch)
        uniforms = generator.random((2, len(order), self._each))
        starts = self._starts[order, None]
        first, second = self._choose(order, uniforms)
        chosen = (starts + first).reshape(-1)
        firsts = self._rows[chosen]
        seconds = self._partners[(starts + second).reshape(-1)]
        people, places = self._people[chosen], self._places[chosen]
        companions = firsts
        if self._companions is not None:
            more = generator.random(len(places))
            companions = self._first[self._companions.draw(places, more)]
        for batch in range(self.batches_per_epoch):
            share = slice(
                batch * self._batch_size + self._rank,
                (batch + 1) * self._batch_size,
                self._world_size,
            )
            yield PairBatch(
                firsts[share], seconds[share], people[share], places[share], companions[share]
            )

    def _choose(self, order: Rows, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both records of each pair, counted from their participant's first."""
        counts, starts = self._counts[order], self._starts[order]
        weights = self._weights
        if weights is None:
            first = _different(uniforms[0], counts)
        else:
            first = weights.draw(uniforms[0], starts, counts)
        if not self._two_records:
            return first, first
        if weights is None:
            # Step from the first record to one of the others: uniform over ordered pairs.
            others = counts[:, None] - 1
            return first, (first + 1 + (uniforms[1] * others).astype(np.int64)) % (others + 1)
        seconds = [
            weights.draw(uniforms[1][:, [pair]], starts, counts, taken=first[:, [pair]])
            for pair in range(self._each)
        ]
        return first, np.concatenate(seconds, axis=1)

    def _order(self, epoch: int) -> Rows:
        """The epoch's participants: who was left over from the last epoch, then the others.

        Each epoch drops `n mod batch_size` participants. A cycle of epochs is one permutation of
        the participants, rotated by the number already used, so that the dropped ones come first
        in the next epoch and all are drawn equally often over the cycle.
        """
        n = self._groups
        used = self.batches_per_epoch * self._drawn
        cycle = n // np.gcd(n, used) if used < n else 1
        permutation = np.random.default_rng([self._seed, 1 << 32, epoch // cycle]).permutation(n)
        turned = np.roll(permutation, -(epoch % cycle) * used)
        # A fresh order inside the epoch: batches differ even when everybody is used every time.
        shuffled = np.random.default_rng([self._seed, 2 << 32, epoch]).permutation(used)
        return turned[:used][shuffled]


def _companions(
    config: PairConfig, participants: np.ndarray, studies: Rows | None
) -> Companions | None:
    if config.companion == "none" or studies is None:
        return None
    if config.companion == "study":
        return Companions(studies)
    return Companions(participants, apart=studies)


def _check_divides(batch_size: int, parts: int, name: str) -> None:
    if batch_size % parts:
        msg = (
            f"pretrain.batch_size {batch_size} does not divide by {name}: "
            f"use {batch_size // parts * parts or parts}"
        )
        raise StageError(msg)


def _different(uniforms: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Different whole numbers below each count, all subsets equally likely (Floyd's algorithm).

    Args:
        uniforms: In [0, 1), shape (participants, wanted).
        counts: At least `wanted`, shape (participants,).
    """
    wanted = uniforms.shape[1]
    picks = np.empty(uniforms.shape, dtype=np.int64)
    for place in range(wanted):
        last = counts - wanted + place
        pick = (uniforms[:, place] * (last + 1)).astype(np.int64)
        taken = (picks[:, :place] == pick[:, None]).any(axis=1)
        picks[:, place] = np.where(taken, last, pick)
    return picks
