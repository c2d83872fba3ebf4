"""The size and the integers in which images are stored."""

from __future__ import annotations

from math import floor

import numpy as np
from jaxtyping import Float32, UInt


def fit(
    pixels: Float32[np.ndarray, "rows columns"], *, edge: int, bits: int
) -> UInt[np.ndarray, "height width"]:
    """Bring an image to its stored size: longer side `edge`, aspect ratio kept.

    Antialiased bilinear resampling (`PIL.Image.resize` on 32-bit floats: a triangle as wide as the
    reduction); smaller images are enlarged. The shorter side is rounded, and at least 1 pixel. Grey
    values are rounded half up to the full range of the integers.

    Args:
        pixels: Grey values in [0, 1].
        edge: Pixels along the longer side.
        bits: 8 or 16, of a stored pixel.

    >>> fit(np.eye(4, 3, dtype=np.float32), edge=8, bits=8).shape
    (8, 6)
    """
    from PIL import Image

    rows, columns = pixels.shape
    longer = max(rows, columns)
    height, width = (max(1, floor(side * edge / longer + 0.5)) for side in (rows, columns))
    if (height, width) != (rows, columns):
        image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    white = 2**bits - 1
    grey = np.clip(pixels.astype(np.float64), 0, 1)
    stored: UInt[np.ndarray, "height width"] = np.floor(grey * white + 0.5).astype(f"u{bits // 8}")
    return stored
