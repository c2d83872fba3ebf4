import pytest
import torch
from lightly.loss import SwaVLoss

from medssl.errors import ObjectiveError
from medssl.objectives.swav import Prototypes, swav_loss


def logits(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("large", "small", "queued"), [(2, 0, 0), (2, 3, 0), (3, 1, 0), (2, 1, 9)])
def test_value_and_gradient_are_lightlys(large, small, queued):
    views = logits(large + small, 6, 10)
    ours, theirs = views.clone().requires_grad_(), views.clone().requires_grad_()
    kept = list(logits(large, queued, 10, seed=1)) if queued else None
    value = swav_loss(list(ours[:large]), list(ours[large:]), queued=kept)
    expected = SwaVLoss()(list(theirs[:large]), list(theirs[large:]), kept)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)
    assert ours.grad.abs().max() > 1e-3


def test_order_of_rows_and_views_does_not_matter():
    first, second = logits(2, 7, 5)
    value = swav_loss([first, second])
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(swav_loss([first[order], second[order]]), value)
    assert torch.allclose(swav_loss([second, first]), value)


def test_codes_have_no_gradient():
    # The only large view makes the codes; the small one is all that is predicted from.
    codes, predicted = logits(2, 6, 5).unbind()
    codes, predicted = codes.requires_grad_(), predicted.requires_grad_()
    found = torch.autograd.grad(
        swav_loss([codes], [predicted]), [codes, predicted], allow_unused=True
    )
    assert found[0] is None
    assert found[1].abs().max() > 0


def test_half_precision_is_finite():
    views = [torch.ones(4, 6).half().requires_grad_() for _ in range(2)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = swav_loss(views)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1.7918, abs=1e-4)
    assert torch.isfinite(views[0].grad).all()


@pytest.mark.parametrize("rows", [torch.ones(4, 6), torch.zeros(4, 6), torch.randn(1, 6)])
def test_degenerate_rows_are_finite(rows):
    prototypes, leaf = Prototypes(6, 9, frozen_steps=0), rows.clone().requires_grad_()
    value = swav_loss([prototypes(leaf, step=0), prototypes(2 * leaf, step=0)])
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(leaf.grad).all()
    assert torch.isfinite(prototypes.weight.grad).all()


def test_prototypes_stay_unit_and_still_until_their_step():
    torch.manual_seed(0)
    prototypes = Prototypes(6, 9, frozen_steps=2)
    optimiser = torch.optim.AdamW(prototypes.parameters(), lr=0.1, weight_decay=0.1)
    unit = torch.nn.functional.normalize
    start, moved = unit(prototypes.weight.detach()), []
    for step in range(4):
        optimiser.zero_grad()
        found = prototypes(logits(5, 6, seed=step), step=step)
        assert found.abs().max() <= 1.00001
        swav_loss([found, prototypes(logits(5, 6, seed=9), step=step)]).backward()
        assert prototypes.weight.grad is not None  # DDP waits for it
        optimiser.step()
        moved.append((unit(prototypes.weight.detach()) - start).abs().max().item())
    assert max(moved[:2]) < 1e-6
    assert min(moved[2:]) > 1e-3


def test_what_does_not_fit_is_refused():
    with pytest.raises(ObjectiveError, match=r"swav_loss: 1 view\(s\)"):
        swav_loss([torch.ones(2, 3)])
    with pytest.raises(ObjectiveError, match=r"swav_loss: 2 view\(s\) of shapes"):
        swav_loss([torch.ones(2, 3), torch.ones(3, 3)])
    with pytest.raises(ObjectiveError, match=r"swav_loss: 2 view\(s\)"):
        swav_loss([], [torch.ones(2, 3)] * 2)
    with pytest.raises(ObjectiveError, match="1 queues for 2 large views"):
        swav_loss([torch.ones(2, 3)] * 2, queued=[torch.ones(4, 3)])
    with pytest.raises(ObjectiveError, match="Prototypes: number is 0"):
        Prototypes(4, 0)
