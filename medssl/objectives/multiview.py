"""Contrast of many views at once: MV-InfoNCE and MV-DHEL, and of two: symmetric InfoNCE."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.pairs import masked_logsumexp, mean_of_kept
from medssl.objectives.rows import check_rows, full_precision, unit_rows


def mv_infonce(
    views: Float[Tensor, "batch views dim"],
    participants: Int[Tensor, " batch"],
    *,
    temperature: float = 0.5,
) -> Float[Tensor, ""]:
    r"""MV-InfoNCE: all views of a row in one numerator, all other views in one denominator.

    With unit rows u and $P_i = \mathrm{LSE}_{l \ne m}(u_{il} \cdot u_{im} / \tau)$, LSE being
    log-sum-exp,

    $$L = \frac{1}{B} \sum_i \Bigl[-P_i
      + \mathrm{LSE}_{l,\,(j, m) \ne (i, l)}(u_{il} \cdot u_{jm} / \tau)\Bigr]$$

    (A Principled Framework for Multi-View Contrastive Learning, arXiv 2507.06979), rows j ≠ i of
    the anchor's participant left out. A batch of one participant gives 0. Rows are normalised here;
    computed in single precision (float64 stays).

    Args:
        views: Projections of all views of each row, two or more.
        participants: Participant of each row, as a number.
        temperature: τ.

    Raises:
        ObjectiveError: There are fewer than two views, or the batch is empty.

    >>> mv_infonce(torch.ones(8, 3, 4), torch.arange(8))  # log of 69 pairs over 6
    tensor(2.4423)
    """
    _check("mv_infonce", views, participants)
    batch, count, _ = views.shape
    with full_precision(views):
        rows = unit_rows(views.flatten(0, 1))
        similar = (rows @ rows.T / temperature).reshape(batch, count, batch, count)
        itself = torch.eye(batch, dtype=torch.bool, device=views.device)
        apart = ~torch.eye(count, dtype=torch.bool, device=views.device)
        other = participants[:, None] != participants[None, :]
        own = itself[:, None, :, None] & apart[None, :, None, :]
        compared = own | other[:, None, :, None]
        # The positives are among them, so no row is empty.
        everything = similar.masked_fill(~compared, -torch.inf).flatten(1).logsumexp(dim=1)
        return (everything - _positives(similar, apart)).mean()


def mv_dhel(
    views: Float[Tensor, "batch views dim"],
    participants: Int[Tensor, " batch"],
    *,
    temperature: float = 0.5,
) -> Float[Tensor, ""]:
    r"""MV-DHEL: views of a row attract each other, and each view keeps its own rows apart.

    With $P_i$ as in `mv_infonce`,

    $$L = \frac{1}{B} \sum_i \Bigl[-P_i
      + \sum_l \mathrm{LSE}_{j \ne i}(u_{il} \cdot u_{jl} / \tau)\Bigr]$$

    (arXiv 2507.06979): negatives are of the same view, so alignment and uniformity do not meet in
    one term. The sum over views is the logarithm of a product, which would overflow. Rows j of the
    anchor's participant are left out; anchors without any negative are not in the mean, and a batch
    of one participant gives 0.

    Args:
        views: Projections of all views of each row, two or more.
        participants: Participant of each row, as a number.
        temperature: τ.

    Raises:
        ObjectiveError: There are fewer than two views, or the batch is empty.

    >>> mv_dhel(torch.ones(5, 2, 4), torch.arange(5))  # 2 (log 4 + 1/τ) - (log 2 + 1/τ)
    tensor(4.0794)
    """
    _check("mv_dhel", views, participants)
    with full_precision(views):
        rows = unit_rows(views.flatten(0, 1)).reshape(views.shape)
        apart = ~torch.eye(views.shape[1], dtype=torch.bool, device=views.device)
        other = participants[:, None] != participants[None, :]
        within = torch.einsum("ild,imd->ilm", rows, rows) / temperature
        attraction = masked_logsumexp(within.flatten(1), apart.flatten().expand(len(rows), -1))
        between = torch.einsum("ild,jld->lij", rows, rows) / temperature
        repulsion = masked_logsumexp(between, other.expand_as(between)).sum(dim=0)
        return mean_of_kept(repulsion - attraction, other.any(dim=1), views)


def symmetric_infonce(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    participants: Int[Tensor, " batch"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Cross-entropy from first to second and back: the loss of CLIP (arXiv 2103.00020).

    $$L = \frac{1}{2B} \sum_i \Bigl[-2 s_{ii} / \tau + \mathrm{LSE}_j(s_{ij} / \tau)
      + \mathrm{LSE}_j(s_{ji} / \tau)\Bigr], \qquad s_{ij} = x_i \cdot y_j$$

    over unit rows x, y, other rows of the anchor's participant left out. Two views of one side
    never repel each other. A batch of one participant gives 0.

    Args:
        first: Projections of the first record of each row.
        second: Projections of the second record.
        participants: Participant of each row, as a number.
        temperature: τ.

    Raises:
        ObjectiveError: Shapes differ, or the batch is empty.

    >>> symmetric_infonce(torch.ones(8, 4), torch.ones(8, 4), torch.arange(8))
    tensor(2.0794)
    """
    check_rows("symmetric_infonce", first, second, participants=participants)
    with full_precision(first):
        similar = unit_rows(first) @ unit_rows(second).T / temperature
        itself = torch.eye(len(first), dtype=torch.bool, device=first.device)
        compared = itself | (participants[:, None] != participants[None, :])
        logits = similar.masked_fill(~compared, -torch.inf)
        both = (logits.logsumexp(dim=1) + logits.logsumexp(dim=0)) / 2
        return (both - similar.diagonal()).mean()


def _positives(
    similar: Float[Tensor, "batch views batch views"], apart: Bool[Tensor, "views views"]
) -> Float[Tensor, " batch"]:
    """Log-sum-exp over the ordered pairs of different views of each row."""
    own = similar.diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    return masked_logsumexp(own.flatten(1), apart.flatten().expand(len(own), -1))


def _check(
    objective: str, views: Float[Tensor, "batch views dim"], participants: Int[Tensor, " batch"]
) -> None:
    if views.ndim != 3 or views.shape[1] < 2:
        msg = (
            f"{objective}: the views have shape {tuple(views.shape)}; "
            "give (batch, views, dim) with at least two views"
        )
        raise ObjectiveError(msg)
    check_rows(objective, *views.unbind(dim=1), participants=participants)
