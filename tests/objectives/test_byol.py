import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.byol import byol_loss


def rows(size, views=4, dim=5):
    generator = torch.Generator().manual_seed(size)
    return torch.randn(views, size, dim, generator=generator, dtype=torch.float64)


def loop(q_a, q_b, t_a, t_b):
    """The formula, row by row: squared distance of unit vectors is 2 − 2 cos."""
    total = 0
    for q, t in ((q_a, t_b), (q_b, t_a)):
        for i in range(len(q)):
            total = total + (q[i] / q[i].norm() - t[i] / t[i].norm()).square().sum() / len(q)
    return total


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_value_and_gradient_equal_the_loop(size):
    *targets, a, b = rows(size)
    mine, theirs = ([r.clone().requires_grad_() for r in (a, b)] for _ in range(2))
    terms, expected = byol_loss(*mine, *targets), loop(*theirs, *targets)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
    terms["loss"].backward()
    expected.backward()
    for ours, reference in zip(mine, theirs, strict=True):
        assert torch.allclose(ours.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_views_are_crossed_and_the_bounds_reached():
    a, b = torch.eye(4)[:2], torch.eye(4)[2:]
    assert byol_loss(b, a, a, b)["loss"].item() == pytest.approx(0, abs=1e-6)
    assert byol_loss(-b, -a, a, b)["loss"].item() == pytest.approx(8, abs=1e-6)
    assert byol_loss(a, b, a, b)["loss"].item() == pytest.approx(4, abs=1e-6)
    terms = byol_loss(b, b, a, b)
    assert terms["predicts_b"].item() == pytest.approx(0, abs=1e-6)
    assert terms["predicts_a"].item() == pytest.approx(2, abs=1e-6)


def test_the_teacher_gets_no_gradient():
    inputs = [r.clone().requires_grad_() for r in rows(3)]
    byol_loss(*inputs)["loss"].backward()
    assert [r.grad is None for r in inputs] == [False, False, True, True]


def test_order_of_the_batch_does_not_matter():
    inputs, order = rows(7), torch.randperm(7)
    moved = byol_loss(*(r[order] for r in inputs))
    assert torch.allclose(moved["loss"], byol_loss(*inputs)["loss"], rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(dtype):
    inputs = [r.to(dtype) for r in rows(9)]
    expected = byol_loss(*(r.double() for r in inputs))["loss"]
    with torch.autocast("cpu", dtype=dtype):
        value = byol_loss(*inputs)["loss"]
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_zero_rows_have_finite_value_and_gradient():
    inputs = [torch.zeros(3, 4).requires_grad_() for _ in range(4)]
    value = byol_loss(*inputs)["loss"]
    value.backward()
    assert value.item() == 4
    assert torch.isfinite(inputs[0].grad).all()


def test_refusals_name_the_objective():
    inputs = list(rows(3))
    with pytest.raises(ObjectiveError, match="byol_loss: embeddings have shapes"):
        byol_loss(*inputs[:3], inputs[3][:2])
    with pytest.raises(ObjectiveError, match="byol_loss: the batch has 0 row"):
        byol_loss(*(r[:0] for r in inputs))
