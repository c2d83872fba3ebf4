"""Alignment, uniformity and cross-uniformity: terms that close the gap between modalities."""

from __future__ import annotations

import math

from jaxtyping import Bool, Float
from torch import Tensor

from medssl.objectives.cross_modal import Matches, check_pairs
from medssl.objectives.pairs import masked_mean
from medssl.objectives.rows import full_precision, unit_rows


def contrastive_gap_terms(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    matches: Matches,
) -> dict[str, Float[Tensor, ""]]:
    r"""What is added to a contrastive loss such as `convirt_loss` (λ = ½) against the gap.

    With unit rows x of images and y of texts, $P_i$ the texts of image i and N the negatives,

    $$A = \operatorname{mean}_i \operatorname{mean}_{p \in P_i} \lVert x_i - y_p \rVert^2, \qquad
      X = \log \operatorname{mean}_{(i, j) \in N} e^{-2 \lVert x_i - y_j \rVert^2},$$
    $$U = \frac{1}{2} \sum_{z \in \{x, y\}}
      \log \operatorname{mean}_{(i, j) \in N} e^{-2 \lVert z_i - z_j \rVert^2}$$

    whose sum is what is added (It's Not a Modality Gap, arXiv 2405.18570, all weights 1). Here
    pairs that say the same do not repel each other inside a modality either; without negatives U
    and X are 0. Where all rows are equal U has no gradient: it cannot undo a collapse. Rows are
    normalised here; computed in single precision (float64 stays). Across ranks, gather rows and
    codes first.

    Args:
        images: Projections of the images, of any length.
        texts: Projections of the texts.
        matches: From `find_matches`.

    Returns:
        A, U and X under `"alignment"`, `"uniformity"` and `"cross_uniformity"`.

    Raises:
        ObjectiveError: Shapes differ, or the batch is empty.

    >>> import torch
    >>> apart = torch.eye(4, dtype=torch.bool)
    >>> matches = Matches(apart, torch.ones_like(apart))
    >>> list(contrastive_gap_terms(torch.eye(4), torch.eye(4), matches).values())
    [tensor(0.), tensor(-4.), tensor(-4.)]
    """
    check_pairs("contrastive_gap_terms", images, texts, matches)
    negative = matches.negative
    with full_precision(images):
        x, y = unit_rows(images), unit_rows(texts)
        across = x @ y.T
        # ‖a − b‖² = 2 − 2 cos of unit rows: no root, whose gradient at 0 would be infinite.
        alignment = 2 - 2 * masked_mean(across, matches.positive).mean()
        uniformity = (_repulsion(x @ x.T, negative) + _repulsion(y @ y.T, negative)) / 2
        cross = _repulsion(across, negative)
    return {"alignment": alignment, "uniformity": uniformity, "cross_uniformity": cross}


def _repulsion(
    similar: Float[Tensor, "batch batch"], negative: Bool[Tensor, "batch batch"]
) -> Float[Tensor, ""]:
    chosen = similar[negative]
    if len(chosen) == 0:
        return (similar * 0).sum()
    return (4 * chosen - 4).logsumexp(dim=0) - math.log(len(chosen))
