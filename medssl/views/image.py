"""The views of images: classes that only choose parameters, and the five in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from medssl.batches import Pictures
from medssl.views import image_functional as functional
from medssl.views.base import Params, View
from medssl.views.image_crop import Crop, Interval, between
from medssl.views.image_functional import Images, plain
from medssl.views.seeds import derive_seed

CROP: Final = "crop"
_FARTHEST: Final = 3.0
"""Where the Gaussian of the widest blur is cut off, in its standard deviations."""


class Flip(View):
    """Mirror left and right."""

    name = "flip"

    def width(self, channels: int) -> int:
        """The coin says everything."""
        return 0

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """None."""
        return {}

    def transform(self, x: Images, params: Params) -> Images:
        """The columns in reverse."""
        return x.flip(-1)


class Affine(View):
    """Turn, enlarge and shift about the centre.

    Args:
        probability: Chance that an image is changed.
        degrees: Greatest angle to either side.
        translate: Greatest shift along each axis, as a share of the side.
        scale: Least and greatest factor.
    """

    name = "affine"

    def __init__(
        self, *, probability: float, degrees: float, translate: float, scale: Interval
    ) -> None:
        super().__init__(probability=probability)
        self.degrees = degrees
        self.translate = translate
        self.scale = scale

    def width(self, channels: int) -> int:
        """Angle, two shifts, factor."""
        return 4

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """All uniform."""
        return {
            "angle": between((-self.degrees, self.degrees), uniform[:, 0]).float(),
            "translate": between((-self.translate, self.translate), uniform[:, 1:3]).float(),
            "scale": between(self.scale, uniform[:, 3]).float(),
        }

    def transform(self, x: Images, params: Params) -> Images:
        """See `image_functional.affine`."""
        return functional.affine(x, **params)


class Jitter(View):
    """Change brightness, then contrast.

    Args:
        probability: Chance that an image is changed.
        brightness: Least and greatest ratio.
        contrast: Least and greatest ratio.
    """

    name = "jitter"

    def __init__(self, *, probability: float, brightness: Interval, contrast: Interval) -> None:
        super().__init__(probability=probability)
        self.brightness = brightness
        self.contrast = contrast

    def width(self, channels: int) -> int:
        """Two ratios."""
        return 2

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """Both uniform."""
        return {
            "brightness": between(self.brightness, uniform[:, 0]).float(),
            "contrast": between(self.contrast, uniform[:, 1]).float(),
        }

    def transform(self, x: Images, params: Params) -> Images:
        """See `image_functional.adjust_brightness` and `adjust_contrast`."""
        bright = functional.adjust_brightness(x, ratio=params["brightness"])
        return functional.adjust_contrast(bright, ratio=params["contrast"])


class Blur(View):
    """Blur with a Gaussian.

    Args:
        probability: Chance that an image is changed.
        sigma: Least and greatest standard deviation, in pixels of an image of `reference_size`.
        reference_size: Size at which `sigma` is meant; at another one it is scaled with it.
    """

    name = "blur"

    def __init__(self, *, probability: float, sigma: Interval, reference_size: int) -> None:
        super().__init__(probability=probability)
        self.sigma = sigma
        self.reference_size = reference_size

    def width(self, channels: int) -> int:
        """One standard deviation."""
        return 1

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """σ in pixels of the image at hand, uniform."""
        sigma = between(self.sigma, uniform[:, 0]) * (length / self.reference_size)
        return {"sigma": sigma.float()}

    def transform(self, x: Images, params: Params) -> Images:
        """See `image_functional.gaussian_blur`."""
        size = x.shape[-1]
        radius = math.ceil(_FARTHEST * self.sigma[1] * size / self.reference_size)
        return functional.gaussian_blur(x, sigma=params["sigma"], radius=min(radius, size - 1))


class ImageViews:
    """Crop and resize, then other views, each with its own coin.

    Args:
        size: Pixels along each side of what comes out.
        crop: None leaves the black around the images as `plain` does.
        views: In the order in which they are applied.

    >>> views = ImageViews(2, crop=None, views=[Flip(probability=1.0)])
    >>> square = torch.tensor([[[[0, 255], [0, 255]]]], dtype=torch.uint8)
    >>> views(Pictures(square, torch.tensor([[2, 2]])), seed=0)
    tensor([[[[1., 0.],
              [1., 0.]]]])
    """

    def __init__(self, size: int, *, crop: Crop | None, views: Sequence[View]) -> None:
        self.size = size
        self.crop = crop
        self.views = tuple(views)

    @property
    def names(self) -> tuple[str, ...]:
        """The views in their order."""
        return (*([CROP] if self.crop else []), *(view.name for view in self.views))

    def draw(self, extents: Int[Tensor, "batch 2"], *, seed: int) -> dict[str, Params]:
        """Draw the parameters of every view for a batch.

        Those of one image depend on the seed, its position and its own extents. Each view has its
        own stream, so that removing one leaves the others' draws as they were.

        Args:
            extents: Rows and columns of each image.
            seed: See `derive_seed`.
        """
        generator = torch.Generator()
        drawn = {}
        if self.crop is not None:
            drawn[CROP] = self.crop.draw(extents, generator.manual_seed(derive_seed(seed, CROP)))
        for view in self.views:
            stream = generator.manual_seed(derive_seed(seed, view.name))
            drawn[view.name] = view.draw(len(extents), 1, self.size, stream)
        return drawn

    def apply(self, pictures: Pictures, params: dict[str, Params]) -> Images:
        """Apply drawn parameters on the device of `pictures`.

        Returns:
            Float32 grey values in [0, 1], shape (batch, 1, size, size), not yet normalised.
        """
        count = len(pictures.pixels)
        # Twice as fast on a CPU, whose caches then hold a part through all views.
        on_cpu = pictures.pixels.device.type == "cpu"
        step = max(1, functional.PIXELS_AT_ONCE // self.size**2) if on_cpu else max(1, count)
        parts = [slice(start, start + step) for start in range(0, count, step)]
        return torch.cat([self._apply(pictures, params, part) for part in parts])

    def _apply(self, pictures: Pictures, params: dict[str, Params], rows: slice) -> Images:
        some = Pictures(pictures.pixels[rows], pictures.extents[rows])
        drawn = {
            name: {key: value[rows] for key, value in found.items()}
            for name, found in params.items()
        }
        if self.crop is None:
            x = plain(some, self.size)
        else:
            x = self.crop.apply(some, drawn[CROP], self.size)
        for view in self.views:
            x = view.apply_(x, drawn[view.name])
        return x

    def __call__(self, pictures: Pictures, *, seed: int) -> Images:
        """Draw and apply."""
        return self.apply(pictures, self.draw(pictures.extents, seed=seed))


__all__ = [
    "Affine",
    "Blur",
    "Flip",
    "ImageViews",
    "Jitter",
    "plain",
]
