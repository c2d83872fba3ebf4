"""Momentum contrast: a query finds its key among keys remembered from other participants."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.rows import check_rows, full_precision, unit_rows


def moco_loss(
    queries: Float[Tensor, "batch dim"],
    keys: Float[Tensor, "batch dim"],
    remembered: Float[Tensor, "queue dim"],
    participants: Int[Tensor, " batch"],
    remembered_participants: Int[Tensor, " queue"],
    *,
    temperature: float = 0.2,
) -> Float[Tensor, ""]:
    r"""InfoNCE of queries against a queue, keys of the query's own participant left out.

    With unit queries q, keys k, remembered keys n, participants p and τ the temperature,

    $$\ell_i = -q_i \cdot k_i / \tau + \mathrm{LSE}\bigl(\{q_i \cdot k_i / \tau\}
      \cup \{q_i \cdot n_j / \tau : p(n_j) \ne p_i\}\bigr), \qquad L = \mathrm{mean}_i\, \ell_i$$

    (MoCo, arXiv 1911.05722; τ = 0.2 in version 2, arXiv 2003.04297). A query without a negative
    gives 0. Keys have no gradient. Rows are normalised here; computed in single precision (float64
    stays).

    Args:
        queries: Student projections.
        keys: Teacher projections of the other view of each row.
        remembered: Teacher projections of this and earlier batches; may be empty.
        participants: Participant of each row, as a number.
        remembered_participants: Participant of each remembered key, in the same numbers.
        temperature: τ.

    Raises:
        ObjectiveError: Shapes differ, or the batch is empty.

    >>> rows, apart = torch.ones(2, 4), torch.arange(2)
    >>> moco_loss(rows, rows, torch.ones(3, 4), apart, torch.tensor([0, 7, 8]))
    tensor(1.2425)
    """
    check_rows("moco_loss", queries, keys, participants=participants)
    _check_queue(queries, remembered, remembered_participants)
    with full_precision(queries):
        q = unit_rows(queries)
        k, n = (unit_rows(rows.detach().to(q.dtype)) for rows in (keys, remembered))
        positive = (q * k).sum(dim=1, keepdim=True) / temperature
        own = participants[:, None] == remembered_participants[None, :]
        negative = (q @ n.T / temperature).masked_fill(own, -torch.inf)
        # The positive is always among the logits, so no row is empty and nothing becomes NaN.
        logits = torch.cat([positive, negative], dim=1)
        return (logits.logsumexp(dim=1) - positive[:, 0]).mean()


def _check_queue(queries: Tensor, remembered: Tensor, participants: Tensor) -> None:
    shape = tuple(remembered.shape)
    if len(shape) != 2 or shape[1] != queries.shape[1]:
        msg = (
            f"moco_loss: remembered keys have shape {shape}; "
            f"give (queue, {queries.shape[1]}), as long as the queries"
        )
        raise ObjectiveError(msg)
    if tuple(participants.shape) != shape[:1]:
        msg = (
            f"moco_loss: remembered participants have shape {tuple(participants.shape)}; "
            f"give one number for each of the {shape[0]} keys"
        )
        raise ObjectiveError(msg)
