"""InfoNCE between two views inside a modality, under the same matches as across modalities."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medssl.objectives.cross_modal import Matches, check_pairs, weighted_cross_entropy
from medssl.objectives.rows import full_precision, unit_rows


def matched_infonce(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    matches: Matches,
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    r"""NT-Xent (SimCLR, arXiv 2002.05709) whose positives and masks are told by `Matches`.

    With unit rows a and b of the two views, $P_i$ the matches of row i, $C_i \supset P_i$ those it
    is compared with, and an anchor $a_i$ that never meets itself,

    $$\ell_i(a, b) = \mathrm{LSE}\Bigl(\bigl\{\tfrac{a_i \cdot b_j}{\tau}\bigr\}_{j \in C_i}
      \cup \bigl\{\tfrac{a_i \cdot a_j}{\tau}\bigr\}_{j \in C_i \setminus i}\Bigr)
      - \operatorname{mean}\Bigl(\bigl\{\tfrac{a_i \cdot b_p}{\tau}\bigr\}_{p \in P_i}
      \cup \bigl\{\tfrac{a_i \cdot a_p}{\tau}\bigr\}_{p \in P_i \setminus i}\Bigr)$$

    and the loss is $\frac{1}{2B} \sum_i [\ell_i(a, b) + \ell_i(b, a)]$, columns of the matches
    taking the place of rows in the second. With the diagonal as only positives it is
    `masked_infonce`. Rows are normalised here; computed in single precision (float64 stays).
    Across ranks, gather rows and codes first (`medssl.objectives.gather`).

    Args:
        first: Projections of one view of each row, of any length.
        second: Projections of the other view.
        matches: From `find_matches`, of all texts that either view shows.
        temperature: τ.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or τ is not above 0.

    >>> apart = torch.eye(4, dtype=torch.bool)
    >>> rows = torch.ones(4, 8)
    >>> matched_infonce(rows, rows, Matches(apart, torch.ones_like(apart)))
    tensor(1.9459)
    """
    check_pairs("matched_infonce", first, second, matches, temperature=temperature)
    positive, compared = matches.positive, matches.compared
    with full_precision(first):
        a, b = unit_rows(first), unit_rows(second)
        cross = a @ b.T / temperature
        there = _anchors(cross, a @ a.T / temperature, positive, compared)
        back = _anchors(cross.T, b @ b.T / temperature, positive.T, compared.T)
        return (there.mean() + back.mean()) / 2


def _anchors(
    cross: Float[Tensor, "batch batch"],
    within: Float[Tensor, "batch batch"],
    positive: Bool[Tensor, "batch batch"],
    compared: Bool[Tensor, "batch batch"],
) -> Float[Tensor, " batch"]:
    """Cross-entropy of each anchor over the other view, then over its own view without itself."""
    other = ~torch.eye(len(cross), dtype=torch.bool, device=cross.device)
    return weighted_cross_entropy(
        torch.cat([cross, within], dim=1),
        torch.cat([positive, positive & other], dim=1),
        torch.cat([compared, compared & other], dim=1),
    )
