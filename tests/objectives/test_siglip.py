import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import Matches, find_matches
from medssl.objectives.siglip import SigLIP, siglip_loss


def rows(size, dim=6):
    return torch.randn(
        2, size, dim, generator=torch.Generator().manual_seed(size), dtype=torch.float64
    )


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


@pytest.mark.parametrize("size", [1, 8, 32])
def test_orthogonal_sides_give_the_paper_s_start(size):
    sides = torch.eye(2 * size)
    value = siglip_loss(sides[:size], sides[size:], apart(size))
    expected = math.log1p(math.exp(10)) + (size - 1) * math.log1p(math.exp(-10))
    assert value.item() == pytest.approx(expected, rel=1e-6)
    if size == 32:
        assert value.item() == pytest.approx(10.0015, abs=1e-4)


def test_a_further_positive_turns_the_sign_of_its_own_term_alone():
    x, y = rows(5)
    first = apart(5)
    second = Matches(first.positive.clone(), first.compared)
    second.positive[1, 3] = True
    logit = 10 * torch.nn.functional.normalize(x)[1] @ torch.nn.functional.normalize(y)[3] - 10
    softplus = torch.nn.functional.softplus
    expected = (softplus(-logit) - softplus(logit)) / 5
    assert torch.allclose(siglip_loss(x, y, second) - siglip_loss(x, y, first), expected)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunks_have_the_value_and_gradient_of_the_whole(chunk):
    participants = torch.tensor([0, 1, 0, 2, 2, 2, 5])
    matches = find_matches(participants, torch.tensor([0, 1, 2, 3, 3, 4, 5]), torch.arange(7))
    found = []
    for size in (None, chunk):
        module, sides = SigLIP(chunk=size).double(), rows(7).requires_grad_()
        value = module(*sides, matches)
        value.backward()
        found.append((value, sides.grad, *(each.grad for each in module.parameters())))
    for whole, parts in zip(*found, strict=True):
        assert whole.abs().max() > 0
        assert torch.allclose(whole, parts, rtol=1e-12, atol=1e-14)


def test_chunks_need_no_graph_where_nothing_is_trained():
    x, y = rows(7)
    with torch.no_grad():
        value = siglip_loss(x, y, apart(7), chunk=2)
    assert torch.allclose(value, siglip_loss(x, y, apart(7)))


def test_the_module_learns_scale_and_bias():
    x, y = rows(6)
    module = SigLIP().double()
    assert torch.allclose(module(x, y, apart(6)), siglip_loss(x, y, apart(6)))
    assert sorted(name for name, _ in module.named_parameters()) == ["bias", "scale.log_scale"]
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    values = []
    for _ in range(20):
        optimiser.zero_grad()
        value = module(x, y, apart(6))
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[-1] < values[0]
    assert values == sorted(values, reverse=True)


def test_a_chunk_without_a_row_is_refused():
    x, y = rows(3)
    with pytest.raises(ObjectiveError, match="siglip_loss: chunk is 0; give at least 1"):
        siglip_loss(x, y, apart(3), chunk=0)
