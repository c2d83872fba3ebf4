"""Opposites of sentences as further negatives: "no effusion" must not equal "effusion"."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import (
    Matches,
    check_pairs,
    check_share,
    weighted_cross_entropy,
)
from medssl.objectives.rows import full_precision, unit_rows


def opposite_sentence_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    matches: Matches,
    opposites: Float[Tensor, "batch number dim"],
    present: Bool[Tensor, "batch number"],
    *,
    temperature: float | Tensor = 0.1,
    image_weight: float = 0.75,
) -> Float[Tensor, ""]:
    r"""`convirt_loss` in which an image must also tell its text from that text's opposites.

    With $o_{ik}$ the k-th opposite of text i (a negation turned, left and right exchanged) and
    $O_i$ those that are present, the direction image → text becomes

    $$\ell_i = \mathrm{LSE}\Bigl(\bigl\{\tfrac{s_{ij}}{\tau}\bigr\}_{j \in C_i} \cup
      \bigl\{\tfrac{x_i \cdot o_{ik}}{\tau}\bigr\}_{k \in O_i}\Bigr)
      - \frac{1}{|P_i|} \sum_{p \in P_i} \frac{s_{ip}}{\tau}$$

    and text → image stays. Rows without an opposite are as in `convirt_loss`. After NegCLIP (When
    and why vision-language models behave like bags-of-words, ICLR 2023, arXiv 2210.01936), where an
    opposite is a negative of every image; here it is of its own image alone, as the opposite of one
    report may be true of another. Rows are normalised here; computed in single precision (float64
    stays). Across ranks, gather all inputs first.

    Args:
        images: Projections of the images, of any length.
        texts: Projections of the texts.
        matches: From `find_matches`.
        opposites: Projections of the opposites; anything where none is present.
        present: True where there is one.
        temperature: τ.
        image_weight: λ of `convirt_loss`.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or λ or τ is out of range.

    >>> itself = torch.ones(1, 1, dtype=torch.bool)
    >>> row = torch.ones(1, 4)
    >>> opposite_sentence_loss(row, row, Matches(itself, itself), row[None], itself)  # ¾ log 2
    tensor(0.5199)
    """
    name = "opposite_sentence_loss"
    check_pairs(name, images, texts, matches, temperature=temperature)
    check_share(name, image_weight=image_weight)
    batch, dim = images.shape
    shape = tuple(opposites.shape)
    if len(shape) != 3 or (shape[0], shape[2]) != (batch, dim):
        msg = f"{name}: opposites have shape {shape}; give ({batch}, number, {dim})"
        raise ObjectiveError(msg)
    if present.dtype != torch.bool or tuple(present.shape) != shape[:2]:
        msg = (
            f"{name}: present is {present.dtype} of shape {tuple(present.shape)}; "
            f"give Booleans of shape {shape[:2]}"
        )
        raise ObjectiveError(msg)
    positive, compared = matches.positive, matches.compared
    with full_precision(images):
        x = unit_rows(images)
        # Replaced before they are normalised: what stands there must not reach the gradient.
        given = opposites.masked_fill(~present[..., None], 0).flatten(0, 1)
        o = unit_rows(given).reshape(shape)
        logits = x @ unit_rows(texts).T / temperature
        further = torch.einsum("bd,bnd->bn", x, o) / temperature
        forward = weighted_cross_entropy(
            torch.cat([logits, further], dim=1),
            torch.cat([positive, torch.zeros_like(present)], dim=1),
            torch.cat([compared, present], dim=1),
        )
        backward = weighted_cross_entropy(logits.T, positive.T, compared.T)
        return (image_weight * forward + (1 - image_weight) * backward).mean()
