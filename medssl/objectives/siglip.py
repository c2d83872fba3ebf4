"""SigLIP: every image–text combination is a yes-or-no question of its own."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.checkpoint import checkpoint

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import Matches, check_pairs
from medssl.objectives.logit_scale import LogitScale
from medssl.objectives.rows import full_precision, unit_rows


def siglip_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    matches: Matches,
    *,
    scale: float | Tensor = 10.0,
    bias: float | Tensor = -10.0,
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    r"""The sigmoid loss of Zhai et al., ICCV 2023 (arXiv 2303.15343).

    With unit rows x of images and y of texts, C what is compared, and z = 1 on pairs, −1 elsewhere,

    $$L = -\frac{1}{B} \sum_{(i, j) \in C} \log \sigma\bigl(z_{ij} (t\, x_i \cdot y_j + b)\bigr)$$

    Nothing is normalised over the batch, so further positives only turn the sign of their own term.
    Rows are normalised here; computed in single precision (float64 stays). Across ranks, gather
    rows and codes first.

    Args:
        images: Projections of the images, of any length.
        texts: Projections of the texts.
        matches: From `find_matches`.
        scale: t; the paper starts at 10.
        bias: b; the paper starts at −10, where nearly everything is a negative.
        chunk: Images that are compared at a time, with all texts: the same value and gradient, in
            (chunk, batch) instead of (batch, batch) memory and with one more forward pass.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or a chunk has no row.

    >>> apart = torch.eye(32, dtype=torch.bool)
    >>> rows = torch.eye(64)
    >>> siglip_loss(rows[:32], rows[32:], Matches(apart, torch.ones_like(apart)))  # all s = 0
    tensor(10.0015)
    """
    check_pairs("siglip_loss", images, texts, matches)
    if chunk is not None and chunk < 1:
        msg = f"siglip_loss: chunk is {chunk}; give at least 1"
        raise ObjectiveError(msg)
    with full_precision(images):
        x, y = unit_rows(images), unit_rows(texts)
        total = x.new_zeros(())
        for start in range(0, len(x), chunk or len(x)):
            part = slice(start, start + (chunk or len(x)))
            known = (matches.positive[part], matches.compared[part], scale, bias)
            if chunk is None:
                total = total + _summed(x[part], y, *known)
            else:
                total = total + checkpoint(_summed, x[part], y, *known, use_reentrant=False)
        return total / len(x)


class SigLIP(nn.Module):
    """`siglip_loss` with its learned scale t and bias b, both without weight decay.

    Args:
        scale: t at first; held at 100 or less.
        bias: b at first.
        chunk: See `siglip_loss`.
    """

    def __init__(
        self, *, scale: float = 10.0, bias: float = -10.0, chunk: int | None = None
    ) -> None:
        super().__init__()
        self.scale = LogitScale(scale)
        self.bias = nn.Parameter(torch.tensor(bias))
        self.chunk = chunk

    def forward(
        self,
        images: Float[Tensor, "batch dim"],
        texts: Float[Tensor, "batch dim"],
        matches: Matches,
    ) -> Float[Tensor, ""]:
        """See `siglip_loss`."""
        return siglip_loss(
            images, texts, matches, scale=self.scale(), bias=self.bias, chunk=self.chunk
        )


def _summed(
    x: Float[Tensor, "chunk dim"],
    y: Float[Tensor, "batch dim"],
    positive: Bool[Tensor, "chunk batch"],
    compared: Bool[Tensor, "chunk batch"],
    scale: float | Tensor,
    bias: float | Tensor,
) -> Float[Tensor, ""]:
    logits = x @ y.T * scale + bias
    losses = softplus(torch.where(positive, -logits, logits))  # −log σ(a) = softplus(−a)
    return losses.masked_fill(~compared, 0).sum()
