"""Drawing the records of a participant with unequal probability: good signals more often."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Int64

from medssl.errors import StageError

Positions = Int64[np.ndarray, "participants picks"]

_UNITS: Final = 2**30
"""Weight of a participant's best record. Whole numbers add up exactly, in any order."""


class RecordWeights:
    """Weights quality^exponent of records, those of one participant side by side.

    A weight is rounded to a billionth of the participant's largest, and is never nothing: a record
    of quality 0 comes up about once in a billion draws, and as often as any other where its
    participant has none that is better.

    Args:
        quality: In [0, 1], one for each record.
        exponent: 0 makes all records alike; 1 draws in proportion to quality.
        starts: First record of each participant, ascending from 0.

    Raises:
        StageError: A record has no quality.
    """

    def __init__(
        self,
        quality: Float[np.ndarray, " records"],
        exponent: float,
        starts: Int64[np.ndarray, " everyone"],
    ) -> None:
        quality = np.asarray(quality, dtype=np.float64)
        unknown = int(np.count_nonzero(~np.isfinite(quality)))
        if unknown:
            msg = (
                f"pairs.quality_weight is {exponent:g} and {unknown} of {len(quality)} record(s) "
                "have no quality: ingest them with quality: true, or set pairs.quality_weight to 0"
            )
            raise StageError(msg)
        counts = np.diff(np.append(starts, len(quality)))
        best = np.repeat(np.maximum.reduceat(quality, starts), counts)
        relative = np.divide(quality, best, out=np.ones_like(quality), where=best > 0)
        self._weights = np.maximum(np.rint(relative**exponent * _UNITS), 1).astype(np.int64)
        self._sums = np.concatenate([[0], np.cumsum(self._weights)])

    def draw(
        self,
        uniforms: Float[np.ndarray, "participants picks"],
        starts: Int64[np.ndarray, " participants"],
        counts: Int64[np.ndarray, " participants"],
        *,
        taken: Positions | None = None,
    ) -> Positions:
        """Different records of each participant, one after the other, each by its weight.

        Args:
            uniforms: In [0, 1), one for each record wanted.
            starts: First record of each participant.
            counts: How many it has; more than are taken and wanted.
            taken: Records that may not come up, counted from the participant's first.

        Returns:
            Records, counted from the participant's first.
        """
        picks = np.empty(uniforms.shape, dtype=np.int64)
        gone = np.empty((len(starts), 0), dtype=np.int64) if taken is None else taken
        below, all_of = self._sums[starts], self._sums[starts + counts] - self._sums[starts]
        for place in range(uniforms.shape[1]):
            held = np.sort(gone, axis=1) + starts[:, None]
            free = all_of - self._weights[held].sum(axis=1)
            target = (uniforms[:, place] * free).astype(np.int64)
            # Step over those that are gone, from the first one on.
            for column in held.T:
                beyond = target >= self._sums[column] - below
                target += np.where(beyond, self._weights[column], 0)
            found = np.searchsorted(self._sums, below + target, side="right") - 1
            picks[:, place] = found - starts
            gone = np.concatenate([gone, picks[:, place : place + 1]], axis=1)
        return picks
