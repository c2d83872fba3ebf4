"""InfoNCE between two views in which no participant is its own negative."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medssl.objectives.rows import check_rows, full_precision, unit_rows


def masked_infonce(
    student: Float[Tensor, "batch dim"],
    teacher: Float[Tensor, "batch dim"],
    participants: Int[Tensor, " batch"],
    *,
    temperature: float = 0.04,
    mask_within_only: bool = False,
) -> Float[Tensor, ""]:
    r"""InfoNCE over both views' rows, other rows of the anchor's participant left out.

    With unit rows s, t, participants p, N_i = {j : p_j ≠ p_i} and LSE = log-sum-exp,

    $$\ell_i(s, t) = -s_i \cdot t_i / \tau
      + \mathrm{LSE}\bigl(\{s_i \cdot t_j / \tau\}_{j \in N_i \cup \{i\}}
      \cup \{s_i \cdot s_j / \tau\}_{j \in N_i}\bigr)$$

    and the loss is $\frac{1}{2B} \sum_i [\ell_i(s, t) + \ell_i(t, s)]$ (Abbaspourazad et al.,
    ICLR 2024, arXiv 2312.05409). Where all participants differ it is NT-Xent (SimCLR). A batch of
    one participant gives 0. Rows are normalised here; computed in single precision (float64 stays).

    Args:
        student: Projections of one view of each row.
        teacher: Projections of the other view.
        participants: Participant of each row, as a number.
        temperature: τ.
        mask_within_only: The public code's form, in which rows of the same participant remain
            negatives across views.

    Raises:
        ObjectiveError: Shapes differ, or the batch is empty.

    >>> rows = torch.ones(256, 128)
    >>> masked_infonce(rows, rows, torch.arange(256))
    tensor(6.2364)
    """
    check_rows("masked_infonce", student, teacher, participants=participants)
    with full_precision(student):
        s, t = unit_rows(student), unit_rows(teacher)
        other = participants[:, None] != participants[None, :]
        itself = torch.eye(len(s), dtype=torch.bool, device=s.device)
        across = torch.ones_like(other) if mask_within_only else other | itself
        cross = s @ t.T / temperature
        forward = _anchors(cross, s @ s.T / temperature, across, other)
        backward = _anchors(cross.T, t @ t.T / temperature, across, other)
        return (forward.mean() + backward.mean()) / 2


def _anchors(
    cross: Float[Tensor, "batch batch"],
    within: Float[Tensor, "batch batch"],
    across: Bool[Tensor, "batch batch"],
    other: Bool[Tensor, "batch batch"],
) -> Float[Tensor, " batch"]:
    left_out = -torch.inf
    logits = torch.cat(
        [cross.masked_fill(~across, left_out), within.masked_fill(~other, left_out)], dim=1
    )
    # The positive is always among the logits, so no row is empty and nothing becomes NaN.
    return logits.logsumexp(dim=1) - cross.diagonal()
