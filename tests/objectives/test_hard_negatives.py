import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.hard_negatives import opposite_sentence_loss


def rows(size, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, size, dim, generator=generator, dtype=torch.float64)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


def test_rows_without_an_opposite_are_as_before_whatever_stands_there():
    x, y, _ = rows(5)
    mine, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    empty = torch.full((5, 2, 6), torch.nan, dtype=torch.float64).requires_grad_()
    value = opposite_sentence_loss(mine, y, apart(5), empty, torch.zeros(5, 2, dtype=torch.bool))
    reference = convirt_loss(expected, y, apart(5))
    assert torch.allclose(value, reference)
    value.backward()
    reference.backward()
    assert torch.allclose(mine.grad, expected.grad)
    assert not empty.grad.any()


def test_an_opposite_concerns_its_own_image_alone():
    x, y, o = rows(4)
    present = torch.tensor([[False], [False], [True], [False]])
    logits = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T / 0.1
    unit = torch.nn.functional.normalize
    further = (unit(x)[2] * unit(o)[2]).sum() / 0.1
    total = logits.logsumexp(1)
    total[2] = torch.logaddexp(total[2], further)
    expected = (total - logits.diagonal()).mean()
    value = opposite_sentence_loss(x, y, apart(4), o[:, None], present, image_weight=1.0)
    assert torch.allclose(value, expected)
    # Text → image knows no opposites.
    back = opposite_sentence_loss(x, y, apart(4), o[:, None], present, image_weight=0.0)
    assert torch.allclose(back, convirt_loss(x, y, apart(4), image_weight=0.0))


@pytest.mark.parametrize("number", [1, 3])
def test_an_encoder_that_cannot_tell_opposites_pays_for_it(number):
    row = torch.ones(1, 6)
    same = row[:, None].expand(1, number, 6)
    there = torch.ones(1, number, dtype=torch.bool)
    value = opposite_sentence_loss(row, row, apart(1), same, there, image_weight=1.0)
    assert value.item() == pytest.approx(math.log(1 + number), rel=1e-6)
    told = opposite_sentence_loss(row, row, apart(1), -same, there, image_weight=1.0)
    assert told.item() < 1e-6


def test_the_image_is_pushed_away_from_the_opposite():
    x, y, o = rows(4)
    opposite = o.clone().requires_grad_()
    there = torch.ones(4, 1, dtype=torch.bool)
    opposite_sentence_loss(x, y, apart(4), opposite[:, None], there).backward()
    unit = torch.nn.functional.normalize
    moved = opposite.detach() - 1e-3 * opposite.grad
    assert ((unit(x) * unit(moved)).sum(1) < (unit(x) * unit(o)).sum(1)).all()


def test_shapes_are_checked():
    x, y, o = rows(3)
    there = torch.ones(3, 1, dtype=torch.bool)
    with pytest.raises(ObjectiveError, match=r"opposites have shape \(3, 6\); give \(3, number, 6"):
        opposite_sentence_loss(x, y, apart(3), o, there)
    with pytest.raises(ObjectiveError, match=r"present is torch.bool of shape \(3, 1\)"):
        opposite_sentence_loss(x, y, apart(3), torch.ones(3, 2, 6), there)
