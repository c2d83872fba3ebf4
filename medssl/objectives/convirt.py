"""ConVIRT: contrast of images and texts, the two directions weighted unequally."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from medssl.objectives.cross_modal import (
    Matches,
    check_pairs,
    check_share,
    weighted_cross_entropy,
)
from medssl.objectives.rows import full_precision, unit_rows


def convirt_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    matches: Matches,
    *,
    temperature: float | Tensor = 0.1,
    image_weight: float = 0.75,
) -> Float[Tensor, ""]:
    r"""The loss of Zhang et al., MLHC 2022 (arXiv 2010.00747); with λ = ½ that of CLIP.

    With unit rows x of images and y of texts, $s_{ij} = x_i \cdot y_j$, $P_i$ the texts that belong
    to image i and $C_i \supset P_i$ those it is compared with (likewise for columns),

    $$L = \frac{1}{B} \sum_i \Bigl[
      \lambda \Bigl(\mathrm{LSE}_{j \in C_i} \frac{s_{ij}}{\tau}
        - \frac{1}{|P_i|} \sum_{p \in P_i} \frac{s_{ip}}{\tau}\Bigr)
      + (1 - \lambda) \Bigl(\mathrm{LSE}_{j \in C'_i} \frac{s_{ji}}{\tau}
        - \frac{1}{|P'_i|} \sum_{p \in P'_i} \frac{s_{pi}}{\tau}\Bigr)\Bigr]$$

    λ weights image → text. From the paper: λ = 0.75, τ = 0.1, one positive; several positives share
    the target equally here. Rows are normalised here; computed in single precision (float64 stays).
    Across ranks, gather rows and codes first (`medssl.objectives.gather`).

    Args:
        images: Projections of the images, of any length.
        texts: Projections of the texts.
        matches: From `find_matches`.
        temperature: τ; a tensor where it is learned.
        image_weight: λ.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or λ or τ is out of range.

    >>> import torch
    >>> apart = torch.eye(8, dtype=torch.bool)
    >>> convirt_loss(torch.ones(8, 4), torch.ones(8, 4), Matches(apart, torch.ones_like(apart)))
    tensor(2.0794)
    """
    check_pairs("convirt_loss", images, texts, matches, temperature=temperature)
    check_share("convirt_loss", image_weight=image_weight)
    positive, compared = matches.positive, matches.compared
    with full_precision(images):
        logits = unit_rows(images) @ unit_rows(texts).T / temperature
        forward = weighted_cross_entropy(logits, positive, compared)
        backward = weighted_cross_entropy(logits.T, positive.T, compared.T)
        return (image_weight * forward + (1 - image_weight) * backward).mean()
