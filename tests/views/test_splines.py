import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from medssl.views.splines import cubic_curves, cubic_matrix


@pytest.mark.parametrize("boundary", ["natural", "not-a-knot"])
@pytest.mark.parametrize(("length", "knots"), [(3840, 7), (128, 7), (50, 4), (5, 9)])
def test_equals_scipy_curve_by_curve(boundary, length, knots):
    values = torch.randn(3, knots, dtype=torch.float64)
    curves = cubic_curves(values, length, boundary=boundary)
    at = np.linspace(0, length - 1, knots)
    for value, curve in zip(values, curves, strict=True):
        expected = CubicSpline(at, value.numpy(), bc_type=boundary)(np.arange(length))
        assert np.allclose(curve.numpy(), expected, atol=1e-9)


def test_curve_passes_through_its_knots():
    values = torch.randn(2, 5, 7)
    curves = cubic_curves(values, 61)
    assert torch.allclose(curves[..., ::10], values.double(), atol=1e-12)


def test_natural_spline_has_no_curvature_at_its_ends():
    matrix = cubic_matrix(6001, 7)
    curvature = matrix.diff(n=2, dim=0) * 1000**2
    assert curvature[[0, -1]].abs().max() < 0.02
    assert curvature[1000].abs().max() > 0.5


def test_one_sample_is_the_first_knot():
    assert cubic_matrix(1, 7).tolist() == [[1, 0, 0, 0, 0, 0, 0]]
