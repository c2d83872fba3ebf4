"""Positive pairs of a run, for training and for the validation loss, whichever rank asks."""

from __future__ import annotations

from functools import partial

import lightning
import numpy as np

from medssl.errors import StageError
from medssl.inputs import Inputs
from medssl.methods.facts import RunFacts
from medssl.sampling.loader import PairLoader, Read
from medssl.sampling.moments import Moments, match_moments
from medssl.sampling.pairs import PairSampler
from medssl.sampling.studies import Studies, match_studies, study_codes
from medssl.store import Store
from medssl.store.schema import PARTICIPANT, QUALITY
from medssl.training.config import FitConfig
from medssl.types import Rows


class PairData(lightning.LightningDataModule):
    """Positive pairs for whichever rank asks.

    Args:
        store: Where the records are.
        rows: Row numbers of the records to draw from.
        config: Pairs and batch size.
        seed: Of the order of participants and the choice of records.
        partner_rows: Row numbers of the second modality, where it has records of its own.
        inputs: How records are read; by default as arrays.
        partner_inputs: The same for the second modality.

    Raises:
        StageError: No two records belong together.
    """

    def __init__(
        self,
        store: Store,
        rows: Rows,
        config: FitConfig,
        *,
        seed: int,
        partner_rows: Rows | None = None,
        inputs: Inputs | None = None,
        partner_inputs: Inputs | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.rows = rows
        self.config = config
        self.seed = seed
        self.inputs = inputs
        self.partner_inputs = partner_inputs
        self.links: Moments | Studies | None = None
        self.partners: Rows | None = None
        self.codes: Rows | None = None
        pairs = config.pairs
        others = np.empty(0, dtype=np.int64) if partner_rows is None else partner_rows
        if pairs.level == "moment":
            self.links = match_moments(store, rows, others)
            self.rows, self.partners = self.links.first, self.links.second
        elif pairs.level == "study" and pairs.partner is not None:
            self.links = match_studies(store, rows, others)
            self.rows, self.partners = self.links.images, self.links.reports
            self.codes = self.links.codes
        elif pairs.level == "record":
            self.rows = np.intersect1d(rows, others)
            self.codes = study_codes(store, self.rows)
        elif pairs.level == "study" or pairs.by_study:
            self.codes = study_codes(store, rows)

    def facts(self) -> RunFacts:
        """What a method may know of the training records."""
        codes = self.codes
        count = 0 if codes is None else int(codes.max()) + 1
        return RunFacts(len(self.rows), count, self.reports)

    def reports(self) -> list[str]:
        """The stored report of each study, by its number.

        Raises:
            StageError: These are no pairs of an image and a report.
        """
        if not isinstance(self.links, Studies):
            msg = "reports belong to pairs of an image and a report: use pairs.level: study"
            raise StageError(msg)
        _, first = np.unique(self.links.codes, return_index=True)
        return [str(self.store.read_record(int(row))) for row in self.links.reports[first]]

    def sampler(
        self, rank: int = 0, world_size: int = 1, *, batch_size: int | None = None
    ) -> PairSampler:
        """The sampler of one rank."""
        return PairSampler(
            self.rows,
            self.store.column(PARTICIPANT, self.rows),
            batch_size=batch_size or self.config.batch_size,
            config=self.config.pairs,
            seed=self.seed,
            partners=self.partners,
            studies=self.codes,
            quality=self._quality(),
            rank=rank,
            world_size=world_size,
        )

    def largest_batch(self) -> int:
        """Pairs of the largest batch that the participants, or studies, allow; 0 if none."""
        each = self.config.pairs.per_participant
        try:
            return self.sampler(batch_size=each).batches_per_epoch * each
        except StageError:
            return 0

    def loader(self, sampler: PairSampler, total: int) -> PairLoader:
        """Batches of a sampler, read as the inputs say."""
        return PairLoader(
            self.store,
            sampler,
            total=total,
            read=self._read(self.inputs),
            read_partner=self._read(self.partner_inputs),
            studies=self.codes,
            companions=self.config.pairs.companion != "none",
        )

    def train_dataloader(self) -> PairLoader:
        """All batches of the run for this rank."""
        trainer = self.trainer
        assert trainer is not None
        sampler = self.sampler(trainer.global_rank, trainer.world_size)
        return self.loader(sampler, self.config.steps * self.config.accumulate)

    def _read(self, inputs: Inputs | None) -> Read | None:
        return None if inputs is None else partial(inputs.read, self.store)

    def _quality(self) -> np.ndarray:
        """Quality of each record to draw; a moment is as good as its worse half."""
        if not isinstance(self.links, Moments):
            return self.store.column(QUALITY, self.rows)
        first, second = (
            self.store.column(QUALITY, rows) for rows in (self.links.first, self.links.second)
        )
        return np.asarray(np.minimum(first, second))
