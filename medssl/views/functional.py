"""Signal views as pure functions of a batch and explicit parameters."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.views.splines import Boundary, cubic_curves

Batch = Float[Tensor, "batch channels time"]

PUBLIC_BOUNDARY: Boundary = "not-a-knot"
"""SciPy's default end condition, which the public time warp takes over."""


def cutout(x: Batch, *, start: Int[Tensor, " batch"], length: Int[Tensor, " batch"]) -> Batch:
    """Set one stretch of every segment to zero, in all channels.

    Args:
        x: Segments, z-scored, so that zero is each channel's mean.
        start: First sample that is cut.
        length: Number of samples that are cut.

    >>> cutout(torch.ones(1, 1, 5), start=torch.tensor([1]), length=torch.tensor([2]))
    tensor([[[1., 0., 0., 1., 1.]]])
    """
    time = torch.arange(x.shape[-1], device=x.device)
    kept = (time < start[:, None]) | (time >= (start + length)[:, None])
    # A product is ten times faster than masked_fill with an expanded mask.
    return x * kept[:, None, :].to(x.dtype)


def magnitude_warp(x: Batch, *, knots: Float[Tensor, "batch knots"]) -> Batch:
    """Multiply every segment by a smooth curve, shared by its channels.

    Args:
        x: Segments.
        knots: Values of the curve at evenly spaced knots, around 1; a natural cubic joins them.

    >>> magnitude_warp(torch.ones(1, 1, 3), knots=torch.full((1, 7), 2.0))
    tensor([[[2., 2., 2.]]])
    """
    curve = cubic_curves(knots, x.shape[-1], dtype=torch.promote_types(x.dtype, torch.float32))
    return x * curve.to(x.dtype)[:, None, :]


def monotone_positions(
    knots: Float[Tensor, "batch knots"], length: int
) -> Float[Tensor, "batch time"]:
    r"""Where each output sample is read from, for a warp that never turns time back.

    The speed is $v(t) = \exp(c(t))$ with c a natural cubic through the knots, so it is positive;
    positions are its cumulated (trapezoidal) sum, rescaled to [0, length - 1].

    Args:
        knots: Logarithms of the speed at evenly spaced knots.
        length: Number of samples.

    Returns:
        float64 positions, non-decreasing, from 0 to length - 1.
    """
    speed = cubic_curves(knots, length).exp()
    steps = (speed[:, 1:] + speed[:, :-1]) / 2
    walked = torch.cat([torch.zeros_like(speed[:, :1]), steps.cumsum(dim=-1)], dim=-1)
    return _rescale(walked, length)


def public_positions(
    knots: Float[Tensor, "batch channels knots"], length: int
) -> Float[Tensor, "batch channels time"]:
    """Where each output sample is read from in the public form of the time warp.

    Knots u_k lie evenly over [0, length - 1]; a cubic joins (u_k, u_k · knots_k), is scaled so
    that its last value is length - 1, and clipped to [0, length - 1]. It may turn time back and
    may stand still at either end.

    Args:
        knots: Multipliers of the knots' positions, around 1.
        length: Number of samples.
    """
    at = torch.linspace(0, length - 1, knots.shape[-1], dtype=torch.float64, device=knots.device)
    curve = cubic_curves(knots.double() * at, length, boundary=PUBLIC_BOUNDARY)
    return _rescale(curve, length).clamp(0, length - 1)


def _rescale(positions: Tensor, length: int) -> Tensor:
    end = positions[..., -1:].clamp_min(torch.finfo(positions.dtype).tiny)
    # The quotient comes first: it is exactly 1 at the end, so that rounding adds no step back.
    return positions / end * (length - 1)


def read_at(x: Batch, positions: Tensor) -> Batch:
    """Read every segment at fractional positions, by linear interpolation.

    Args:
        x: Segments.
        positions: Positions in samples, in [0, time - 1], of shape (batch, time) when shared by
            channels, or (batch, channels, time).

    >>> read_at(torch.tensor([[[0.0, 10.0, 20.0]]]), torch.tensor([[0.0, 0.5, 1.5]]))
    tensor([[[ 0.,  5., 15.]]])
    """
    last = x.shape[-1] - 1
    shared = positions[:, None, :] if positions.ndim == 2 else positions
    left = shared.floor().clamp(0, max(last - 1, 0))
    weight = (shared - left).to(x.dtype)
    # An expanded index gathers every channel without storing one index per channel.
    index = left.long()
    shape = (-1, x.shape[1], -1)
    below = x.gather(-1, index.expand(shape))
    above = x.gather(-1, (index + 1).clamp_max(last).expand(shape))
    return torch.lerp(below, above, weight)


def time_warp(x: Batch, *, knots: Float[Tensor, "batch knots"]) -> Batch:
    """Run every segment faster and slower, all channels in step, never backwards.

    Args:
        x: Segments.
        knots: Logarithms of the speed at evenly spaced knots, around 0.

    >>> time_warp(torch.tensor([[[0.0, 1.0, 4.0]]]), knots=torch.zeros(1, 7))
    tensor([[[0., 1., 4.]]])
    """
    return read_at(x, monotone_positions(knots, x.shape[-1]))


def time_warp_public(x: Batch, *, knots: Float[Tensor, "batch channels knots"]) -> Batch:
    """The time warp of the published code: per channel, not monotone (see `public_positions`).

    Args:
        x: Segments.
        knots: Multipliers of the knots' positions, around 1.
    """
    return read_at(x, public_positions(knots, x.shape[-1]))


def gaussian_noise(
    x: Batch, *, sigma: Float[Tensor, " batch"], seeds: Int[Tensor, " batch"]
) -> Batch:
    """Add white Gaussian noise of one standard deviation per segment.

    Every segment's noise is drawn on the CPU from its own seed: the result depends neither on the
    device nor on the segment's neighbours.

    Args:
        x: Segments.
        sigma: Standard deviation of the noise, in the units of `x`.
        seeds: Seed of each segment's noise.
    """
    generator = torch.Generator()
    noise = torch.empty(x.shape, dtype=torch.float32)
    for row, seed in zip(noise, seeds.tolist(), strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    return torch.addcmul(x, noise.to(x), sigma.to(x)[:, None, None])


def permute_channels(x: Batch, *, permutation: Int[Tensor, "batch channels"]) -> Batch:
    """Reorder the channels of every segment.

    Args:
        x: Segments.
        permutation: For each output channel, the input channel it is taken from.

    >>> x = torch.tensor([[[1.0], [2.0]]])
    >>> permute_channels(x, permutation=torch.tensor([[1, 0]])).flatten()
    tensor([2., 1.])
    """
    rows = torch.arange(len(x), device=x.device)
    return x[rows[:, None], permutation]
