"""KoLeo: spreads embeddings by pushing nearest neighbours apart."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.rows import check_rows, full_precision, unit_rows


def koleo(
    z: Float[Tensor, "batch dim"],
    participants: Int[Tensor, " batch"] | None = None,
    *,
    eps: float = 1e-8,
) -> Float[Tensor, ""]:
    r"""Kozachenko–Leonenko estimate of (minus) the differential entropy of unit rows.

    $$K(z) = -\frac{1}{B} \sum_i \log(\lVert z_i - z_{n(i)} + \epsilon \rVert_2 + \epsilon),
      \qquad n(i) = \arg\max_{j \ne i} z_i \cdot z_j$$

    (Spreading vectors for similarity search, arXiv 1806.03198). Given participants, a neighbour
    must belong to another one, which every row has as soon as there are two participants. Rows are
    normalised here; computed in single precision (float64 stays).

    Args:
        z: Projections.
        participants: Participant of each row, as a number; None lets any row be the neighbour.
        eps: ε; inside the norm it is added to every coordinate.

    Raises:
        ObjectiveError: Fewer than two rows, or all of one participant.

    >>> koleo(torch.eye(128))
    tensor(-0.3466)
    """
    check_rows("koleo", z, participants=participants, least=2)
    with full_precision(z):
        rows = unit_rows(z)
        nearest = rows[_neighbours(rows.detach(), participants)]
        distances = torch.linalg.vector_norm(rows - nearest + eps, dim=1)
        mean: Tensor = -(distances + eps).log().mean()
        return mean


def _neighbours(
    rows: Float[Tensor, "batch dim"], participants: Int[Tensor, " batch"] | None
) -> Int[Tensor, " batch"]:
    similarity = rows @ rows.T
    similarity.fill_diagonal_(-torch.inf)
    if participants is not None:
        same = participants[:, None] == participants[None, :]
        if bool(same.all()):
            msg = "koleo: all rows are of one participant; give rows of at least two participants"
            raise ObjectiveError(msg)
        similarity.masked_fill_(same, -torch.inf)
    return similarity.argmax(dim=1)
