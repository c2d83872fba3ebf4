"""Colour pixels as grey ones: exact where the channels are equal, luma otherwise."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float32, UInt

LUMA: Final = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue (ITU-R BT.601, as JPEG takes it)."""

_ROWS: Final = 1 << 20
"""Pixels converted at a time."""


def is_grey(colours: UInt[np.ndarray, "rows columns 3"]) -> bool:
    """Whether the three channels of every pixel are equal."""
    red = colours[..., 0]
    return all(np.array_equal(red, colours[..., channel]) for channel in (1, 2))


def luma(
    colours: UInt[np.ndarray, "rows columns 3"], *, white: float
) -> Float32[np.ndarray, "rows columns"]:
    """0.299 red + 0.587 green + 0.114 blue, over white.

    Args:
        colours: Red, green and blue.
        white: Largest value that a channel can have.
    """
    rows, columns = colours.shape[:2]
    pixels = np.empty((rows, columns), dtype=np.float32)
    step = max(1, _ROWS // columns)
    for start in range(0, rows, step):
        pixels[start : start + step] = colours[start : start + step] @ (LUMA / white)
    return np.clip(pixels, 0, 1, out=pixels)
