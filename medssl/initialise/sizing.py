"""Settings sized to the data: rate, segment length, split, batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medssl.errors import ConfigError, IngestError
from medssl.ingest.deidentify import pseudonym
from medssl.ingest.waveforms.resample import factors
from medssl.initialise.secret import pseudonym_key
from medssl.sampling.splits import TEST, TRAIN, VALIDATION, SplitConfig, assign_splits
from medssl.types import Modality

MIN_PARTICIPANTS: Final = 4

_RATES: Final = {Modality.ECG: 128.0, Modality.PPG: 64.0, Modality.RESPIRATION: 25.0}
_LONGEST: Final = {Modality.ECG: 10.0, Modality.PPG: 20.0, Modality.RESPIRATION: 60.0}
"""Segments of about 1,300 samples: two cores train on them in minutes (seconds)."""
_LADDER: Final = (60.0, 30.0, 20.0, 15.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0)
_MIN_SAMPLES: Final = 32
"""The small encoder halves the time axis five times."""
_MAX_BATCH: Final = 64
_SURE: Final = 0.8
"""Share of the expected full pairs that a batch may count on."""
_SCORED: Final = ((0.8, 0.1, 0.1), (0.6, 0.1, 0.3), (0.5, 0.1, 0.4), (0.5, 0.0, 0.5))
_UNSCORED: Final = ((0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (0.6, 0.4, 0.0))
_TESTED: Final = 20
"""Participants to score that make an interval worth reading."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Settings, and the numbers behind them.

    Args:
        rate: Samples per second in the store (Hz).
        segment_seconds: Length of a segment.
        segments: Expected number of segments.
        short: Recordings looked at that are shorter than a segment.
        split: Fractions of train, validation and test.
        participants: Participants in each split.
        trained: Expected segments of each training participant that should have two or more.
        usable: Share of the recordings looked at that can be used.
    """

    rate: float
    segment_seconds: float
    segments: int
    short: int
    split: tuple[float, float, float]
    participants: Mapping[str, int]
    trained: tuple[int, ...]
    usable: float

    def batch_size(self, kept: float) -> int:
        """Pairs in a batch: a full one must remain when segments are refused or left out.

        Args:
            kept: Share of the segments that reduction is expected to keep.
        """
        share = kept * self.usable
        lost = [
            (1 - share) ** count + count * share * (1 - share) ** (count - 1)
            for count in self.trained
        ]
        full = int(_SURE * (len(lost) - sum(lost))) // 2 * 2
        return min(_MAX_BATCH, max(2, full))


def choose_rate(modality: Modality, rates: Mapping[float, int]) -> float:
    """The rate in the store: the published one, or less where recordings have less.

    Args:
        modality: What was measured.
        rates: How many recordings have which rate (Hz).

    >>> choose_rate(Modality.ECG, {500.0: 9}), choose_rate(Modality.PPG, {30.0: 9})
    (128.0, 30.0)
    """
    every = sorted(Counter(rates).elements())
    low = every[int(0.05 * len(every))]
    if low >= _RATES[modality]:
        wanted = (_RATES[modality], *(float(rate) for rate in range(int(_RATES[modality]), 9, -1)))
    else:
        wanted = (low,)
    reached = [sum(n for rate, n in rates.items() if _reaches(rate, to)) for to in wanted]
    return wanted[int(np.argmax(reached))]


def _reaches(rate: float, wanted: float) -> bool:
    try:
        factors(rate, wanted)
    except IngestError:
        return False
    return True


def choose_sizes(
    modality: Modality,
    rate: float,
    told: Sequence[str | None],
    durations: Sequence[float | None],
    *,
    source: str,
    scored: bool,
) -> Sizes:
    """Choose the settings that depend on how much signal there is of how many participants.

    Args:
        modality: What was measured.
        rate: Samples per second in the store (Hz).
        told: Participant of each recording; None for those that no rule tells.
        durations: Length of each recording (seconds); None when it was not looked at, 0 when it
            was and cannot be used.
        source: Name of the source, which pseudonyms and with them the split depend on.
        scored: Whether there is something to probe, so that participants must be left for it.

    Raises:
        ConfigError: Too few participants or seconds to learn from.
    """
    looked = np.array([one for one in durations if one is not None])
    known = looked[looked > 0]
    counts = Counter(name for name in told if name)
    seconds = _segment_seconds(modality, rate, known, counts)
    usual = float(np.quantile(known, 0.1))
    segments: Counter[str] = Counter()
    expected = 0.0
    for name, duration in zip(told, durations, strict=True):
        if name:
            length = usual if duration is None else duration
            segments[name] += int(length / seconds + 1e-9)
            expected += float(np.mean(looked // seconds)) if duration is None else length // seconds
    pairable = {name for name, count in segments.items() if count >= 2}
    _require_participants(len(counts), len(pairable))
    split, splits = choose_split(list(counts), pairable, source, scored=scored)
    return Sizes(
        rate=rate,
        segment_seconds=seconds,
        segments=round(expected),
        short=int((known < seconds).sum()),
        split=split,
        participants=Counter(splits.values()),
        trained=tuple(segments[name] for name in sorted(pairable) if splits[name] == TRAIN),
        # What was looked at in full is known; the rest will be like it.
        usable=1.0 if len(looked) == len(durations) else len(known) / len(looked),
    )


def _require_participants(count: int, pairable: int) -> None:
    if pairable < MIN_PARTICIPANTS:
        msg = (
            f"{pairable} of {count} participant(s) have two segments or more that can be used: "
            f"pretraining on pairs needs at least {MIN_PARTICIPANTS}, and hundreds to be of use; "
            "nothing was written"
        )
        raise ConfigError(msg)


def _segment_seconds(
    modality: Modality, rate: float, known: np.ndarray, counts: Counter[str]
) -> float:
    """As long as nearly all recordings allow, with two segments for nearly every participant."""
    usual = float(np.quantile(known, 0.1))
    repeated = sum(count >= 2 for count in counts.values()) >= 0.9 * len(counts)
    limit = min(usual if repeated else usual / 2, _LONGEST[modality])
    seconds = next((step for step in _LADDER if step <= limit + 1e-9), None)
    if seconds is None:
        seconds = int(limit * 10 + 1e-6) / 10 if limit >= 1 else int(limit * 100 + 1e-6) / 100
    if seconds * rate < _MIN_SAMPLES:
        msg = (
            f"the recordings are too short ({usual:.3g} s or less in one of ten): a segment needs "
            f"{_MIN_SAMPLES} samples at {rate:g} Hz; nothing was written"
        )
        raise ConfigError(msg)
    return seconds


def choose_split(
    names: Sequence[str], pairable: set[str], source: str, *, scored: bool
) -> tuple[tuple[float, float, float], dict[str, str]]:
    """The split with most training participants that leaves enough to score."""
    best: tuple[tuple[float, float, float], dict[str, str]] | None = None
    for fractions in _SCORED if scored else _UNSCORED:
        splits = _splits(names, fractions, source)
        sizes = Counter(splits.values())
        trained = sum(splits[name] == TRAIN for name in pairable)
        if trained < MIN_PARTICIPANTS:
            continue
        best = fractions, splits
        tested = sizes[TEST] >= min(_TESTED, 0.25 * len(names)) or not scored
        if tested and (sizes[VALIDATION] or not fractions[1]):
            return best
    # So few participants that no split leaves enough to learn from: then all are for training.
    return best or ((1.0, 0.0, 0.0), dict.fromkeys(names, TRAIN))


def _splits(
    names: Sequence[str], fractions: tuple[float, float, float], source: str
) -> dict[str, str]:
    """The splits that the stages will give the participants."""
    import pandas as pd

    train, validation, test = fractions
    key = pseudonym_key()
    index = [pseudonym(name, source=source, key=key) for name in names]
    config = SplitConfig(train=train, validation=validation, test=test)
    splits = assign_splits(pd.DataFrame(index=index), config)
    return {name: splits[one] for name, one in zip(names, index, strict=True)}
