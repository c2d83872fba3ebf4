import math

import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.reconstruction import masked_mse


def example(batch=3, patches=4, values=5):
    generator = torch.Generator().manual_seed(batch)
    made = torch.randn(2, batch, patches, values, generator=generator, dtype=torch.float64)
    masked = torch.rand(batch, patches, generator=generator) < 0.6
    masked[0, 0] = True
    return made[0], made[1], masked


def loop(predictions, targets, masked, standardise):
    errors = []
    for i in range(len(targets)):
        for j in range(targets.shape[1]):
            if not masked[i, j]:
                continue
            patch = targets[i, j].tolist()
            if standardise:
                mean = sum(patch) / len(patch)
                variance = sum((p - mean) ** 2 for p in patch) / len(patch)
                patch = [(p - mean) / math.sqrt(variance + 1e-6) for p in patch]
            errors += [(predictions[i, j, k] - p) ** 2 for k, p in enumerate(patch)]
    return sum(errors) / len(errors)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("batch", [2, 3, 7])
def test_value_and_gradient_equal_the_loop(batch, standardise):
    predictions, targets, masked = example(batch)
    ours, theirs = predictions.clone().requires_grad_(), predictions.clone().requires_grad_()
    value = masked_mse(ours, targets, masked, standardise=standardise)
    expected = loop(theirs, targets, masked, standardise)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-10, atol=1e-14)
    assert (ours.grad[~masked] == 0).all()


@pytest.mark.parametrize("length", [1, 8])
def test_constant_patches_are_finite_and_become_zeros(length):
    targets = torch.full((1, 2, length), 7.0)
    predictions = torch.full((1, 2, length), 0.5, requires_grad=True)
    value = masked_mse(predictions, targets, torch.ones(1, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == pytest.approx(0.25)
    assert torch.isfinite(predictions.grad).all()


def test_half_precision_is_computed_in_single():
    predictions, targets, masked = (part for part in example())
    expected = masked_mse(predictions.bfloat16().double(), targets, masked)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = masked_mse(predictions.bfloat16(), targets.float(), masked)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_refusals_name_the_objective():
    predictions, targets, masked = example()
    with pytest.raises(ObjectiveError, match=r"masked_mse: predictions have shape \(2, 4, 5\)"):
        masked_mse(predictions[:2], targets, masked)
    with pytest.raises(ObjectiveError, match=r"masked_mse: no patch is masked"):
        masked_mse(predictions, targets, torch.zeros_like(masked))
