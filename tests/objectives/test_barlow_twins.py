import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.barlow_twins import barlow_twins_loss


def loop(first, second, weight):
    """The formula, feature by feature."""

    def standard(z):
        mean = sum(z) / len(z)
        variance = sum((row - mean) ** 2 for row in z) / len(z)
        return [(row - mean) / (variance + 1e-5).sqrt() for row in z]

    a, b = standard(first), standard(second)
    size, dim = first.shape
    total = 0
    for k in range(dim):
        for m in range(dim):
            correlation = sum(a[i][k] * b[i][m] for i in range(size)) / size
            total = total + ((1 - correlation) ** 2 if k == m else weight * correlation**2)
    return total


@pytest.mark.parametrize("weight", [0.0, 5e-3, 1.0])
def test_value_and_gradient_equal_the_loop(batch, weight):
    a, b, _ = batch
    mine, theirs = ([r.clone().requires_grad_() for r in (a, b)] for _ in range(2))
    value = barlow_twins_loss(*mine, redundancy_weight=weight)
    expected = loop(*theirs, weight)
    assert value.item() == pytest.approx(expected.item(), rel=1e-10)
    value.backward()
    expected.backward()
    for ours, reference in zip(mine, theirs, strict=True):
        assert torch.allclose(ours.grad, reference.grad, rtol=1e-7, atol=1e-10)


def test_decorrelated_equal_views_cost_nothing_and_redundant_ones_do():
    rows = torch.tensor([[1.0, 1], [-1, 1], [1, -1], [-1, -1]], dtype=torch.float64)
    assert barlow_twins_loss(rows, rows).item() == pytest.approx(0, abs=1e-8)
    twice = rows[:, [0, 0]]
    assert barlow_twins_loss(twice, twice).item() == pytest.approx(2 * 5e-3, rel=1e-4)


def test_order_of_the_batch_does_not_matter(batch):
    a, b, _ = batch
    order = torch.randperm(len(a))
    assert torch.allclose(barlow_twins_loss(a[order], b[order]), barlow_twins_loss(a, b))


def test_collapse_is_finite_and_costs_one_a_feature():
    rows = torch.ones(6, 4).requires_grad_()
    value = barlow_twins_loss(rows, rows)
    value.backward()
    assert value.item() == pytest.approx(4, abs=1e-5)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(dtype):
    rows = torch.randn(2, 64, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = barlow_twins_loss(*rows.double())
    with torch.autocast("cpu", dtype=dtype):
        value = barlow_twins_loss(*rows)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_refusals_name_the_objective():
    rows = torch.randn(3, 4)
    with pytest.raises(ObjectiveError, match=r"barlow_twins_loss: the batch has 1 row\(s\) and at"):
        barlow_twins_loss(rows[:1], rows[:1])
    with pytest.raises(ObjectiveError, match="barlow_twins_loss: embeddings have shapes"):
        barlow_twins_loss(rows, rows[:2])
