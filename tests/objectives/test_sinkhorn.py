import pytest
import torch
from lightly.loss.swav_loss import sinkhorn as lightlys

from medssl.errors import ObjectiveError
from medssl.objectives.sinkhorn import sinkhorn


def cosines(rows, clusters, seed=0):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.nn.functional.normalize
    centres = unit(torch.randn(clusters, 8, generator=generator))
    return unit(torch.randn(rows, 8, generator=generator)) @ centres.T


@pytest.mark.parametrize("shape", [(32, 8), (4, 12), (1, 5), (6, 1)])
def test_it_is_lightlys_where_that_is_finite(shape):
    logits = cosines(*shape)
    assert torch.allclose(sinkhorn(logits), lightlys(logits), rtol=1e-4, atol=1e-6)


def test_rows_sum_to_1_and_columns_to_their_share():
    codes = sinkhorn(cosines(60, 10), rounds=60)
    assert torch.allclose(codes.sum(1), torch.ones(60), atol=1e-5)
    assert torch.allclose(codes.sum(0), torch.full((10,), 6.0), rtol=0.02)
    roughly = sinkhorn(cosines(60, 10))
    assert torch.allclose(roughly.sum(1), torch.ones(60), atol=1e-5)
    assert (roughly.sum(0) - 6).abs().max() < 3


def test_it_is_finite_where_lightlys_is_not():
    sharp = {"epsilon": 0.01}
    logits = cosines(16, 4)
    exact = sinkhorn(logits.double(), **sharp)
    # Beyond 0.89 a cosine over 0.01 is more than float32's exponential holds; less the maximum,
    # rows that are far below it vanish.
    logits[0, 0], logits[1, :] = 1.0, -1.0
    exact = sinkhorn(logits.double(), **sharp)
    assert not torch.isfinite(lightlys(logits, **sharp)).all()
    assert not torch.isfinite(lightlys(logits - logits.max(), **sharp)).all()
    assert torch.allclose(sinkhorn(logits, **sharp).double(), exact, atol=1e-4)
    assert not torch.isfinite(lightlys(torch.ones(4, 4).half())).all()
    assert torch.allclose(sinkhorn(torch.ones(4, 4).half()), torch.full((4, 4), 0.25))


def test_a_constant_changes_nothing_and_there_is_no_gradient():
    logits = cosines(8, 4).double().requires_grad_()
    codes = sinkhorn(logits)
    assert not codes.requires_grad
    assert codes.dtype == torch.float64
    assert torch.allclose(sinkhorn(logits + 30), codes)


def test_settings_are_checked():
    with pytest.raises(ObjectiveError, match="sinkhorn: epsilon is 0"):
        sinkhorn(torch.ones(2, 2), epsilon=0)
    with pytest.raises(ObjectiveError, match="sinkhorn: rounds is 0"):
        sinkhorn(torch.ones(2, 2), rounds=0)
    with pytest.raises(ObjectiveError, match=r"logits have shape \(0, 3\)"):
        sinkhorn(torch.ones(0, 3))
