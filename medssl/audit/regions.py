"""Windows of a waveform, cells of an image: the parts of an input that an audit covers in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Region:
    """One part of an input whose spatial axes are cut into equal pieces.

    Args:
        at: Which piece along each spatial axis, from 0.
        counts: Pieces along each axis.
    """

    at: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def label(self) -> str:
        """Such as `"1/6 × 2/6"`, rows before columns."""
        return " × ".join(
            f"{at + 1}/{count}" for at, count in zip(self.at, self.counts, strict=True)
        )

    @property
    def border(self) -> bool:
        """Whether it touches the border of the input."""
        return any(at in (0, n - 1) for at, n in zip(self.at, self.counts, strict=True))

    def slices(self, sizes: tuple[int, ...]) -> tuple[slice, ...]:
        """Its place in an array of these spatial sizes.

        >>> Region((0, 2), (2, 3)).slices((8, 10))
        (slice(0, 4, None), slice(6, 10, None))
        """
        return tuple(
            slice(size * at // count, size * (at + 1) // count)
            for at, count, size in zip(self.at, self.counts, sizes, strict=True)
        )


def regions(counts: tuple[int, ...]) -> Iterator[Region]:
    """All regions, the last axis fastest."""
    for place in product(*map(range, counts)):
        yield Region(place, counts)


def occlude(values: np.ndarray, region: Region, extents: np.ndarray | None = None) -> np.ndarray:
    """A copy in which a region has the mean of its record and channel (Zeiler & Fergus, ECCV 2014).

    Args:
        values: Records first, the spatial axes last.
        region: What is covered.
        extents: Spatial sizes of each record's content, centred in a frame that is no part of it,
            shape (n, spatial axes); None where the content fills the array.

    >>> occlude(np.array([[0.0, 2.0, 4.0, 6.0]]), Region((0,), (2,)))
    array([[3., 3., 4., 6.]])
    """
    changed = values.copy()
    axes = len(region.at)
    if extents is None:
        _cover(changed, values, region, values.shape[-axes:])
        return changed
    frame = np.array(values.shape[-axes:])
    for place, sizes in enumerate(extents.tolist()):
        first = (frame - sizes) // 2
        content: tuple[Any, ...] = (
            ..., *(slice(start, start + size) for start, size in zip(first, sizes, strict=True)),
        )  # fmt: skip
        _cover(changed[place][content], values[place][content], region, tuple(sizes))
    return changed


def _cover(changed: np.ndarray, values: np.ndarray, region: Region, sizes: tuple[int, ...]) -> None:
    axes = tuple(range(-len(sizes), 0))
    fill = values.mean(axis=axes, keepdims=True).astype(values.dtype)
    place: tuple[Any, ...] = (..., *region.slices(sizes))
    changed[place] = fill
