import math

import pytest
import torch
from lightly.loss.dcl_loss import negative_mises_fisher_weights

from medssl.errors import ObjectiveError
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.decoupled import decoupled_loss


def unit(size, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2, size, dim, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=2)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


@pytest.mark.filterwarnings("ignore:To copy construct")  # lightly's own
def test_weights_are_those_of_lightly_have_mean_1_and_may_be_negative():
    x, y = unit(9)
    y[0] = x[0]  # one pair that agrees already
    weights = negative_mises_fisher_weights(x, y, sigma=0.1)
    assert weights.mean().item() == pytest.approx(1)
    assert weights.min() < 0
    plain = decoupled_loss(x, y, apart(9))
    weighted = decoupled_loss(x, y, apart(9), sigma=0.1)
    own = (x * y).sum(1) / 0.1
    assert torch.allclose(plain - weighted, ((weights - 1) * own).mean())


def test_with_the_positive_put_back_it_is_clip():
    x, y = unit(7)
    s = x @ y.T / 0.1
    values = []
    for logits in (s, s.T):
        others = logits.masked_fill(torch.eye(7, dtype=torch.bool), -torch.inf).logsumexp(1)
        values.append(torch.logaddexp(others, logits.diagonal()) - logits.diagonal())
    assert torch.allclose(
        torch.stack(values).mean(), convirt_loss(x, y, apart(7), image_weight=0.5)
    )
    less = decoupled_loss(x, y, apart(7))
    assert less < convirt_loss(x, y, apart(7), image_weight=0.5)


def test_values_are_unbounded_below():
    aligned = torch.eye(4)
    assert decoupled_loss(aligned, aligned, apart(4), temperature=0.01).item() == pytest.approx(
        math.log(3) - 100
    )


def test_anchors_without_a_negative_are_not_in_the_mean():
    x, y = unit(4)
    # Rows 1 to 3 are one participant: only row 0 is compared with anything, and they with it.
    matches = find_matches(torch.tensor([0, 1, 1, 1]), torch.arange(4), torch.arange(4))
    s = x @ y.T / 0.1
    there = (s[0, 1:].logsumexp(0) - s[0, 0] + (s[1:, 0] - s.diagonal()[1:]).sum()) / 4
    back = (s[1:, 0].logsumexp(0) - s[0, 0] + (s[0, 1:] - s.diagonal()[1:]).sum()) / 4
    assert torch.allclose(decoupled_loss(x, y, matches), (there + back) / 2)
    everyone = find_matches(torch.zeros(4).long(), torch.arange(4), torch.arange(4))
    assert decoupled_loss(x, y, everyone, sigma=0.5).item() == 0


def test_a_single_row_is_refused():
    x, y = unit(1)
    with pytest.raises(ObjectiveError, match="decoupled_loss: the batch has 1 row"):
        decoupled_loss(x, y, apart(1))
    with pytest.raises(ObjectiveError, match="decoupled_loss: sigma is 0"):
        decoupled_loss(*unit(3), apart(3), sigma=0)
