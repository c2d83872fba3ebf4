import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.multiview import symmetric_infonce


def rows(size, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, size, dim, generator=generator, dtype=torch.float64)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


def test_equal_weights_are_the_cross_entropy_of_clip():
    x, y = rows(9)
    value = convirt_loss(x, y, apart(9), image_weight=0.5)
    normalise, cross = torch.nn.functional.normalize, torch.nn.functional.cross_entropy
    logits, target = normalise(x) @ normalise(y).T / 0.1, torch.arange(9)
    assert torch.allclose(value, (cross(logits, target) + cross(logits.T, target)) / 2)
    assert torch.allclose(value, symmetric_infonce(x, y, target))


def test_equal_weights_with_masked_participants_are_symmetric_infonce():
    x, y = rows(7)
    participants = torch.tensor([0, 1, 0, 2, 2, 2, 5])
    matches = find_matches(participants, torch.arange(7), torch.arange(7))
    value = convirt_loss(x, y, matches, image_weight=0.5)
    assert torch.allclose(value, symmetric_infonce(x, y, participants))


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.75, 1.0])
def test_sides_and_weight_can_be_exchanged(weight):
    x, y = rows(7)
    matches = find_matches(
        torch.tensor([0, 0, 1, 2, 3, 4, 5]), torch.arange(7), torch.tensor([0, 1, 2, 2, 3, 4, 5]),
        same_report="positive",
    )  # fmt: skip
    value = convirt_loss(x, y, matches, image_weight=weight)
    assert torch.allclose(value, convirt_loss(y, x, matches, image_weight=1 - weight))
    if weight != 0.5:
        assert not torch.allclose(value, convirt_loss(y, x, matches, image_weight=weight))


def test_the_weight_is_that_of_finding_the_text_of_an_image():
    x, y = rows(6)
    logits = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T / 0.1
    of_images = torch.nn.functional.cross_entropy(logits, torch.arange(6))
    assert torch.allclose(convirt_loss(x, y, apart(6), image_weight=1.0), of_images)


@pytest.mark.parametrize("times", [2, 4])
def test_a_caption_that_comes_m_times_costs_log_m_unless_it_is_matched(times):
    # Images know their caption perfectly: nothing is left to learn.
    size, captions = 8, torch.cat([torch.zeros(times), torch.arange(1, 9 - times)]).long()
    best = torch.eye(size, dtype=torch.float64)[captions]
    of_one = torch.arange(size)

    def value_and_gradient(rule):
        images = best.clone().requires_grad_()
        matches = find_matches(of_one, of_one, captions, same_report=rule)
        value = convirt_loss(images, best, matches, temperature=0.02, image_weight=1.0)
        return value.item(), torch.autograd.grad(value, images)[0].abs().max().item()

    floor = times / size * math.log(times)
    ignored, _ = value_and_gradient("ignore")
    masked, push = value_and_gradient("mask")
    assert ignored == pytest.approx(floor, rel=1e-6)
    assert masked < 1e-6
    assert push < 1e-6
    # As positives the floor is the entropy of the target, reached without a gradient.
    shared, push = value_and_gradient("positive")
    assert shared == pytest.approx(floor, rel=1e-6)
    assert push < 1e-6


def test_no_embedding_goes_below_log_m_when_repeats_are_negatives():
    x, y = rows(6, seed=4)
    y[1:] = y[0]  # one caption for all
    of_one = torch.arange(6)
    matches = find_matches(of_one, of_one, torch.zeros(6).long(), same_report="ignore")
    value = convirt_loss(x, y, matches, temperature=0.02, image_weight=1.0)
    assert value.item() == pytest.approx(math.log(6))


def test_masked_repeats_do_not_repel():
    x, y = rows(5)
    texts = torch.tensor([0, 0, 1, 2, 3])
    image = x.clone().requires_grad_()
    matches = find_matches(torch.arange(5), torch.arange(5), texts)
    convirt_loss(image, y, matches, image_weight=1.0).backward()
    moved = y.clone()
    moved[1] = -y[1]  # what image 0 does not see
    other = x.clone().requires_grad_()
    convirt_loss(other, moved, matches, image_weight=1.0).backward()
    assert torch.allclose(image.grad[0], other.grad[0])
    assert not torch.allclose(image.grad[2], other.grad[2])


def test_a_learned_temperature_has_a_gradient():
    x, y = rows(5)
    temperature = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    convirt_loss(x, y, apart(5), temperature=temperature).backward()
    step = 1e-6
    ends = [convirt_loss(x, y, apart(5), temperature=0.2 + side) for side in (step, -step)]
    assert temperature.grad.item() == pytest.approx(
        (ends[0] - ends[1]).item() / (2 * step), rel=1e-6
    )


def test_settings_out_of_range_are_refused():
    x, y = rows(3)
    with pytest.raises(ObjectiveError, match="convirt_loss: image_weight is 1.5"):
        convirt_loss(x, y, apart(3), image_weight=1.5)
    with pytest.raises(ObjectiveError, match="convirt_loss: temperature is 0.0"):
        convirt_loss(x, y, apart(3), temperature=0.0)
