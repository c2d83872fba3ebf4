"""What the readers of radiographs give: one grey image as displayed, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True, eq=False)
class Picture:
    """One image.

    Args:
        pixels: Grey values as displayed, 0 black and 1 white, always finite.
        steps: What was done to the file's values, in order, in words and numbers without
            identifiers, such as `("rescale 1 -1024", "window 40/400 linear")`.
        depth: Bits in which the file tells a pixel.
    """

    pixels: Float32[np.ndarray, "rows columns"]
    steps: tuple[str, ...]
    depth: int
