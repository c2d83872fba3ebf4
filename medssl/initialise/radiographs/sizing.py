"""Settings sized to the images and reports: pixels, pairs, split, batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from medssl.errors import ConfigError
from medssl.initialise.sizing import MIN_PARTICIPANTS, choose_split
from medssl.sampling.splits import TRAIN

_MAX_BATCH: Final = 64
_SURE: Final = 0.8
"""Share of the expected training participants that a batch may count on."""
_FEW: Final = 16
"""Fewer training participants with many studies are drawn by their studies."""
_SIZES: Final = ((96, 64, 64), (192, 128, 128))
"""Longer side of usual images up to here (pixels) → edge in the store, side of a view."""
_LARGE: Final = (256, 224)
"""As published for ConVIRT."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Settings, and the numbers behind them.

    Args:
        edge: Longer side of images in the store (pixels); 0 without images.
        size: Side of a view (pixels); 0 without images.
        level: What a positive pair is: `study`, `participant` or `segment`.
        draw: What is drawn: `participant` or `study`.
        split: Fractions of train, validation and test.
        participants: Participants in each split.
        trained: Training participants that have a pair, or what is drawn instead of them.
        usable: Share of what was looked at that can be used.
        pairs: Images with a report; 0 without both.
    """

    edge: int
    size: int
    level: str
    draw: str
    split: tuple[float, float, float]
    participants: Mapping[str, int]
    trained: int
    usable: float
    pairs: int = 0

    def batch_size(self, kept: float) -> int:
        """Pairs in a batch: a full one must remain when files are refused.

        Args:
            kept: Share of the files tried that could be read.
        """
        return min(_MAX_BATCH, max(2, int(_SURE * self.trained * self.usable * kept) // 2 * 2))


def choose_pixels(sizes: Sequence[tuple[int, int]], answer: int | None) -> tuple[int, int]:
    """Edge in the store and side of a view (pixels): never much more than images have.

    Args:
        sizes: Rows and columns of images.
        answer: The edge that was answered.

    >>> choose_pixels([(64, 64)], None), choose_pixels([(2000, 1500)], None)
    ((64, 64), (256, 224))
    >>> choose_pixels([], 512)
    (512, 448)
    """
    if answer is not None:
        return answer, answer if answer <= _SIZES[-1][1] else answer * 7 // 8
    usual = median(max(pair) for pair in sizes)
    return next(((edge, size) for most, edge, size in _SIZES if usual <= most), _LARGE)


def choose_sizes(
    people: Sequence[str | None],
    studies: Sequence[str | None] | None,
    paired: Sequence[bool] | None,
    *,
    pixels: tuple[int, int],
    usable: float,
    group: str,
    scored: bool,
) -> Sizes:
    """Choose the settings that depend on how much there is of how many participants.

    Args:
        people: Participant of each image, or of each report without images; None where none is
            told.
        studies: Study of each of them, where studies are told.
        paired: Whether each of them has a report; None without images or without reports.
        pixels: Edge and size; 0 without images.
        usable: Share of the files that can be used.
        group: Name of the cohort, which pseudonyms and with them the split depend on.
        scored: Whether there is something to probe, so that participants must be left for it.

    Raises:
        ConfigError: Too few participants to learn from.
    """
    counts = Counter(name for name in people if name)
    level, able = "segment", set(counts)
    if paired is not None:
        level = "study"
        able = {name for name, pair in zip(people, paired, strict=True) if name and pair}
    elif pixels[0] and 2 * sum(count >= 2 for count in counts.values()) >= len(counts):
        level = "participant"
        able = {name for name, count in counts.items() if count >= 2}
    if len(able) < MIN_PARTICIPANTS:
        what = {"study": "an image with a report", "participant": "two images"}.get(level, "a file")
        msg = (
            f"{len(able)} of {len(counts)} participant(s) have {what} that can be used: "
            f"pretraining needs at least {MIN_PARTICIPANTS}, and hundreds to be of use; nothing "
            "was written"
        )
        raise ConfigError(msg)
    split, splits = choose_split(list(counts), able, group, scored=scored)
    train = {name for name in able if splits[name] == TRAIN}
    draw, trained = "participant", len(train)
    if level == "study" and studies is not None and paired is not None:
        drawn = {(name, study) for name, study, pair in zip(people, studies, paired, strict=True)
                 if name in train and pair}  # fmt: skip
        if trained < _FEW and len(drawn) >= 2 * trained:
            draw, trained = "study", len(drawn)
    return Sizes(
        *pixels, level, draw, split, Counter(splits.values()), trained, usable,
        pairs=sum(paired) if paired is not None else 0,
    )  # fmt: skip
