import math

import pytest
import torch
from lightly.loss import NTXentLoss

from medssl.errors import ObjectiveError
from medssl.objectives.moco import moco_loss


def loop(queries, keys, remembered, participants, whose, temperature):
    """The formula, query by query."""
    q, k, n = ([row / row.norm() for row in rows] for rows in (queries, keys, remembered))
    losses = []
    for i in range(len(q)):
        positive = q[i].dot(k[i]) / temperature
        logits = [positive]
        logits += [
            q[i].dot(n[j]) / temperature for j in range(len(n)) if whose[j] != participants[i]
        ]
        losses.append(torch.stack(logits).logsumexp(0) - positive)
    return sum(losses) / len(losses)


@pytest.fixture(params=[0, 1, 10])
def queue(request):
    generator = torch.Generator().manual_seed(request.param)
    remembered = torch.randn(request.param, 5, generator=generator, dtype=torch.float64)
    return remembered, torch.randint(0, 10, (request.param,), generator=generator)


def test_value_and_gradient_equal_the_loop(batch, queue):
    queries, keys, participants = batch
    remembered, whose = queue
    mine, theirs = (queries.clone().requires_grad_() for _ in range(2))
    value = moco_loss(mine, keys, remembered, participants, whose, temperature=0.07)
    expected = loop(theirs, keys, remembered, participants, whose, 0.07)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    value.backward()
    expected.backward()
    assert torch.allclose(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_equals_lightlys_memory_bank_where_no_participant_comes_twice():
    queries, keys = torch.randn(2, 16, 12, generator=torch.Generator().manual_seed(0))
    theirs = NTXentLoss(temperature=0.2, memory_bank_size=(50, 12))
    mine, reference = (queries.clone().requires_grad_() for _ in range(2))
    remembered = theirs.memory_bank.bank.clone()
    value = moco_loss(mine, keys, remembered, torch.arange(16), torch.arange(100, 150))
    expected = theirs(reference, keys)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    assert torch.allclose(mine.grad, reference.grad, atol=1e-6)


def test_equal_similarities_give_the_log_of_the_candidates():
    rows = torch.ones(4, 3, dtype=torch.float64)
    value = moco_loss(rows, rows, torch.ones(9, 3).double(), torch.arange(4), torch.arange(9) + 50)
    assert value.item() == pytest.approx(math.log(10), rel=1e-12)


def test_keys_of_the_own_participant_are_no_negatives():
    rows = torch.eye(3, dtype=torch.float64)
    own, strangers = torch.arange(3), torch.arange(3) + 50
    masked = moco_loss(rows, rows, rows, torch.arange(3), own, temperature=0.04)
    assert masked.item() == pytest.approx(0, abs=1e-9)
    unmasked = moco_loss(rows, rows, rows, torch.arange(3), strangers, temperature=0.04)
    assert unmasked.item() == pytest.approx(math.log(2), abs=1e-9)


def test_only_queries_get_a_gradient():
    queries, keys, remembered = (torch.randn(3, 4).requires_grad_() for _ in range(3))
    moco_loss(queries, keys, remembered, torch.arange(3), torch.arange(5, 8)).backward()
    assert queries.grad.abs().sum() > 0
    assert keys.grad is None
    assert remembered.grad is None


def test_order_and_length_of_rows_do_not_matter(batch, queue):
    queries, keys, participants = batch
    value = moco_loss(queries, keys, queue[0], participants, queue[1])
    order, other = torch.randperm(len(queries)), torch.randperm(len(queue[0]))
    moved = moco_loss(
        3 * queries[order], 0.1 * keys[order], queue[0][other], participants[order], queue[1][other]
    )
    assert torch.allclose(moved, value, rtol=1e-12)


@pytest.mark.parametrize("rows", [torch.ones(1, 4), torch.zeros(3, 4)], ids=["one row", "zeros"])
def test_without_a_negative_it_is_zero_with_a_zero_gradient(rows):
    queries = rows.clone().requires_grad_()
    own = torch.zeros(len(rows), dtype=torch.long)
    value = moco_loss(queries, rows, torch.ones(2, 4), own, torch.zeros(2, dtype=torch.long))
    value.backward()
    assert value == 0
    assert (queries.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(dtype):
    rows = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    codes = torch.arange(32)
    expected = moco_loss(
        rows.double(), rows.double(), rows.double(), codes, codes + 1, temperature=0.04
    )
    with torch.autocast("cpu", dtype=dtype):
        value = moco_loss(rows, rows, rows, codes, codes + 1, temperature=0.04)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_refusals_name_the_objective():
    rows, codes = torch.randn(3, 4), torch.arange(3)
    with pytest.raises(ObjectiveError, match=r"moco_loss: embeddings have shapes"):
        moco_loss(rows, rows[:2], rows, codes, codes)
    with pytest.raises(ObjectiveError, match=r"moco_loss: remembered keys have shape \(3, 5\); gi"):
        moco_loss(rows, rows, torch.randn(3, 5), codes, codes)
    with pytest.raises(ObjectiveError, match=r"moco_loss: remembered participants have shape"):
        moco_loss(rows, rows, rows, codes, codes[:2])
    with pytest.raises(ObjectiveError, match=r"moco_loss: the batch has 0 row"):
        moco_loss(rows[:0], rows[:0], rows, codes[:0], codes)
