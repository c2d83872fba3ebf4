import math

import pytest
import torch
from lightly.loss import KoLeoLoss

from medssl.errors import ObjectiveError
from medssl.objectives.koleo import koleo


def loop(rows, participants=None, eps=1e-8):
    """The recipe's formula, row by row."""
    z = [row / row.norm() for row in rows]
    people = range(len(z)) if participants is None else participants.tolist()
    terms = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i and people[j] != people[i]]
        nearest = max(others, key=lambda j, i=i: z[i].dot(z[j]).item())
        terms.append(-((z[i] - z[nearest] + eps).square().sum().sqrt() + eps).log())
    return sum(terms) / len(terms)


@pytest.mark.parametrize("masked", [False, True])
def test_value_and_gradient_equal_the_loop(batch, masked):
    rows, _, participants = batch
    apart = participants if masked else None
    mine, reference = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    value, expected = koleo(mine, apart), loop(reference, apart)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    assert torch.allclose(mine.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_fixed_values():
    identical = koleo(torch.ones(256, 128, dtype=torch.float64), torch.arange(256))
    assert identical.item() == pytest.approx(15.910, abs=5e-4)
    assert koleo(torch.ones(256, 128)).item() == pytest.approx(15.910, abs=5e-4)
    identity = koleo(torch.eye(128, dtype=torch.float64), torch.arange(128))
    assert identity.item() == pytest.approx(-0.5 * math.log(2), abs=1e-7)


def test_equals_lightly_without_participants():
    rows = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    mine, theirs = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    value, expected = koleo(mine), KoLeoLoss(eps=1e-8)(theirs)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    assert torch.allclose(mine.grad, theirs.grad, atol=1e-6)


def test_neighbours_of_the_same_participant_do_not_count():
    rows = torch.tensor([[1.0, 0.0], [1.0, 1e-4], [0.0, 1.0]])
    near, far = koleo(rows), koleo(rows, torch.tensor([0, 0, 1]))
    assert near > 2
    assert far.item() == pytest.approx(-0.5 * math.log(2), abs=1e-3)


def test_order_of_the_batch_does_not_matter(batch):
    rows, _, participants = batch
    order = torch.randperm(len(rows))
    assert torch.allclose(koleo(rows[order], participants[order]), koleo(rows, participants))


@pytest.mark.parametrize("rows", [torch.ones(4, 8), torch.zeros(4, 8)], ids=["ones", "zeros"])
def test_identical_rows_have_finite_value_and_gradient(rows):
    rows = rows.clone().requires_grad_()
    value = koleo(rows, torch.tensor([0, 0, 1, 2]))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(dtype):
    # Rows lie so close that similarities in half precision would name other neighbours.
    rows = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = koleo(rows.double())
    with torch.autocast("cpu", dtype=dtype):
        value = koleo(rows)
        identical = koleo(torch.ones(4, 128, dtype=dtype))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    assert identical.item() == pytest.approx(15.910, abs=5e-4)


def test_descent_spreads_rows():
    rows = torch.nn.Parameter(torch.ones(6, 3) + 0.01 * torch.randn(6, 3))
    optimizer = torch.optim.SGD([rows], lr=0.05)
    first = koleo(rows).item()
    for _ in range(50):
        optimizer.zero_grad()
        koleo(rows).backward()
        optimizer.step()
    assert koleo(rows).item() < first - 1


def test_nan_is_not_hidden():
    rows = torch.randn(4, 8)
    rows[2, 0] = torch.nan
    assert koleo(rows, torch.tensor([0, 0, 1, 2])).isnan()


def test_refusals_name_the_objective():
    with pytest.raises(ObjectiveError, match=r"koleo: the batch has 1 row\(s\) and at least 2"):
        koleo(torch.randn(1, 4))
    with pytest.raises(ObjectiveError, match="koleo: all rows are of one participant"):
        koleo(torch.randn(3, 4), torch.tensor([7, 7, 7]))
