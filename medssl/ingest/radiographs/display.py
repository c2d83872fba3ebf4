"""The display pipeline on arrays: modality and VOI tables, windows, percentiles, inversion.

DICOM PS3.3 C.11.1 (modality), C.11.2 (VOI) and PS3.4 N.2 (their order). The functions take arrays
of any shape; the readers pass each value that a pixel may have once, and map pixels by a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

_BLOCK: Final = 1 << 20
"""Pixels mapped at a time: an index takes eight times the memory of an 8-bit pixel."""


@dataclass(frozen=True, eq=False)
class LookUp:
    """A table of a DICOM header (PS3.3 C.11.1.1.1 and C.11.2.1.1).

    Args:
        data: Outputs.
        first: Input that is mapped to the first of them.
        bits: Of an output, as the header says.
    """

    data: Float64[np.ndarray, " entries"]
    first: int
    bits: int

    @property
    def high(self) -> float:
        """White: the end of the claimed range, or the largest output where that lies above."""
        return max(float(2**self.bits - 1), float(self.data.max()))


def rescaled(
    values: Float64[np.ndarray, "*shape"], *, slope: float, intercept: float
) -> Float64[np.ndarray, "*shape"]:
    """The slope times each value, plus the intercept (PS3.3 C.11.1.1.2)."""
    return values * slope + intercept


def looked_up(
    values: Float64[np.ndarray, "*shape"], table: LookUp
) -> Float64[np.ndarray, "*shape"]:
    """Outputs of a table; inputs beyond its ends take the output at the end."""
    places = np.clip(np.floor(values) - table.first, 0, len(table.data) - 1)
    outputs: Float64[np.ndarray, "*shape"] = table.data[places.astype(np.int64)]
    return outputs


def windowed(
    values: Float64[np.ndarray, "*shape"],
    *,
    centre: float,
    width: float,
    function: WindowFunction = "LINEAR",
) -> Float64[np.ndarray, "*shape"]:
    r"""Grey values in [0, 1] through a window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    With centre c and width w, clipped to [0, 1]:
    LINEAR (x − (c − 0.5)) / (w − 1) + 0.5; LINEAR_EXACT (x − c) / w + 0.5;
    SIGMOID 1 / (1 + exp(−4 (x − c) / w)).

    >>> windowed(np.array([-160.0, 39.5, 240.0]), centre=40, width=400).tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID":
        # exp beyond 700 overflows; the curve is flat to the last bit long before
        exponent = np.clip(-4 * (values - centre) / width, -700, 700)
        return 1 / (1 + np.exp(exponent))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (values > centre).astype(np.float64)
    return stretched(values, low=centre - width / 2, high=centre + width / 2)


def is_window(centre: float, width: float, function: str) -> bool:
    """Whether a header's window can be used at all: finite, and wide enough for its function."""
    least = {"LINEAR": width >= 1, "LINEAR_EXACT": width > 0, "SIGMOID": width > 0}
    return bool(np.isfinite([centre, width]).all()) and least.get(function, False)


def stretched(
    values: Float64[np.ndarray, "*shape"], *, low: float, high: float
) -> Float64[np.ndarray, "*shape"]:
    """Grey values in [0, 1]: low and below is black, high and above is white; low < high."""
    return np.clip((values - low) / (high - low), 0, 1)


def inverted(grey: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """White for black, within the range."""
    return 1 - grey


def percentile_limits(
    values: Float64[np.ndarray, " levels"],
    counts: Int64[np.ndarray, " levels"],
    percentiles: tuple[float, float],
) -> tuple[float, float] | None:
    """Values at two percentiles of an image that holds each level `counts` times.

    Where the two are equal, its smallest and largest value; None when those are equal too, or when
    nothing is counted. Percentiles are interpolated linearly, as `numpy.percentile` does.

    >>> percentile_limits(np.array([0.0, 10.0]), np.array([1, 1]), (25, 75))
    (2.5, 7.5)
    """
    order = np.argsort(values, kind="stable")
    order = order[counts[order] > 0]
    if not len(order):
        return None
    ordered, below = values[order], np.cumsum(counts[order])
    limits = []
    for percentile in percentiles:
        position = percentile / 100 * (below[-1] - 1)
        floor = int(position)
        near, far = ordered[np.searchsorted(below, [floor, np.ceil(position)], side="right")]
        limits.append(float(near + (far - near) * (position - floor)))
    low, high = limits if limits[0] < limits[1] else (float(ordered[0]), float(ordered[-1]))
    return (low, high) if low < high else None


def level_counts(codes: UInt[np.ndarray, "rows columns"], levels: int) -> Int64[np.ndarray, " n"]:
    """How often each of the levels stands in an image."""
    counts = np.zeros(levels, dtype=np.int64)
    flat = codes.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        counts += np.bincount(flat[start : start + _BLOCK], minlength=levels)
    return counts


def mapped(
    codes: UInt[np.ndarray, "rows columns"], table: Float64[np.ndarray, " levels"]
) -> Float32[np.ndarray, "rows columns"]:
    """Each pixel's grey value, in blocks so that memory holds one image of floats."""
    narrow = table.astype(np.float32)
    flat = codes.reshape(-1)
    pixels = np.empty(flat.size, dtype=np.float32)
    for start in range(0, flat.size, _BLOCK):
        pixels[start : start + _BLOCK] = narrow[flat[start : start + _BLOCK]]
    return pixels.reshape(codes.shape)
