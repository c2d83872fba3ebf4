import pytest
import torch
from lightly.loss import SwaVLoss

from medssl.errors import ObjectiveError
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import find_matches
from medssl.objectives.image_text_extras import (
    combine,
    cross_correlation,
    predictor_regression,
    smoothed_contrast,
    swapped_assignment,
)


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def apart(size):
    return find_matches(*torch.arange(size).repeat(3, 1))


def test_without_strong_views_and_smoothing_it_is_clip():
    x, y = rows(2, 7, 5)
    clip = convirt_loss(x, y, apart(7), image_weight=0.5)
    assert torch.allclose(smoothed_contrast([x], [y], apart(7), smoothing=0.0), clip)
    assert combine(clip, torch.tensor(torch.nan), 0) is clip


def test_strong_views_are_meant_over_all_their_combinations():
    images, texts = rows(2, 7, 5), rows(3, 7, 5, seed=1)
    matches = find_matches(torch.tensor([0, 0, 1, 2, 3, 4, 5]), torch.arange(7), torch.arange(7))
    each = [smoothed_contrast([x], [y], matches) for x in images for y in texts]
    whole = smoothed_contrast(list(images), list(texts), matches)
    assert torch.allclose(whole, torch.stack(each).mean())
    assert torch.allclose(combine(each[0], whole, 3), (each[0] + 3 * whole) / 4)


def test_smoothing_is_torchs():
    x, y = torch.nn.functional.normalize(rows(2, 6, 5), dim=2)
    logits, target = x @ y.T / 0.1, torch.arange(6)
    cross = torch.nn.functional.cross_entropy
    expected = [cross(each, target, label_smoothing=0.1) for each in (logits, logits.T)]
    assert torch.allclose(smoothed_contrast([x], [y], apart(6)), sum(expected) / 2)


def test_correlation_is_of_features_standardised_over_the_batch():
    x = rows(64, 4)
    scaled = x * torch.tensor([1.0, 30, 0.5, 7]) + torch.tensor([5.0, -3, 100, 0])
    assert cross_correlation(x, scaled).item() < 1  # off the diagonal, by chance
    assert cross_correlation(x, -x).item() == pytest.approx(16, rel=0.01)
    assert cross_correlation(x, x[:, [1, 0, 2, 3]]).item() > 1.5


def test_regression_counts_both_directions_and_moves_predictions_alone():
    said, heard, x, y = rows(4, 5, 3).requires_grad_()
    value = predictor_regression(said, heard, x, y)
    cosine = torch.nn.functional.cosine_similarity
    expected = (2 - 2 * cosine(said, y)).mean() + (2 - 2 * cosine(heard, x)).mean()
    assert torch.allclose(value, expected / 2)
    grads = torch.autograd.grad(value, [said, heard, x, y], allow_unused=True)
    assert [each is None for each in grads] == [False, False, True, True]


def test_swapped_assignment_is_lightlys_across_modalities():
    x, y = torch.nn.functional.normalize(rows(2, 8, 12), dim=2).float()
    assert torch.allclose(swapped_assignment(x, y), SwaVLoss()([x, y], []), rtol=1e-4)


def test_what_does_not_fit_is_refused():
    x, y = rows(2, 3, 5)
    with pytest.raises(ObjectiveError, match="0 image and 1 text views"):
        smoothed_contrast([], [y], apart(3))
    with pytest.raises(ObjectiveError, match="smoothed_contrast: smoothing is 1.2"):
        smoothed_contrast([x], [y], apart(3), smoothing=1.2)
    with pytest.raises(ObjectiveError, match="combine: -1 strong views"):
        combine(x.mean(), y.mean(), -1)
