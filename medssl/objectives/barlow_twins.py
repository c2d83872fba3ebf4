"""Barlow Twins: two views' features correlate each with itself and with no other."""

from __future__ import annotations

from jaxtyping import Float
from lightly.loss.barlow_twins_loss import BarlowTwinsLoss
from torch import Tensor

from medssl.objectives.rows import at_least_single, check_rows, full_precision


def barlow_twins_loss(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    redundancy_weight: float = 5e-3,
) -> Float[Tensor, ""]:
    r"""The loss of Zbontar et al., ICML 2021 (arXiv 2103.03230).

    With C the correlations of the first view's features with the second's, over the batch
    (population variance + 1e-5),

    $$L = \sum_k (1 - C_{kk})^2 + \lambda \sum_{k \ne l} C_{kl}^2.$$

    lightly's, in single precision outside autocast (float64 stays). Rows are not normalised.
    Across ranks, gather first (`medssl.objectives.gather`): correlations are of all rows.

    Args:
        first: Projections of one view of each row.
        second: Projections of the other view.
        redundancy_weight: λ.

    Raises:
        ObjectiveError: Shapes differ, or fewer than two rows.

    >>> import torch
    >>> rows = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> barlow_twins_loss(rows, -rows)
    tensor(7.9999)
    """
    check_rows("barlow_twins_loss", first, second, participants=None, least=2)
    with full_precision(first):
        loss: Tensor = BarlowTwinsLoss(lambda_param=redundancy_weight)(
            at_least_single(first), at_least_single(second)
        )
        return loss
