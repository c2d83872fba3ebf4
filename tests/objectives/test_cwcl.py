import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.cwcl import cwcl_loss, reference_weights


def rows(size, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, size, dim, generator=generator, dtype=torch.float64)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


@pytest.mark.parametrize("both", [False, True])
def test_a_reference_that_knows_only_pairs_gives_cross_entropy(both):
    x, y = rows(7)
    matches = find_matches(
        torch.tensor([0, 0, 1, 2, 3, 4, 5]), torch.arange(7), torch.tensor([0, 1, 2, 2, 3, 4, 5]),
        same_report="positive",
    )  # fmt: skip
    value = cwcl_loss(x, y, matches, torch.eye(7), both=both)
    assert torch.allclose(value, convirt_loss(x, y, matches, image_weight=0.5))


def test_a_reference_that_tells_nothing_apart_gives_a_uniform_target():
    x, y = rows(5)
    weights = reference_weights(torch.ones(5, 3))
    assert torch.equal(weights, torch.ones(5, 5))
    logits = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T / 0.1
    uniform = torch.full((5, 5), 0.2, dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(logits, uniform)
    back = torch.nn.functional.cross_entropy(logits.T, torch.arange(5))
    assert torch.allclose(cwcl_loss(x, y, apart(5), weights), (expected + back) / 2)


@pytest.mark.parametrize(("size", "share"), [(32, 0.06), (256, 0.008)])
def test_with_unrelated_references_the_linear_form_hides_the_pair(size, share):
    unrelated = torch.eye(size)

    def of_the_pair(**form):
        weights = reference_weights(unrelated, **form)
        return (weights.diagonal() / weights.sum(1)).mean().item()

    assert of_the_pair() == pytest.approx(share, abs=share / 10)
    assert of_the_pair(form="exponential", temperature=0.1) > 0.98


def test_forms_are_their_formulas():
    q = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-2.0, 0.0]])
    cosine = torch.tensor([[1, 0.6, -1], [0.6, 1, -0.6], [-1, -0.6, 1]])
    assert torch.allclose(reference_weights(q), (1 + cosine) / 2, atol=1e-6)
    sharp = reference_weights(q, form="exponential", temperature=0.5)
    assert torch.allclose(sharp, torch.exp((cosine - 1) / 0.5))
    assert sharp[0, 2].item() == pytest.approx(math.exp(-4))
    assert not reference_weights(q.requires_grad_()).requires_grad


def test_weights_are_normalised_in_both_directions():
    x, y = rows(6)
    weights = reference_weights(rows(6, seed=1)[0])
    for both in (False, True):
        value = cwcl_loss(x, y, apart(6), weights, both=both)
        assert torch.allclose(cwcl_loss(x, y, apart(6), 7 * weights, both=both), value)
    # Symmetric weights and exchanged sides give the same value only if both sides are weighted.
    assert torch.allclose(cwcl_loss(y, x, apart(6), weights, both=True), value)
    once = cwcl_loss(x, y, apart(6), weights)
    assert not torch.allclose(cwcl_loss(y, x, apart(6), weights), once)


def test_a_positive_weighs_as_much_as_the_anchor_s_own_pair():
    x, y = rows(3)
    matches = find_matches(
        torch.arange(3), torch.arange(3), torch.tensor([0, 0, 1]), same_report="positive"
    )
    weights = torch.tensor([[4.0, 1, 2], [1, 3, 0.5], [2, 0.5, 1]], dtype=torch.float64)
    shared = torch.tensor([[4.0, 4, 2], [3, 3, 0.5], [2, 0.5, 1]], dtype=torch.float64)
    logits = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T / 0.1
    cross = torch.nn.functional.cross_entropy
    expected = [cross(a, shared / shared.sum(1, keepdim=True)) for a in (logits, logits.T)]
    assert torch.allclose(cwcl_loss(x, y, matches, weights, both=True), sum(expected) / 2)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(3, 2), r"weights have shape \(3, 2\); give \(3, 3\)"),
        (torch.eye(3) - 0.1, "a weight is negative or not finite, or a pair has none"),
        (torch.ones(3, 3) - torch.eye(3), "a weight is negative or not finite, or a pair has none"),
        (torch.full((3, 3), torch.nan), "a weight is negative or not finite, or a pair has none"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, message):
    x, y = rows(3)
    with pytest.raises(ObjectiveError, match=f"cwcl_loss: {message}"):
        cwcl_loss(x, y, apart(3), weights)


def test_settings_of_the_weights_are_checked():
    with pytest.raises(ObjectiveError, match="no form 'cubic'; choose from linear, exponential"):
        reference_weights(torch.ones(2, 2), form="cubic")
    with pytest.raises(ObjectiveError, match="reference_weights: temperature is 0"):
        reference_weights(torch.ones(2, 2), temperature=0)
    with pytest.raises(ObjectiveError, match=r"reference_weights: shape \(2,\)"):
        reference_weights(torch.ones(2))
