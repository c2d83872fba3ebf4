"""Which views of images are drawn, how often and how strongly; the defaults are ConVIRT's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from medssl.config import StrictModel
from medssl.views.base import View
from medssl.views.config import Probability, ordered
from medssl.views.image import Affine, Blur, Flip, ImageViews, Jitter
from medssl.views.image_crop import Crop, CropShape

Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(ordered)]
Positives = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(ordered)]
Ratio = Annotated[float, Field(ge=0)]
Ratios = Annotated[tuple[Ratio, Ratio], AfterValidator(ordered)]


class CropConfig(StrictModel):
    """Cut out a part and bring it to the size."""

    probability: Probability = 1.0
    area: Shares = Field((0.6, 1.0), description="least and greatest share of the image's area")
    aspect: Positives = Field(
        (1.0, 1.0),
        description="least and greatest width over height of the box, relative to the image's own; "
        "none is published",
    )
    shape: CropShape = Field(
        "image",
        description="image: proportions of the image, stretched to a square, as published; square: "
        "nothing is stretched, and views look as what is embedded does",
    )

    def build(self) -> Crop:
        """The view."""
        return Crop(
            probability=self.probability, area=self.area, aspect=self.aspect, shape=self.shape
        )


class FlipConfig(StrictModel):
    """Mirror left and right.

    A mirrored radiograph shows on the right what its report calls left. Set the probability to 0
    where sentences with left and right exchanged are negatives, or where the side of a finding
    counts otherwise.
    """

    probability: Probability = 0.5

    def build(self) -> View:
        """The view."""
        return Flip(probability=self.probability)


class AffineConfig(StrictModel):
    """Turn, enlarge and shift; black comes in from outside."""

    probability: Probability = 1.0
    degrees: float = Field(20.0, ge=0, le=180, description="greatest angle to either side")
    translate: float = Field(0.1, ge=0, le=1, description="greatest shift, as a share of the side")
    scale: Positives = Field((0.95, 1.05), description="least and greatest factor")

    def build(self) -> View:
        """The view."""
        return Affine(
            probability=self.probability,
            degrees=self.degrees,
            translate=self.translate,
            scale=self.scale,
        )


class JitterConfig(StrictModel):
    """Change brightness and contrast; cut at black and white."""

    probability: Probability = 1.0
    brightness: Ratios = Field((0.6, 1.4), description="least and greatest ratio")
    contrast: Ratios = Field((0.6, 1.4), description="least and greatest ratio")

    def build(self) -> View:
        """The view."""
        return Jitter(
            probability=self.probability, brightness=self.brightness, contrast=self.contrast
        )


class BlurConfig(StrictModel):
    """Blur with a Gaussian."""

    probability: Probability = 1.0
    sigma: Positives = Field(
        (0.1, 3.0), description="least and greatest standard deviation (pixels at reference_size)"
    )
    reference_size: PositiveInt = Field(
        224, description="size at which sigma is meant; at half the size it is half as wide"
    )

    def build(self) -> View:
        """The view."""
        return Blur(
            probability=self.probability, sigma=self.sigma, reference_size=self.reference_size
        )


class ImageViewsConfig(StrictModel):
    """The five views in the published order (ConVIRT: Zhang et al., arXiv 2010.00747).

    The defaults are the published ones; a view with probability 0 is left out.

    >>> ImageViewsConfig(size=224).build().names
    ('crop', 'flip', 'affine', 'jitter', 'blur')
    >>> ImageViewsConfig(size=64, flip={"probability": 0}).build().names
    ('crop', 'affine', 'jitter', 'blur')
    """

    kind: Literal["image"] = "image"
    size: PositiveInt = Field(description="pixels along each side of a view")
    crop: CropConfig = CropConfig()
    flip: FlipConfig = FlipConfig()
    affine: AffineConfig = AffineConfig()
    jitter: JitterConfig = JitterConfig()
    blur: BlurConfig = BlurConfig()

    def build(self) -> ImageViews:
        """The views."""
        order = (self.flip, self.affine, self.jitter, self.blur)
        return ImageViews(
            self.size,
            crop=self.crop.build() if self.crop.probability > 0 else None,
            views=[config.build() for config in order if config.probability > 0],
        )
