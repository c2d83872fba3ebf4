"""The box that is cut out of an image: its area, its proportions, its place."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from medssl.batches import Pictures
from medssl.views import image_functional as functional
from medssl.views.base import APPLIED, Params
from medssl.views.image_functional import Images

CropShape = Literal["image", "square"]
Interval = tuple[float, float]


def between(interval: Interval, uniform: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """Numbers in [0, 1) spread over an interval."""
    low, high = interval
    return low + uniform * (high - low)


class Crop:
    r"""Cut a box out of the image, whose black surroundings are no part of it.

    The box takes a share $a$ of the area. Its sides are $\sqrt{a / r}$ and $\sqrt{a r}$ of the
    image's height and width; $r$ is even between the ends of `aspect` on a logarithmic scale, as
    far as the box fits ($a \le r \le 1/a$). Its place is uniform.

    Args:
        probability: Chance that an image is cut; the others keep their black surroundings.
        area: Least and greatest share of the area.
        aspect: Least and greatest r.
        shape: `"image"`: the box has the image's own proportions, and what comes out is stretched
            to a square. `"square"`: sides are shares of the longer side, nothing is stretched, and
            black shows where the box is longer than the shorter side.
    """

    def __init__(
        self, *, probability: float, area: Interval, aspect: Interval, shape: CropShape
    ) -> None:
        self.probability = probability
        self.area = area
        self.aspect = aspect
        self.shape = shape

    def draw(self, extents: Int[Tensor, "batch 2"], generator: torch.Generator) -> Params:
        """Boxes (top, left, height, width) in pixels of the image, which may be negative."""
        uniform = torch.rand(len(extents), 5, dtype=torch.float64, generator=generator)
        extents = extents.cpu()
        area = between(self.area, uniform[:, 1])
        low, high = (torch.full_like(area, math.log(end)) for end in self.aspect)
        low, high = low.clamp(area.log(), -area.log()), high.clamp(area.log(), -area.log())
        aspect = (low + uniform[:, 2] * (high - low)).exp()
        longest = extents.amax(dim=1, keepdim=True)
        frame = extents if self.shape == "image" else longest.expand_as(extents)
        shares = torch.stack([area / aspect, area * aspect], dim=1).sqrt()
        # Rounding may not take the last pixel away nor add one.
        sides = torch.minimum((shares * frame).round().long().clamp(min=1), frame)
        # A box that is longer than the image holds all of it, and stays in the centred square.
        around = (longest - extents) // 2
        first = torch.minimum(torch.zeros_like(sides), extents - sides).maximum(-around)
        last = (extents - sides).clamp(min=0).minimum(longest - around - sides)
        corners = first + (uniform[:, 3:] * (last - first + 1)).floor().long()
        return {
            APPLIED: uniform[:, 0] < self.probability,
            "box": torch.cat([corners, sides], dim=1),
        }

    def apply(self, pictures: Pictures, params: Params, size: int) -> Images:
        """Cut the boxes, and the whole square where the coin did not fall."""
        extents = pictures.extents.cpu()
        longest = extents.amax(dim=1, keepdim=True).expand_as(extents)
        whole = torch.cat([-((longest - extents) // 2), longest], dim=1)
        boxes = torch.where(params[APPLIED].cpu()[:, None], params["box"].cpu(), whole)
        return functional.crop(pictures, boxes, size)
