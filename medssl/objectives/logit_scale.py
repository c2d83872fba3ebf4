"""A learned inverse temperature that cannot run away."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medssl.errors import ObjectiveError

LARGEST_SCALE = 100.0
"""Of CLIP (arXiv 2103.00020): beyond it single similarities decide everything."""


class LogitScale(nn.Module):
    """t = exp(t′), what similarities are multiplied with; its inverse is the temperature.

    The parameter is held at t ≤ 100 before each use, so that it leaves the bound as soon as the
    gradient says so. It must be optimised without weight decay, which would pull t to 1.

    Args:
        start: t at first.

    Raises:
        ObjectiveError: The start is not between 0 and 100.

    >>> LogitScale(10.0)().item()
    10.0
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        if not 0 < start <= LARGEST_SCALE:
            msg = f"LogitScale: start is {start}; it must lie between 0 and {LARGEST_SCALE:g}"
            raise ObjectiveError(msg)
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)))

    def forward(self) -> Float[Tensor, ""]:
        """The scale t."""
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
        return self.log_scale.exp()

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """τ = 1/t, with a gradient."""
        scale: Tensor = self()
        return 1 / scale
