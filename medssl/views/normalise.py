"""Normalisation of segments: z-score per segment and channel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def zscore(x: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch channels time"]:
    r"""Standardise every channel of every segment: $(x - \mu) / \sigma$, σ over the population.

    A constant channel becomes zeros. The result does not depend on the units: the range is
    brought to [-1, 1] before any moment is taken, so that neither a large offset (converter
    counts) nor a tiny scale (volts) costs precision, and rounding in the mean of a constant
    channel cannot be blown up to unit variance.

    Args:
        x: Segments in any unit.

    Returns:
        Segments of the same dtype with mean 0 and population standard deviation 1 per channel.

    >>> zscore(torch.tensor([[[1.0, 3.0], [0.1, 0.1]]]))
    tensor([[[-1.,  1.],
             [ 0.,  0.]]])
    """
    wide = x if x.dtype == torch.float64 else x.float()
    # Two passes: torch's fused aminmax is twenty times slower along the last axis on a CPU.
    low, high = wide.amin(dim=-1, keepdim=True), wide.amax(dim=-1, keepdim=True)
    half = high / 2 - low / 2
    middle = low / 2 + high / 2
    # NaN is not equal to zero, so a channel with NaN stays NaN instead of looking constant.
    constant = half == 0
    scaled = (wide - middle) / torch.where(constant, torch.ones_like(half), half)
    centred = scaled - scaled.mean(dim=-1, keepdim=True)
    deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
    standard = centred / torch.where(constant, torch.ones_like(deviation), deviation)
    return standard.masked_fill(constant, 0.0).to(x.dtype)
