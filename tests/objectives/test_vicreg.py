import pytest
import torch
from lightly.loss import VICRegLoss

from medssl.errors import ObjectiveError
from medssl.objectives.vicreg import vicreg_loss

WEIGHTS = {"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}


def loop(a, b, invariance_weight, variance_weight, covariance_weight):
    """The formula, number by number."""
    size, dim = a.shape
    invariance = sum((a[i][k] - b[i][k]) ** 2 for i in range(size) for k in range(dim))
    variance = covariance = 0
    for z in (a, b):
        centred = z - sum(z) / size
        for k in range(dim):
            for m in range(dim):
                value = sum(centred[i][k] * centred[i][m] for i in range(size)) / (size - 1)
                if k == m:
                    lack = 1 - (value + 1e-4).sqrt()
                    variance = variance + torch.clamp(lack, min=0) / dim / 2
                else:
                    covariance = covariance + value**2 / dim
    return (
        invariance_weight * invariance / (size * dim)
        + variance_weight * variance
        + covariance_weight * covariance
    )


@pytest.mark.parametrize("weights", [WEIGHTS, dict(zip(WEIGHTS, (2.0, 3.0, 5.0), strict=True))])
def test_value_and_gradient_equal_the_loop(batch, weights):
    a, b, _ = batch
    mine, theirs = ([r.clone().requires_grad_() for r in (a, b)] for _ in range(2))
    value, expected = vicreg_loss(*mine, **weights)["loss"], loop(*theirs, **weights)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    for ours, reference in zip(mine, theirs, strict=True):
        assert torch.allclose(ours.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_total_is_lightlys_and_the_weighted_sum_of_the_named_terms(batch):
    a, b, _ = batch
    terms = vicreg_loss(a, b)
    assert terms["loss"].item() == pytest.approx(VICRegLoss()(a, b).item(), rel=1e-12)
    total = 25 * terms["invariance"] + 25 * terms["variance"] + terms["covariance"]
    assert torch.allclose(terms["loss"], total)
    assert set(terms) == {"loss", "invariance", "variance", "covariance"}


def test_order_of_the_batch_does_not_matter(batch):
    a, b, _ = batch
    order = torch.randperm(len(a))
    assert torch.allclose(vicreg_loss(a[order], b[order])["loss"], vicreg_loss(a, b)["loss"])


def test_collapse_is_finite_and_costs_the_variance_term():
    rows = torch.ones(6, 4).requires_grad_()
    terms = vicreg_loss(rows, rows)
    terms["loss"].backward()
    assert terms["loss"].item() == pytest.approx(25 * 0.99, rel=1e-5)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(dtype):
    # Covariances of these rows overflow float16.
    rows = (300 * torch.randn(2, 64, 16, generator=torch.Generator().manual_seed(0))).to(dtype)
    expected = vicreg_loss(*rows.double())["loss"]
    with torch.autocast("cpu", dtype=dtype):
        value = vicreg_loss(*rows)["loss"]
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_refusals_name_the_objective():
    rows = torch.randn(3, 4)
    with pytest.raises(ObjectiveError, match=r"vicreg_loss: the batch has 1 row\(s\) and at least"):
        vicreg_loss(rows[:1], rows[:1])
    with pytest.raises(ObjectiveError, match="vicreg_loss: embeddings have shapes"):
        vicreg_loss(rows, rows[:2])
