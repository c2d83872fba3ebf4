"""VICReg: views agree, features vary, and no two features tell the same."""

from __future__ import annotations

from jaxtyping import Float
from lightly.loss.vicreg_loss import covariance_loss, invariance_loss, variance_loss
from torch import Tensor

from medssl.objectives.rows import at_least_single, check_rows, full_precision

LOSS = "loss"
"""Key of the total; every other key is one of its terms."""


def vicreg_loss(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    *,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> dict[str, Float[Tensor, ""]]:
    r"""The loss of Bardes et al., ICLR 2022 (arXiv 2105.04906), and its terms.

    With a and b the two views' rows of length d, Cov their covariances over the batch,

    $$L = \lambda\, \mathrm{mean}\,(a - b)^2 + \frac{\mu}{2} [v(a) + v(b)] + \nu\, [c(a) + c(b)],$$
    $$v(z) = \frac{1}{d} \sum_k \max\bigl(0, 1 - \sqrt{\mathrm{Var}(z_k) + 10^{-4}}\bigr), \qquad
      c(z) = \frac{1}{d} \sum_{k \ne l} \mathrm{Cov}(z_k, z_l)^2.$$

    The terms are lightly's, so the total equals its `VICRegLoss`; v is the mean of both views, as
    in the authors' code (the paper's formula has the sum). Computed in single precision outside
    autocast (float64 stays); rows are not normalised. Across ranks, gather first
    (`medssl.objectives.gather`): variances are of all rows.

    Args:
        first: Projections of one view of each row.
        second: Projections of the other view.
        invariance_weight: λ.
        variance_weight: μ.
        covariance_weight: ν.

    Returns:
        The total under `"loss"`, and unweighted `"invariance"`, `"variance"` and `"covariance"`.

    Raises:
        ObjectiveError: Shapes differ, or fewer than two rows.

    >>> import torch
    >>> vicreg_loss(torch.ones(4, 3), torch.ones(4, 3))["loss"]  # collapsed: 25 · (1 − 0.01)
    tensor(24.7500)
    """
    check_rows("vicreg_loss", first, second, participants=None, least=2)
    with full_precision(first):
        a, b = at_least_single(first), at_least_single(second)
        invariance = invariance_loss(a, b)
        variance = (variance_loss(a) + variance_loss(b)) / 2
        covariance = covariance_loss(a) + covariance_loss(b)
        total = (
            invariance_weight * invariance
            + variance_weight * variance
            + covariance_weight * covariance
        )
    return {
        LOSS: total,
        "invariance": invariance,
        "variance": variance,
        "covariance": covariance,
    }
