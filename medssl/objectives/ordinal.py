"""Cumulative logits: one score and ordered thresholds for a grade."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.labels import at_least_single, check_labels
from medssl.objectives.rows import full_precision


def cumulative_logit_loss(
    scores: Float[Tensor, " batch"],
    thresholds: Float[Tensor, " cuts"],
    labels: Int[Tensor, " batch"],
) -> Float[Tensor, ""]:
    r"""Negative log likelihood of the proportional-odds model (McCullagh, JRSS B 1980).

    With score x, thresholds $\theta_1 < \dots < \theta_{k-1}$, $\theta_0 = -\infty$,
    $\theta_k = \infty$ and $P(y \le c) = \sigma(\theta_{c+1} - x)$ for grades c = 0 … k − 1,

    $$\log P(y = c) = \log \sigma(\theta_{c+1} - x) + \log \sigma(x - \theta_c)
      + \log(1 - e^{\theta_c - \theta_{c+1}})$$

    averaged over rows, which loses no digits far from the thresholds. Larger scores mean higher
    grades. Computed in single precision (float64 stays).

    Args:
        scores: x.
        thresholds: θ, strictly increasing; see `increasing_thresholds`.
        labels: Grade of each row, 0 … k − 1.

    Raises:
        ObjectiveError: Shapes do not fit, or the thresholds do not increase.

    >>> cumulative_logit_loss(torch.zeros(1), torch.tensor([-1.0, 1.0]), torch.tensor([1]))
    tensor(0.7719)
    """
    _check(scores, thresholds, labels)
    with full_precision(scores):
        logs = _log_probabilities(at_least_single(scores), thresholds)
        return -logs.gather(1, labels[:, None]).mean()


def increasing_thresholds(free: Float[Tensor, " cuts"]) -> Float[Tensor, " cuts"]:
    r"""$\theta_1 = a_1$, $\theta_j = \theta_{j-1} + \mathrm{softplus}(a_j) + 10^{-3}$.

    Any parameters a give increasing thresholds, so an optimiser may move them freely.

    Args:
        free: a.

    >>> increasing_thresholds(torch.tensor([-1.0, 0.0]))
    tensor([-1.0000, -0.3059])
    """
    wide = at_least_single(free)
    steps = torch.nn.functional.softplus(wide[1:]) + 1e-3
    return torch.cat([wide[:1], steps]).cumsum(dim=0)


def _log_probabilities(scores: Tensor, thresholds: Tensor) -> Tensor:
    cuts = thresholds.to(scores.dtype)
    log_sigmoid = torch.nn.functional.logsigmoid
    below = log_sigmoid(cuts[None, :] - scores[:, None])
    above = log_sigmoid(scores[:, None] - cuts[None, :])
    nothing = torch.zeros_like(scores)[:, None]
    apart = (-(cuts[:-1] - cuts[1:]).expm1()).log()
    between = torch.cat([cuts.new_zeros(1), apart, cuts.new_zeros(1)])
    return torch.cat([below, nothing], dim=1) + torch.cat([nothing, above], dim=1) + between


def _check(scores: Tensor, thresholds: Tensor, labels: Tensor) -> None:
    name = "cumulative_logit_loss"
    if scores.ndim != 1 or len(scores) == 0 or thresholds.ndim != 1 or len(thresholds) == 0:
        msg = (
            f"{name}: scores have shape {tuple(scores.shape)} and thresholds "
            f"{tuple(thresholds.shape)}; give (batch,) and (grades - 1,)"
        )
        raise ObjectiveError(msg)
    if not bool((thresholds.diff() > 0).all()):
        msg = f"{name}: thresholds do not increase; make them by increasing_thresholds"
        raise ObjectiveError(msg)
    check_labels(name, labels, len(scores))
    if bool((labels > len(thresholds)).any()):
        msg = (
            f"{name}: the largest grade is {int(labels.max())} and {len(thresholds)} threshold(s) "
            f"allow 0 to {len(thresholds)}"
        )
        raise ObjectiveError(msg)
