"""Cubic splines through evenly spaced knots, as one matrix product for a whole batch."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.interpolate import CubicSpline
from torch import Tensor

Boundary = Literal["natural", "not-a-knot"]
"""End condition of the spline: second derivative zero, or SciPy's default."""


@lru_cache(maxsize=64)
def cubic_matrix(
    length: int, knots: int, boundary: Boundary = "natural"
) -> Float64[Tensor, "time knots"]:
    """The linear map from values at evenly spaced knots to the spline at every sample.

    A cubic spline is linear in its knot values, so one (time, knots) matrix replaces solving a
    system for every segment. The first knot lies on the first sample, the last on the last.

    Args:
        length: Number of samples.
        knots: Number of knots, at least 4.
        boundary: End condition.

    >>> matrix = cubic_matrix(13, 7)
    >>> bool(torch.allclose(matrix @ torch.ones(7).double(), torch.ones(13).double()))
    True
    """
    at = np.linspace(0.0, 1.0, knots)
    spline = CubicSpline(at, np.eye(knots), bc_type=boundary)
    return torch.from_numpy(np.asarray(spline(np.linspace(0.0, 1.0, length)), dtype=np.float64))


def cubic_curves(
    values: Float[Tensor, "*batch knots"],
    length: int,
    *,
    boundary: Boundary = "natural",
    dtype: torch.dtype = torch.float64,
) -> Float[Tensor, "*batch time"]:
    """Evaluate one spline per row of knot values, at every sample.

    Args:
        values: Values at evenly spaced knots.
        length: Number of samples.
        boundary: End condition.
        dtype: Precision of the computation and of the result.
    """
    matrix = cubic_matrix(length, values.shape[-1], boundary)
    return values.to(dtype) @ matrix.to(device=values.device, dtype=dtype).T
