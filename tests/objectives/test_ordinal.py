import numpy as np
import pytest
import torch
from statsmodels.miscmodels.ordinal_model import OrderedModel

from medssl.errors import ObjectiveError
from medssl.objectives.ordinal import (
    cumulative_logit_loss,
    increasing_thresholds,
)

LABELS = {2: [0, 3], 3: [1, 2, 2], 7: [0, 1, 2, 3, 3, 0, 2]}
CUTS = torch.tensor([-1.0, 0.2, 1.5], dtype=torch.float64)


def given(size):
    scores = torch.randn(size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
    return scores, torch.tensor(LABELS[size])


def loop(scores, cuts, labels):
    """Differences of cumulative probabilities."""
    total = 0
    for score, label in zip(scores, labels.tolist(), strict=True):
        upper = torch.sigmoid(cuts[label] - score) if label < len(cuts) else 1
        lower = torch.sigmoid(cuts[label - 1] - score) if label > 0 else 0
        total = total - torch.log(torch.as_tensor(upper - lower))
    return total / len(labels)


@pytest.mark.parametrize("size", LABELS)
def test_value_and_gradient_equal_the_loop(size):
    scores, labels = given(size)
    ours = [scores.clone().requires_grad_(), CUTS.clone().requires_grad_()]
    theirs = [scores.clone().requires_grad_(), CUTS.clone().requires_grad_()]
    value, expected = cumulative_logit_loss(*ours, labels), loop(*theirs, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    for mine, reference in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, reference.grad, rtol=1e-9, atol=1e-12)


def test_equals_the_log_likelihood_of_statsmodels():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=100), rng.integers(0, 4, 100)
    model = OrderedModel(labels, scores[:, None], distr="logit")
    # Its parameters are the slope, the first threshold and logarithms of the steps.
    cuts = CUTS.numpy()
    parameters = np.concatenate([[1.0], cuts[:1], np.log(np.diff(cuts))])
    value = cumulative_logit_loss(torch.from_numpy(scores), CUTS, torch.from_numpy(labels))
    assert value.item() == pytest.approx(-model.loglike(parameters) / 100, rel=1e-9)


def test_two_grades_are_binary_cross_entropy():
    scores = torch.randn(9, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(9) % 2
    value = cumulative_logit_loss(scores, torch.zeros(1), labels)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels.float())
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("score", [-1e4, 0.0, 1e4])
def test_far_scores_are_finite(score):
    scores = torch.full((4,), score, requires_grad=True)
    cuts = torch.tensor([-1.0, 1.0, 1.0 + 1e-6], requires_grad=True)
    value = cumulative_logit_loss(scores, cuts, torch.arange(4))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(cuts.grad).all()


def test_order_of_the_batch_does_not_matter():
    scores, labels = given(7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    moved = cumulative_logit_loss(scores[order], CUTS, labels[order])
    assert torch.allclose(moved, cumulative_logit_loss(scores, CUTS, labels))


def test_free_parameters_give_increasing_thresholds():
    free = torch.tensor([2.0, -90.0, 0.0, 3.0], requires_grad=True)
    cuts = increasing_thresholds(free)
    assert (cuts.diff() > 0).all()
    assert cuts[0].item() == 2
    cumulative_logit_loss(torch.zeros(2), cuts, torch.tensor([0, 4])).backward()
    assert torch.isfinite(free.grad).all()


def test_half_precision_under_autocast_equals_double():
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.arange(50) % 4
    expected = cumulative_logit_loss(scores.double(), CUTS, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = cumulative_logit_loss(scores, CUTS.float(), labels)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_refusals_name_the_objective():
    scores, labels = given(3)
    with pytest.raises(ObjectiveError, match="cumulative_logit_loss: thresholds do not increase"):
        cumulative_logit_loss(scores, CUTS.flip(0), labels)
    with pytest.raises(ObjectiveError, match="cumulative_logit_loss: the largest grade is 2 and 1"):
        cumulative_logit_loss(scores, CUTS[:1], labels)
    with pytest.raises(ObjectiveError, match=r"cumulative_logit_loss: scores have shape \(3, 1\)"):
        cumulative_logit_loss(scores[:, None], CUTS, labels)
    with pytest.raises(ObjectiveError, match="cumulative_logit_loss: labels are torch.float64"):
        cumulative_logit_loss(scores, CUTS, labels.double())
