"""CWCL: texts attract an image by as much as a frozen reference finds them similar."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import Matches, check_pairs, weighted_cross_entropy
from medssl.objectives.labels import check_positive
from medssl.objectives.rows import full_precision, unit_rows

Form = Literal["linear", "exponential"]


def reference_weights(
    reference: Float[Tensor, "batch ref"],
    *,
    form: Form = "linear",
    temperature: float = 0.1,
) -> Float[Tensor, "batch batch"]:
    r"""Weights of the pairs of a batch, from the embeddings q of a frozen encoder.

    $$w_{ij} = \frac{1 + \cos(q_i, q_j)}{2} \quad\text{or}\quad
      w_{ij} = e^{(\cos(q_i, q_j) - 1) / T}$$

    The first is the paper's (arXiv 2309.14580): unrelated rows weigh ½, so that of 256 of them the
    true pair holds 0.8 % of the target. The second, ours, lets unrelated rows weigh next to
    nothing.

    Args:
        reference: q, embeddings of the images or of the texts; no gradient.
        form: The first or the second.
        temperature: T of the second.

    Raises:
        ObjectiveError: The shape is not (batch, dim), or a setting is unknown or out of range.

    >>> reference_weights(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    tensor([[1.0000, 0.5000],
            [0.5000, 1.0000]])
    """
    if reference.ndim != 2:
        msg = f"reference_weights: shape {tuple(reference.shape)}; give (batch, dim)"
        raise ObjectiveError(msg)
    if form not in get_args(Form):
        msg = f"reference_weights: no form {form!r}; choose from {', '.join(get_args(Form))}"
        raise ObjectiveError(msg)
    check_positive("reference_weights", temperature=temperature)
    with torch.no_grad(), full_precision(reference):
        rows = unit_rows(reference)
        cosine = (rows @ rows.T).clamp(-1, 1)  # rounding must not make a weight negative
        return (1 + cosine) / 2 if form == "linear" else ((cosine - 1) / temperature).exp()


def cwcl_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    matches: Matches,
    weights: Float[Tensor, "batch batch"],
    *,
    temperature: float | Tensor = 0.1,
    both: bool = False,
) -> Float[Tensor, ""]:
    r"""Continuously weighted contrast (Srinivasa et al., NeurIPS 2023, arXiv 2309.14580).

    With unit rows, $s_{ij} = x_i \cdot y_j$ and $C_i$ the texts that image i is compared with,

    $$\ell = -\frac{1}{B} \sum_i \sum_{j \in C_i} \frac{w_{ij}}{\sum_{k \in C_i} w_{ik}}
      \Bigl[\frac{s_{ij}}{\tau} - \mathrm{LSE}_{k \in C_i} \frac{s_{ik}}{\tau}\Bigr]$$

    and the loss is the mean of ℓ and of the cross-entropy text → image. A positive of the matches
    weighs as much as the image's own text. From the paper: ℓ, one direction weighted. Assumed:
    τ = 0.1, the mean where the paper has the sum, and the matches. Rows are normalised here;
    computed in single precision (float64 stays). Across ranks, gather first, the reference's rows
    too.

    Args:
        images: Projections of the images, of any length.
        texts: Projections of the texts.
        matches: From `find_matches`.
        weights: w, from `reference_weights`; at least 0, the diagonal above 0. No gradient.
        temperature: τ.
        both: Weight text → image as well, by the columns of w.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or a weight is out of range.

    >>> apart = torch.eye(8, dtype=torch.bool)
    >>> rows, matches = torch.ones(8, 4), Matches(apart, torch.ones_like(apart))
    >>> cwcl_loss(rows, rows, matches, reference_weights(rows))
    tensor(2.0794)
    """
    check_pairs("cwcl_loss", images, texts, matches, temperature=temperature)
    w = _checked(weights, len(images))
    positive, compared = matches.positive, matches.compared
    with full_precision(images):
        logits = unit_rows(images) @ unit_rows(texts).T / temperature
        w = w.to(logits.dtype)
        own = w.diagonal()
        rows = torch.where(positive, own[:, None], w).masked_fill(~compared, 0)
        columns = torch.where(positive, own[None, :], w).masked_fill(~compared, 0)
        forward = weighted_cross_entropy(logits, rows, compared)
        back = columns.T if both else positive.T
        backward = weighted_cross_entropy(logits.T, back, compared.T)
        return (forward + backward).mean() / 2


def _checked(weights: Tensor, rows: int) -> Tensor:
    w = weights.detach()
    if tuple(w.shape) != (rows, rows):
        msg = f"cwcl_loss: weights have shape {tuple(w.shape)}; give ({rows}, {rows})"
        raise ObjectiveError(msg)
    if not bool((w >= 0).all() & (w.diagonal() > 0).all() & torch.isfinite(w).all()):
        msg = (
            "cwcl_loss: a weight is negative or not finite, or a pair has none; "
            "make them with reference_weights"
        )
        raise ObjectiveError(msg)
    return w
