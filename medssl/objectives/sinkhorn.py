"""Soft assignment of rows to clusters that all get the same share of the batch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.labels import check_positive
from medssl.objectives.rows import at_least_single, full_precision


@torch.no_grad()
def sinkhorn(
    logits: Float[Tensor, "batch clusters"], *, epsilon: float = 0.05, rounds: int = 3
) -> Float[Tensor, "batch clusters"]:
    r"""Scale $e^{a / \varepsilon}$ until rows sum to 1 and columns to about B/K.

    Each round divides columns, then rows, by their sums (Cuturi, NeurIPS 2013, arXiv 1306.0895).
    Done with logarithms: lightly 1.6 takes the exponential itself, which overflows float32 from
    a/ε = 89 on, and leaves 0/0 where all of a row is 89 below the maximum. Computed in single
    precision (float64 stays); without a gradient.

    Args:
        logits: a, similarities of rows to clusters.
        epsilon: ε; smaller is closer to one cluster for each row.
        rounds: Of dividing.

    Raises:
        ObjectiveError: The shape is not (batch, clusters), or a setting is out of range.

    >>> sinkhorn(torch.tensor([[1.0, 0.0], [0.9, 0.0]]), rounds=100)  # two rows share two clusters
    tensor([[0.7311, 0.2689],
            [0.2689, 0.7311]])
    """
    if logits.ndim != 2 or logits.numel() == 0:
        msg = f"sinkhorn: logits have shape {tuple(logits.shape)}; give (batch, clusters)"
        raise ObjectiveError(msg)
    check_positive("sinkhorn", epsilon=epsilon, rounds=rounds)
    with full_precision(logits):
        codes = at_least_single(logits) / epsilon
        for _ in range(rounds):
            codes = codes - codes.logsumexp(dim=0, keepdim=True)
            codes = codes - codes.logsumexp(dim=1, keepdim=True)
        return codes.exp()
