import math

import pytest
import torch
from lightly.loss import NTXentLoss

from medssl.errors import ObjectiveError
from medssl.objectives.contrastive import masked_infonce


def loop(student, teacher, participants, temperature=0.04, mask_within_only=False):
    """The recipe's formula, term by term."""
    s = [row / row.norm() for row in student]
    t = [row / row.norm() for row in teacher]
    people = participants.tolist()
    size = len(s)

    def term(i, a, b):
        logits = []
        for j in range(size):
            other = people[j] != people[i]
            if other or i == j or mask_within_only:
                logits.append(a[i].dot(b[j]) / temperature)
            if other:
                logits.append(a[i].dot(a[j]) / temperature)
        return -a[i].dot(b[i]) / temperature + torch.stack(logits).logsumexp(0)

    return sum(term(i, s, t) + term(i, t, s) for i in range(size)) / (2 * size)


def leaves(*tensors):
    return [tensor.clone().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("mask_within_only", [False, True])
def test_value_and_gradient_equal_the_loop(batch, mask_within_only):
    *rows, participants = batch
    ours, theirs = leaves(*rows), leaves(*rows)
    value = masked_infonce(*ours, participants, mask_within_only=mask_within_only)
    expected = loop(*theirs, participants, mask_within_only=mask_within_only)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    value.backward()
    expected.backward()
    for mine, reference in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_fixed_value_of_identical_rows():
    rows = torch.ones(256, 128, dtype=torch.float64)
    value = masked_infonce(rows, rows, torch.arange(256))
    assert value.item() == pytest.approx(6.23637, abs=5e-6)
    assert value.item() == pytest.approx(math.log(2 * 256 - 1), rel=1e-12)


def test_fixed_value_of_the_identity():
    rows = torch.eye(128, dtype=torch.float64)
    value = masked_infonce(rows, rows, torch.arange(128)).item()
    assert value == pytest.approx(3.5275e-9, rel=1e-4)
    assert value == pytest.approx(254 * math.exp(-25), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.04, 0.5])
def test_equals_lightly_where_all_participants_differ(temperature):
    s, t = leaves(*torch.randn(2, 16, 12, generator=torch.Generator().manual_seed(0)))
    a, b = leaves(s.detach(), t.detach())
    value = masked_infonce(s, t, torch.randperm(16), temperature=temperature)
    expected = NTXentLoss(temperature=temperature)(a, b)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    assert torch.allclose(s.grad, a.grad, atol=1e-5)
    assert torch.allclose(t.grad, b.grad, atol=1e-5)


def test_rows_of_one_participant_are_in_no_others_denominator():
    # Rows 0 and 1 are equal; as negatives of each other they would cost log 2 or log 3 each.
    rows = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2]]
    one_person, strangers = torch.tensor([0, 0, 1, 2]), torch.arange(4)
    assert masked_infonce(rows, rows, one_person).item() == pytest.approx(0, abs=1e-9)
    public = masked_infonce(rows, rows, one_person, mask_within_only=True)
    assert public.item() == pytest.approx(math.log(2) / 2, abs=1e-9)
    assert masked_infonce(rows, rows, strangers).item() == pytest.approx(math.log(3) / 2, abs=1e-9)


def test_forms_agree_with_one_pair_per_participant():
    s, t = torch.randn(2, 9, 6)
    participants = torch.randperm(9)
    public = masked_infonce(s, t, participants, mask_within_only=True)
    assert torch.equal(public, masked_infonce(s, t, participants))


def test_order_of_the_batch_does_not_matter(batch):
    s, t, participants = batch
    order = torch.randperm(len(s))
    value = masked_infonce(s[order], t[order], participants[order])
    assert torch.allclose(value, masked_infonce(s, t, participants), rtol=1e-12)


def test_views_can_be_swapped(batch):
    s, t, participants = batch
    assert torch.allclose(masked_infonce(s, t, participants), masked_infonce(t, s, participants))


def test_length_of_rows_does_not_matter(batch):
    s, t, participants = batch
    assert torch.allclose(
        masked_infonce(3 * s, 0.1 * t, participants), masked_infonce(s, t, participants)
    )


@pytest.mark.parametrize(
    ("rows", "participants"),
    [
        (torch.randn(1, 4), torch.tensor([3])),
        (torch.ones(6, 4), torch.arange(6)),
        (torch.ones(6, 4), torch.zeros(6, dtype=torch.long)),
        (torch.zeros(3, 4), torch.arange(3)),
    ],
    ids=["one row", "identical rows", "one participant", "zero rows"],
)
def test_degenerate_batches_have_finite_value_and_gradient(rows, participants):
    s, t = leaves(rows, rows)
    value = masked_infonce(s, t, participants)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(s.grad).all()
    if len(participants.unique()) == 1:
        assert value == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double(dtype):
    # Identical rows reach e²⁵, which overflows float16 unless everything is done in float32.
    halves = torch.randn(64, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    halves[1::2] = halves[::2]
    participants = torch.arange(64)
    expected = masked_infonce(halves.double(), halves.double(), participants)
    with torch.autocast("cpu", dtype=dtype):
        value = masked_infonce(halves, halves, participants)
        computed = masked_infonce(halves @ torch.eye(32).to(dtype), halves, participants)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert computed.item() == pytest.approx(expected.item(), rel=1e-5)


def test_refusals_name_the_objective():
    rows = torch.randn(3, 4)
    with pytest.raises(ObjectiveError, match=r"masked_infonce: embeddings have shapes"):
        masked_infonce(rows, rows[:2], torch.arange(3))
    with pytest.raises(ObjectiveError, match=r"masked_infonce: participants have shape \(2,\)"):
        masked_infonce(rows, rows, torch.arange(2))
    with pytest.raises(ObjectiveError, match=r"masked_infonce: the batch has 0 row"):
        masked_infonce(rows[:0], rows[:0], torch.arange(0))
