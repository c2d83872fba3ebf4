"""Laying one image on another: how far two images are apart once their frames agree."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SIDE: Final = 32
"""Pixels along each side at which images are compared: compression and resizing are gone there."""
SIGMA: Final = 3.0
"""Standard deviation (pixels) of the blur that is subtracted, and brightness with it."""
STEPS: Final = 12
FARTHEST: Final = 0.05
"""Largest change of a parameter in one step; 1 is half an image."""
SCALES: Final = (0.8, 1.25)
SHIFT: Final = 0.2
OVERLAP: Final = 0.6
"""Share of an image that must lie on the other one."""
DAMPING: Final = 1e-3
_APART: Final = 2.0

Details = Float[Tensor, "batch 1 side side"]


def details(thumbnails: Float[Tensor, "batch side side"]) -> Details:
    """Images without their coarse brightness, with mean 0 and standard deviation 1.

    Args:
        thumbnails: Grey values; their side is a multiple of `SIDE`.

    Returns:
        Shape (batch, 1, SIDE, SIDE); zeros of a constant image.
    """
    x = thumbnails.float()[:, None]
    x = functional.avg_pool2d(x, x.shape[-1] // SIDE)
    reach = round(3 * SIGMA)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / SIGMA) ** 2)
    weights = (weights / weights.sum()).to(x.device)
    padded = functional.pad(x, (reach,) * 4, mode="replicate")
    blurred = functional.conv2d(padded, weights.view(1, 1, 1, -1))
    fine = x - functional.conv2d(blurred, weights.view(1, 1, -1, 1))
    fine = fine - fine.mean((2, 3), keepdim=True)
    spread = fine.std((2, 3), keepdim=True)
    return fine / torch.where(spread > 1e-6, spread, torch.inf)


def central(
    thumbnails: Float[Tensor, "batch side side"], share: float
) -> Float[Tensor, "batch side side"]:
    """The images without `share` of their height and width on every side, at the size they had."""
    side = thumbnails.shape[-1]
    inner = functional.affine_grid(
        torch.tensor([[1 - 2 * share, 0.0, 0.0], [0.0, 1 - 2 * share, 0.0]]).expand(
            len(thumbnails), 2, 3
        ),
        [len(thumbnails), 1, side, side],
        align_corners=False,
    )
    cut = functional.grid_sample(thumbnails.float()[:, None], inner, align_corners=False)
    return cut[:, 0]


@torch.no_grad()
def aligned_distance(left: Details, right: Details) -> Float[Tensor, " batch"]:
    r"""Distance of paired images when the second is laid on the first as well as it can be.

    1 − ρ, ρ being the correlation over where they overlap, the smallest of `STEPS` Gauss–Newton
    steps from the identity (Lucas & Kanade, IJCAI 1981). The second is stretched and shifted along
    each axis, x ↦ a·x + b, so that what was cropped, padded or resized comes to lie on itself. Gain
    and offset of its grey values are fitted along with it.

    Args:
        left: As from `details`.
        right: The same of as many images.

    Returns:
        In [0, 2]; 2 where one of the two is constant.

    >>> image = details(torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)))
    >>> round(float(aligned_distance(image, 3 * image)[0]), 4)
    0.0
    """
    count, side = len(left), left.shape[-1]
    line = (2 * torch.arange(side, dtype=torch.float32) + 1) / side - 1
    down, across = torch.meshgrid(line, line, indexing="ij")
    slopes = torch.gradient(right[:, 0], dim=(1, 2))
    # Slopes a unit of the grid, which is half an image.
    layers = torch.cat([right, *(slope[:, None] * side / 2 for slope in slopes)], dim=1)
    place = torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(count, 1)
    nearest = torch.full((count,), _APART)
    for _ in range(STEPS):
        x = place[:, 0, None, None] * across + place[:, 1, None, None]
        y = place[:, 2, None, None] * down + place[:, 3, None, None]
        inside = ((x.abs() <= 1) & (y.abs() <= 1)).float()
        seen = functional.grid_sample(
            layers, torch.stack([x, y], dim=-1), padding_mode="border", align_corners=False
        )
        laid, slope_down, slope_across = seen.unbind(1)
        nearest = torch.minimum(nearest, _distance(left[:, 0], laid, inside))
        columns = torch.stack(
            [
                slope_across * across, slope_across, slope_down * down, slope_down,
                laid, torch.ones_like(laid),
            ],
            dim=1,
        )  # fmt: skip
        jacobian = (columns * inside[:, None]).flatten(2)
        rest = ((left[:, 0] - laid) * inside).flatten(1)
        normal = jacobian @ jacobian.mT + DAMPING * side**2 * torch.eye(len(columns[0]))
        step = torch.linalg.solve(normal, jacobian @ rest[:, :, None])[:, :4, 0]
        place = place + step.clamp(-FARTHEST, FARTHEST)
        place[:, 0::2] = place[:, 0::2].clamp(*SCALES)
        place[:, 1::2] = place[:, 1::2].clamp(-SHIFT, SHIFT)
    return nearest


def _distance(left: Tensor, laid: Tensor, inside: Tensor) -> Tensor:
    area = inside.sum((1, 2))
    size = area.clamp(min=1.0)[:, None, None]
    a = (left - (left * inside).sum((1, 2), keepdim=True) / size) * inside
    b = (laid - (laid * inside).sum((1, 2), keepdim=True) / size) * inside
    power = ((a * a).sum((1, 2)) * (b * b).sum((1, 2))).sqrt()
    alike = (a * b).sum((1, 2)) / power
    known = (power > 0) & (area >= OVERLAP * inside[0].numel())
    return torch.where(known, 1 - alike.clamp(-1, 1), _APART)
