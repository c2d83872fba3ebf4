"""The views of waveform segments: classes that only choose parameters."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from medssl.views import functional
from medssl.views.base import Params, View, normal
from medssl.views.functional import Batch

TimeWarpForm = Literal["monotone", "public"]

# A float64 uniform number has 53 random bits, and a seed that fits JSON numbers has no more.
_SEED_RANGE = 2**53


class Cutout(View):
    """Set one stretch to zero in all channels.

    Args:
        probability: Chance that a segment is changed.
        fraction: Least and greatest share of the segment that is cut; uniform in between.
    """

    name = "cutout"

    def __init__(self, *, probability: float, fraction: tuple[float, float]) -> None:
        super().__init__(probability=probability)
        self.fraction = fraction

    def width(self, channels: int) -> int:
        """One number for the length, one for the start."""
        return 2

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """Draw the length first, then a start that leaves the stretch inside the segment."""
        low, high = self.fraction
        cut = ((low + uniform[:, 0] * (high - low)) * length).round().long()
        start = (uniform[:, 1] * (length - cut + 1)).floor().long()
        return {"start": start, "length": cut}

    def transform(self, x: Batch, params: Params) -> Batch:
        """See `functional.cutout`."""
        return functional.cutout(x, start=params["start"], length=params["length"])


class MagnitudeWarp(View):
    """Multiply by a smooth curve around 1, shared by the channels.

    Args:
        probability: Chance that a segment is changed.
        knots: Number of evenly spaced knots.
        sigma: Standard deviation of the knots around 1.
    """

    name = "magnitude_warp"

    def __init__(self, *, probability: float, knots: int, sigma: float) -> None:
        super().__init__(probability=probability)
        self.knots = knots
        self.sigma = sigma

    def width(self, channels: int) -> int:
        """One number per knot."""
        return self.knots

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """Knots from N(1, σ)."""
        return {"knots": (1 + self.sigma * normal(uniform)).float()}

    def transform(self, x: Batch, params: Params) -> Batch:
        """See `functional.magnitude_warp`."""
        return functional.magnitude_warp(x, knots=params["knots"])


class TimeWarp(View):
    """Run faster and slower through the segment.

    The default never turns time back and keeps the channels in step. The public form is the one of
    the published code: per channel, and not monotone.

    Args:
        probability: Chance that a segment is changed.
        knots: Number of evenly spaced knots.
        sigma: Standard deviation of the log-speed, or of the position multipliers (public form).
        form: `"monotone"` or `"public"`.
    """

    name = "time_warp"

    def __init__(
        self, *, probability: float, knots: int, sigma: float, form: TimeWarpForm = "monotone"
    ) -> None:
        super().__init__(probability=probability)
        self.knots = knots
        self.sigma = sigma
        self.form = form

    def width(self, channels: int) -> int:
        """One number per knot, and per channel in the public form."""
        return self.knots if self.form == "monotone" else channels * self.knots

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """Knots from N(0, σ), or from N(1, σ) per channel in the public form."""
        spread = self.sigma * normal(uniform)
        if self.form == "monotone":
            return {"knots": spread.float()}
        return {"knots": (1 + spread).float().reshape(-1, channels, self.knots)}

    def transform(self, x: Batch, params: Params) -> Batch:
        """See `functional.time_warp` and `functional.time_warp_public`."""
        warp = functional.time_warp if self.form == "monotone" else functional.time_warp_public
        return warp(x, knots=params["knots"])


class GaussianNoise(View):
    """Add white noise of one standard deviation per segment.

    Args:
        probability: Chance that a segment is changed.
        sigma: Least and greatest standard deviation; uniform in between.
    """

    name = "gaussian_noise"

    def __init__(self, *, probability: float, sigma: tuple[float, float]) -> None:
        super().__init__(probability=probability)
        self.sigma = sigma

    def width(self, channels: int) -> int:
        """One number for σ, one for the seed of the noise."""
        return 2

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """σ and the seed from which the noise itself is made."""
        low, high = self.sigma
        seeds = (uniform[:, 1] * _SEED_RANGE).long()
        return {"sigma": (low + uniform[:, 0] * (high - low)).float(), "seeds": seeds}

    def transform(self, x: Batch, params: Params) -> Batch:
        """See `functional.gaussian_noise`."""
        return functional.gaussian_noise(x, sigma=params["sigma"], seeds=params["seeds"])


class ChannelPermutation(View):
    """Reorder the channels; every order is equally likely, the given one included.

    Args:
        probability: Chance that a segment is changed.
    """

    name = "channel_permutation"

    def width(self, channels: int) -> int:
        """One number per channel, whose ranks are the permutation."""
        return channels

    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """A permutation per segment."""
        return {"permutation": uniform.argsort(dim=1, stable=True)}

    def transform(self, x: Batch, params: Params) -> Batch:
        """See `functional.permute_channels`."""
        return functional.permute_channels(x, permutation=params["permutation"])
