"""Batches of texts of like length, in an order that follows from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from medssl.batches import Tokens
from medssl.errors import StageError
from medssl.types import Rows
from medssl.views.seeds import derive_seed

if TYPE_CHECKING:
    from medssl.text.tokenizer import Tokenizer

_POOL: Final = 32
"""Batches' worth of texts that are sorted by length together."""


class TextBatches:
    """Batches of texts of like length, each padded to its own longest text only.

    The texts of a step are a pure function of (seed, step); each text comes once an epoch. Texts
    without an ordinary token are left out: there is nothing in them to guess.

    Args:
        tokenizer: Of the encoder.
        texts: Reports, or sentences of them.
        tokens: Longest text; later tokens are cut off.
        batch_size: Texts in a batch; a few batches of an epoch have fewer.
        seed: Of the order.

    Raises:
        StageError: No text is left.
    """

    def __init__(
        self, tokenizer: Tokenizer, texts: Sequence[str], *, tokens: int, batch_size: int, seed: int
    ) -> None:
        ids, mask = tokenizer.encode(list(texts), tokens=tokens)
        kept = (mask & ~np.isin(ids, sorted(tokenizer.special_ids))).any(axis=1)
        if not kept.any():
            msg = f"masked-language training got {len(texts)} text(s) and no words: give reports"
            raise StageError(msg)
        self.tokens = Tokens(torch.from_numpy(ids[kept]), torch.from_numpy(mask[kept]))
        self.lengths = mask[kept].sum(axis=1)
        self._size = batch_size
        self._seed = seed
        self._epoch = (-1, [np.empty(0, dtype=np.int64)])

    def __len__(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.lengths) / self._size)

    def __getitem__(self, step: int) -> Tokens:
        """The texts of a step, on the CPU."""
        rows = self.rows(step)
        width = int(self.lengths[rows].max())
        ids, mask = (part[torch.from_numpy(rows), :width] for part in self.tokens)
        return Tokens(ids, mask)

    def rows(self, step: int) -> Rows:
        """Positions of the texts of a step, among those kept."""
        epoch, place = divmod(step, len(self))
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._plan(epoch))
        return self._epoch[1][place]

    def _plan(self, epoch: int) -> list[Rows]:
        rng = np.random.default_rng(derive_seed(self._seed, "texts", epoch))
        order = rng.permutation(len(self.lengths))
        batches: list[Rows] = []
        for pool in _pieces(order, _POOL * self._size):
            batches += _pieces(pool[np.argsort(self.lengths[pool], kind="stable")], self._size)
        return [batches[i] for i in rng.permutation(len(batches))]


def _pieces(rows: Rows, size: int) -> list[Rows]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
