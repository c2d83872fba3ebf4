import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medssl.views.normalise import zscore


def test_equals_numpy_in_double_precision():
    x = np.random.default_rng(0).normal(3, 7, (5, 4, 300))
    expected = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    assert np.allclose(zscore(torch.from_numpy(x)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e-30, 1e30, 4095.0])
def test_constant_channel_becomes_zeros(value):
    x = torch.full((1, 2, 3840), value)
    x[0, 1] = torch.arange(3840.0)
    out = zscore(x)
    assert (out[0, 0] == 0).all()
    assert out[0, 1].std(correction=0) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("offset", "scale"), [(1e6, 1.0), (0.0, 1e-30), (0.0, 1e30), (-5e4, 3.0)])
def test_units_do_not_matter(offset, scale):
    # Integers, so that scaling and shifting are exact and only the z-score can lose precision.
    steps = torch.from_numpy(np.random.default_rng(1).integers(-8, 9, (3, 2, 640))).float()
    assert torch.allclose(zscore(steps * scale + offset), zscore(steps), atol=1e-5)


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_mean_zero_and_population_deviation_one(length, seed):
    x = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(seed))
    out = zscore(x)
    assert torch.allclose(out.mean(-1), torch.zeros(2, 3), atol=1e-5)
    expected = torch.ones(2, 3) if length > 1 else torch.zeros(2, 3)
    assert torch.allclose(out.std(-1, correction=0), expected, atol=1e-4)


def test_half_precision_comes_back_as_half_without_overflow():
    x = (torch.arange(2000.0) * 30).half().reshape(1, 1, -1)
    out = zscore(x)
    assert out.dtype == torch.float16
    assert torch.isfinite(out).all()
    assert out.float().std(correction=0) == pytest.approx(1, abs=1e-2)


def test_nan_is_not_hidden():
    x = torch.randn(1, 2, 50)
    x[0, 1, 3] = torch.nan
    out = zscore(x)
    assert torch.isfinite(out[0, 0]).all()
    assert out[0, 1].isnan().all()
