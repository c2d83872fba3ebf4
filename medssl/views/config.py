"""Which views are applied, how often and how strongly; the defaults are the published PPG ones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from medssl.config import StrictModel
from medssl.views.base import View
from medssl.views.cascade import Cascade
from medssl.views.signal import (
    ChannelPermutation,
    Cutout,
    GaussianNoise,
    MagnitudeWarp,
    TimeWarp,
    TimeWarpForm,
)

Probability = Annotated[float, Field(ge=0, le=1)]
Knots = Annotated[int, Field(ge=4, description="evenly spaced knots, both ends included")]
Sigma = Annotated[float, Field(ge=0)]


def ordered(interval: tuple[float, float]) -> tuple[float, float]:
    """An interval whose lower end comes first, or an error."""
    if interval[0] > interval[1]:
        msg = "the lower end comes first"
        raise ValueError(msg)
    return interval


Fraction = Annotated[float, Field(ge=0, le=1)]
Fractions = Annotated[tuple[Fraction, Fraction], AfterValidator(ordered)]
Sigmas = Annotated[tuple[Sigma, Sigma], AfterValidator(ordered)]


class CutoutConfig(StrictModel):
    """Set a stretch to zero in all channels."""

    probability: Probability = 0.4
    fraction: Fractions = Field(
        default=(0.3, 0.5), description="least and greatest share that is cut"
    )

    def build(self) -> View:
        """The view."""
        return Cutout(probability=self.probability, fraction=self.fraction)


class MagnitudeWarpConfig(StrictModel):
    """Multiply by a smooth curve around 1."""

    probability: Probability = 0.25
    knots: Knots = 7
    sigma: Sigma = Field(default=0.2, description="standard deviation of the knots")

    def build(self) -> View:
        """The view."""
        return MagnitudeWarp(probability=self.probability, knots=self.knots, sigma=self.sigma)


class TimeWarpConfig(StrictModel):
    """Run faster and slower through the segment."""

    probability: Probability = 0.15
    knots: Knots = 7
    sigma: Sigma = Field(default=0.1, description="standard deviation of the knots")
    form: TimeWarpForm = Field(
        default="monotone",
        description="monotone and shared by channels, or as in the published code",
    )

    def build(self) -> View:
        """The view."""
        return TimeWarp(
            probability=self.probability, knots=self.knots, sigma=self.sigma, form=self.form
        )


class GaussianNoiseConfig(StrictModel):
    """Add white noise."""

    probability: Probability = 0.25
    sigma: Sigmas = Field(default=(0.05, 0.1), description="least and greatest standard deviation")

    def build(self) -> View:
        """The view."""
        return GaussianNoise(probability=self.probability, sigma=self.sigma)


class ChannelPermutationConfig(StrictModel):
    """Reorder the channels."""

    probability: Probability = 0.25

    def build(self) -> View:
        """The view."""
        return ChannelPermutation(probability=self.probability)


class ViewsConfig(StrictModel):
    """The cascade of views, in the published order (Abbaspourazad et al., ICLR 2024).

    The defaults are the published PPG probabilities; a view with probability 0 is left out.

    >>> [view.name for view in ViewsConfig().build().views][:2]
    ['cutout', 'magnitude_warp']
    >>> len(ViewsConfig(channel_permutation={"probability": 0}).build().views)
    4
    """

    kind: Literal["waveform"] = "waveform"
    cutout: CutoutConfig = CutoutConfig()
    magnitude_warp: MagnitudeWarpConfig = MagnitudeWarpConfig()
    time_warp: TimeWarpConfig = TimeWarpConfig()
    gaussian_noise: GaussianNoiseConfig = GaussianNoiseConfig()
    channel_permutation: ChannelPermutationConfig = ChannelPermutationConfig()

    def build(self) -> Cascade:
        """The cascade."""
        order = (
            self.cutout,
            self.magnitude_warp,
            self.time_warp,
            self.gaussian_noise,
            self.channel_permutation,
        )
        return Cascade([config.build() for config in order if config.probability > 0])
