"""Mean squared error on masked patches, whose values may be standardised patch by patch."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.rows import at_least_single, full_precision

_EPS = 1e-6


def masked_mse(
    predictions: Float[Tensor, "batch patches values"],
    targets: Float[Tensor, "batch patches values"],
    masked: Bool[Tensor, "batch patches"],
    *,
    standardise: bool = True,
) -> Float[Tensor, ""]:
    r"""Mean over all masked patches and their values of the squared error.

    With `standardise` the target of a patch p is $(p - \bar p) / \sqrt{\mathrm{var}(p) + 10^{-6}}$
    (Masked Autoencoders Are Scalable Vision Learners, arXiv 2111.06377), so that a constant patch
    becomes zeros. The variance is the population's, which a patch of one value has too. Visible
    patches do not count.
    Computed in single precision (float64 stays).

    Args:
        predictions: What the decoder says of every patch.
        targets: The patches.
        masked: Patches that the encoder has not seen.
        standardise: False reconstructs the patches as they are.

    Raises:
        ObjectiveError: Shapes differ, or no patch is masked.

    >>> patches = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
    >>> masked_mse(torch.zeros(1, 2, 2), patches, torch.tensor([[True, True]]), standardise=False)
    tensor(15.)
    """
    if predictions.shape != targets.shape or masked.shape != targets.shape[:2]:
        msg = (
            f"masked_mse: predictions have shape {tuple(predictions.shape)}, targets "
            f"{tuple(targets.shape)}, the mask {tuple(masked.shape)}: give (batch, patches, "
            "values) twice and (batch, patches)"
        )
        raise ObjectiveError(msg)
    if not bool(masked.any()):
        msg = "masked_mse: no patch is masked; mask at least one"
        raise ObjectiveError(msg)
    with full_precision(predictions):
        expected = at_least_single(targets)
        if standardise:
            variance, mean = torch.var_mean(expected, dim=-1, correction=0, keepdim=True)
            expected = (expected - mean) / (variance + _EPS).sqrt()
        errors = (at_least_single(predictions) - expected).square().mean(dim=-1)
        return errors[masked].mean()
