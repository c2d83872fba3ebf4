"""DCL and DCLW across modalities: positives do not stand in their own denominator."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from medssl.objectives.cross_modal import Matches, check_pairs
from medssl.objectives.labels import check_positive
from medssl.objectives.pairs import masked_logsumexp, masked_mean, mean_of_kept
from medssl.objectives.rows import full_precision, unit_rows


def decoupled_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    matches: Matches,
    *,
    temperature: float | Tensor = 0.1,
    sigma: float | None = None,
) -> Float[Tensor, ""]:
    r"""Decoupled contrastive learning (Yeh et al., ECCV 2022, arXiv 2110.06848), image and text.

    With unit rows, $s_{ij} = x_i \cdot y_j$, $N_i$ the negatives of image i and $\bar s_i$ the mean
    of its positives,

    $$\ell = \operatorname{mean}_i \Bigl[-w_i \frac{\bar s_i}{\tau}
      + \mathrm{LSE}_{j \in N_i} \frac{s_{ij}}{\tau}\Bigr], \qquad
      w_i = 2 - n \operatorname{softmax}_i (\mathrm{sg}\, \bar s_i / \sigma)$$

    and the loss is the mean of ℓ over rows and over columns. DCL has w = 1. In DCLW w has mean 1
    over the n anchors; it may be negative, for pairs that agree already. Values are unbounded
    below: never compare them with InfoNCE. From the paper: ℓ between views, where negatives of the
    anchor's own view stand too; across modalities there are none here. Anchors without a negative
    are not in the mean; a batch without any gives 0. Rows are normalised here; computed in single
    precision (float64 stays). Across ranks, gather rows and codes first.

    Args:
        images: Projections of the images, of any length.
        texts: Projections of the texts.
        matches: From `find_matches`.
        temperature: τ; the paper's is 0.1.
        sigma: σ of DCLW; the paper's is 0.5. None is DCL.

    Raises:
        ObjectiveError: Shapes differ, τ or σ is out of range, or the batch has a single row, whose
            loss would be −∞.

    >>> import torch
    >>> apart = torch.eye(5, dtype=torch.bool)
    >>> decoupled_loss(torch.ones(5, 4), torch.ones(5, 4), Matches(apart, torch.ones_like(apart)))
    tensor(1.3863)
    """
    check_pairs("decoupled_loss", images, texts, matches, temperature=temperature, least=2)
    if sigma is not None:
        check_positive("decoupled_loss", sigma=sigma)
    positive, negative = matches.positive, matches.negative
    with full_precision(images):
        similar = unit_rows(images) @ unit_rows(texts).T
        forward = _direction(similar, positive, negative, temperature, sigma)
        backward = _direction(similar.T, positive.T, negative.T, temperature, sigma)
        return (forward + backward) / 2


def _direction(
    similar: Float[Tensor, "batch batch"],
    positive: Bool[Tensor, "batch batch"],
    negative: Bool[Tensor, "batch batch"],
    temperature: float | Tensor,
    sigma: float | None,
) -> Float[Tensor, ""]:
    kept = negative.any(dim=1)
    own = masked_mean(similar, positive)
    attraction = own / temperature
    if sigma is not None:
        shares = (own.detach() / sigma).masked_fill(~kept, float("-inf")).softmax(dim=0)
        attraction = (2 - kept.sum() * shares) * attraction
    repulsion = masked_logsumexp(similar / temperature, negative)
    return mean_of_kept(repulsion - attraction, kept, similar)
