"""Image views as pure functions of a batch and explicit parameters."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.batches import Pictures

Images = Float[Tensor, "batch 1 height width"]
"""Grey values in [0, 1]."""

PIXELS_AT_ONCE = 2**18
"""Images are worked on in parts of about so many pixels: 1 MB as floats, which caches hold."""


def plain(pictures: Pictures, size: int) -> Images:
    """Whole squares, black around the images included, at size × size pixels: no chance at all.

    Antialiased (`torch.nn.functional.interpolate`); what an encoder embeds.

    Args:
        pictures: Images centred in black squares.
        size: Pixels along each side of what comes out.

    Returns:
        Float32, on the device of `pictures`.

    >>> square = torch.tensor([[[[0, 255], [255, 255]]]], dtype=torch.uint8)
    >>> plain(Pictures(square, torch.tensor([[2, 2]])), 1)
    tensor([[[[0.7500]]]])
    """
    pixels = pictures.pixels
    step = max(1, PIXELS_AT_ONCE // pixels.shape[-1] ** 2)
    starts = range(0, len(pixels), step)
    return torch.cat([_resize(pixels[start : start + step], size) for start in starts])


def crop(pictures: Pictures, boxes: Int[Tensor, "batch 4"], size: int) -> Images:
    """Cut a box out of every image and stretch it to size × size pixels, antialiased.

    Nothing outside a box is seen, not even at its border.

    Args:
        pictures: Images centred in black squares.
        boxes: Top, left, height and width in pixels of the image; where a box leaves the image, it
            stays inside the square.
        size: Pixels along each side of what comes out.

    Returns:
        Float32, on the device of `pictures`.

    >>> square = torch.tensor([[[[0, 255], [255, 255]]]], dtype=torch.uint8)
    >>> crop(Pictures(square, torch.tensor([[2, 2]])), torch.tensor([[0, 0, 2, 1]]), 1)
    tensor([[[[0.5000]]]])
    """
    edge = pictures.pixels.shape[-1]
    boxes = boxes.cpu()
    corners = boxes[:, :2] + (edge - pictures.extents.cpu()) // 2
    parts = []
    for row, ((top, left), (height, width)) in enumerate(
        zip(corners.tolist(), boxes[:, 2:].tolist(), strict=True)
    ):
        part = pictures.pixels[row, None, :, top : top + height, left : left + width]
        parts.append(_resize(part, size))
    return torch.cat(parts)


def _resize(pixels: Int[Tensor, "batch 1 height width"], size: int) -> Images:
    grey = pixels.float() / white(pixels.dtype)
    if pixels.shape[-2:] == (size, size):
        return grey
    sized = torch.nn.functional.interpolate(grey, (size, size), mode="bilinear", antialias=True)
    return sized.clamp_(0, 1)


def white(dtype: torch.dtype) -> float:
    """The integer that stands for white: 8-bit images are uint8, 16-bit ones int32."""
    return 255.0 if dtype == torch.uint8 else 65_535.0


def affine(
    x: Images,
    *,
    angle: Float[Tensor, " batch"],
    translate: Float[Tensor, "batch 2"],
    scale: Float[Tensor, " batch"],
) -> Images:
    """Turn, enlarge and shift every image about its centre; black comes in from outside.

    Args:
        x: Grey values.
        angle: Degrees, clockwise.
        translate: Shift to the right and down, as fractions of the width and height.
        scale: Factor by which the image grows.

    >>> x = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    >>> turn, none = torch.tensor([90.0]), torch.zeros(1, 2)
    >>> affine(x, angle=turn, translate=none, scale=torch.ones(1)).round().int()
    tensor([[[[0, 1],
              [0, 0]]]], dtype=torch.int32)
    """
    height, width = x.shape[-2:]
    radians = angle * (math.pi / 180)
    cosine, sine = torch.cos(radians) / scale, torch.sin(radians) / scale
    # Where each output pixel is read from, both sides going from -1 to 1. affine_grid of torch
    # computes the same ten times slower.
    right = _places(width, x)[None, None, :] - 2 * translate[:, 0, None, None]
    down = _places(height, x)[None, :, None] - 2 * translate[:, 1, None, None]
    cosine, sine = cosine[:, None, None], sine[:, None, None]
    grid = x.new_empty((len(x), height, width, 2))
    torch.add(cosine * right, (sine * height / width) * down, out=grid[..., 0])
    torch.sub(cosine * down, (sine * width / height) * right, out=grid[..., 1])
    return torch.nn.functional.grid_sample(x, grid, mode="bilinear", align_corners=False)


def _places(count: int, like: Tensor) -> Float[Tensor, " count"]:
    """Centres of pixels on a side that goes from -1 to 1."""
    return (torch.arange(count, dtype=like.dtype, device=like.device) * 2 + 1) / count - 1


def adjust_brightness(x: Images, *, ratio: Float[Tensor, " batch"]) -> Images:
    """Multiply every image by a ratio and cut at white.

    >>> adjust_brightness(torch.full((1, 1, 1, 1), 0.5), ratio=torch.tensor([1.4])).item()
    0.699999988079071
    """
    return (x * ratio[:, None, None, None].to(x.dtype)).clamp_(0, 1)


def adjust_contrast(x: Images, *, ratio: Float[Tensor, " batch"]) -> Images:
    """Multiply differences from every image's mean by a ratio and cut at black and white.

    >>> x = torch.tensor([[[[0.25, 0.75]]]])
    >>> adjust_contrast(x, ratio=torch.tensor([0.5]))
    tensor([[[[0.3750, 0.6250]]]])
    """
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, ratio[:, None, None, None].to(x.dtype)).clamp_(0, 1)


def gaussian_blur(x: Images, *, sigma: Float[Tensor, " batch"], radius: int) -> Images:
    r"""Convolve every image with a Gaussian of its own, mirrored at the borders.

    The weights are $\exp(-d^2 / 2σ^2)$ at whole distances $|d| \le$ `radius`, over their sum.

    Args:
        x: Grey values.
        sigma: Standard deviations in pixels, above 0.
        radius: Farthest pixel that counts; smaller than the image.

    >>> x = torch.zeros(1, 1, 3, 3)
    >>> x[..., 1, 1] = 1
    >>> gaussian_blur(x, sigma=torch.tensor([0.1]), radius=1).equal(x)
    False
    """
    if radius == 0:
        return x
    distance = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernels = torch.exp(-0.5 * (distance / sigma[:, None].to(x.dtype)) ** 2)
    kernels = (kernels / kernels.sum(dim=1, keepdim=True))[:, None, None, :]
    padded = torch.nn.functional.pad(x, (radius,) * 4, mode="reflect").transpose(0, 1)
    # One group an image: every image has its own kernel.
    with torch.autocast(device_type=x.device.type, enabled=False):
        across = torch.nn.functional.conv2d(padded, kernels, groups=len(x))
        both = torch.nn.functional.conv2d(across, kernels.transpose(2, 3), groups=len(x))
    return both.transpose(0, 1)
