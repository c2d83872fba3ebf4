import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.contrastive import masked_infonce
from medssl.objectives.koleo import koleo
from medssl.objectives.wearable import wearable_loss


@pytest.fixture
def inputs():
    rows = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [*(row.clone().requires_grad_() for row in rows), torch.tensor([0, 1, 2, 3, 4, 4])]


def test_total_is_the_recipes_formula(inputs):
    sa, sb, ta, tb, participants = inputs

    def r(s, t):
        spread = koleo(s, participants) + koleo(t, participants)
        return masked_infonce(s, t, participants) + 0.1 * spread / 2

    expected = (r(sa, tb.detach()) + r(sb, ta.detach())) / 2
    terms = wearable_loss(*inputs)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
    gradient = torch.autograd.grad(expected, [sa, sb])
    for mine, reference in zip(torch.autograd.grad(terms["loss"], [sa, sb]), gradient, strict=True):
        assert torch.allclose(mine, reference)


def test_total_is_the_weighted_sum_of_the_named_terms(inputs):
    terms = wearable_loss(*inputs, koleo_weight=0.3)
    assert set(terms) == {"loss", "infonce", "koleo_student", "koleo_teacher"}
    spread = terms["koleo_student"] + terms["koleo_teacher"]
    assert torch.allclose(terms["loss"], terms["infonce"] + 0.15 * spread)


def test_effective_koleo_weight_on_the_student_is_a_twentieth(inputs):
    sa, sb, _, _, participants = inputs
    with_koleo = torch.autograd.grad(wearable_loss(*inputs)["loss"], [sa, sb])
    without = torch.autograd.grad(wearable_loss(*inputs, koleo_weight=0)["loss"], [sa, sb])
    mean = (koleo(sa, participants) + koleo(sb, participants)) / 2
    alone = torch.autograd.grad(mean, [sa, sb])
    for total, infonce, spread in zip(with_koleo, without, alone, strict=True):
        assert torch.allclose(total - infonce, 0.05 * spread, rtol=1e-9, atol=1e-12)


def test_teacher_gets_no_gradient(inputs):
    *_, ta, tb, _ = inputs
    wearable_loss(*inputs)["loss"].backward()
    assert ta.grad is None
    assert tb.grad is None


def test_views_are_crossed(inputs):
    sa, sb, ta, tb, participants = inputs
    with torch.no_grad():
        aligned = wearable_loss(sa, sb, sb, sa, participants)
        same_view = wearable_loss(sa, sb, sa, sb, participants)
    assert aligned["infonce"] < same_view["infonce"]
    swapped = wearable_loss(sb, sa, tb, ta, participants)
    assert torch.allclose(swapped["loss"], wearable_loss(*inputs)["loss"])


def test_public_forms_are_switches(inputs):
    with torch.no_grad():
        for rows in inputs[:4]:
            rows[5] = rows[4] + 0.01  # the nearest neighbour is of the same participant
    ours = wearable_loss(*inputs)
    public = wearable_loss(*inputs, mask_within_only=True, koleo_within_participant=True)
    assert public["infonce"] > ours["infonce"]
    assert public["koleo_student"] > ours["koleo_student"]
    assert public["koleo_teacher"] > ours["koleo_teacher"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_equals_double_at_the_published_temperature(dtype):
    rows = torch.randn(4, 64, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    rows[:, 1::2] = rows[:, ::2]  # e²⁵ again and again, which overflows float16
    participants = torch.arange(64) // 4
    expected = wearable_loss(*rows.double(), participants, temperature=0.04)
    with torch.autocast("cpu", dtype=dtype):
        found = wearable_loss(*rows, participants, temperature=0.04)
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-4)


def test_without_koleo_one_row_is_enough():
    row = torch.randn(1, 4)
    terms = wearable_loss(row, row, row, row, torch.tensor([0]), koleo_weight=0)
    assert {name: value.item() for name, value in terms.items()} == {"loss": 0, "infonce": 0}
    with pytest.raises(ObjectiveError, match="koleo"):
        wearable_loss(row, row, row, row, torch.tensor([0]))


def test_shapes_are_checked_first():
    row = torch.randn(2, 4)
    with pytest.raises(ObjectiveError, match="wearable_loss: embeddings have shapes"):
        wearable_loss(row, row, row, torch.randn(2, 5), torch.arange(2))
