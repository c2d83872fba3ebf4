"""SwAV: the cluster of one view is predicted from another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medssl.errors import ObjectiveError
from medssl.objectives.labels import check_positive
from medssl.objectives.rows import at_least_single, full_precision, unit_rows
from medssl.objectives.sinkhorn import sinkhorn


class Prototypes(nn.Module):
    """Cluster centres on the unit sphere, held still for the first steps.

    Logits are cosines, as rows and prototypes are normalised on every call (lightly 1.6's
    prototypes have a bias and are normalised when asked). While held still the prototypes have a
    gradient of 0 rather than none, which DDP would wait for.

    Args:
        dim: Length of a row.
        number: K, clusters.
        frozen_steps: Steps, not epochs, in which prototypes stay; the paper's is 313.

    Raises:
        ObjectiveError: A number is below 1.

    >>> Prototypes(128, 500)(torch.ones(2, 128), step=0).shape
    torch.Size([2, 500])
    """

    def __init__(self, dim: int, number: int, *, frozen_steps: int = 313) -> None:
        super().__init__()
        check_positive("Prototypes", dim=dim, number=number)
        self.weight = nn.Parameter(unit_rows(torch.randn(number, dim)))
        self.frozen_steps = frozen_steps

    def forward(
        self, rows: Float[Tensor, "batch dim"], *, step: int
    ) -> Float[Tensor, "batch number"]:
        """Cosine of every row with every prototype.

        Args:
            rows: Projections of one view.
            step: The training's step, from 0.
        """
        still = step < self.frozen_steps
        weight = self.weight.detach() + 0 * self.weight if still else self.weight
        with full_precision(rows):
            cosines: Tensor = unit_rows(rows) @ unit_rows(weight).T
            return cosines


def swav_loss(
    large: Sequence[Float[Tensor, "batch clusters"]],
    small: Sequence[Float[Tensor, "batch clusters"]] = (),
    *,
    queued: Sequence[Float[Tensor, "queue clusters"]] | None = None,
    temperature: float = 0.1,
    epsilon: float = 0.05,
    rounds: int = 3,
) -> Float[Tensor, ""]:
    r"""The loss of Caron et al., NeurIPS 2020 (arXiv 2006.09882).

    With logits $a^v$ of view v and codes $q^u = \mathrm{Sinkhorn}(a^u / \varepsilon)$ of a large
    view u,

    $$L = -\operatorname{mean}_u \operatorname{mean}_{v \ne u} \operatorname{mean}_i
      \sum_k q^u_{ik} \log \operatorname{softmax}_k (a^v_{i \cdot} / \tau)$$

    Equals lightly's `SwaVLoss` where that is finite; the codes are ours, see `sinkhorn`. With many
    more clusters than rows, codes need the rows of earlier batches. From the paper: τ = 0.1,
    ε = 0.05, three rounds. Computed in single precision (float64 stays). Across ranks,
    gather first.

    Args:
        large: Logits of each large view, from `Prototypes`.
        small: Logits of each small view, which are predicted from and make no codes.
        queued: Logits of earlier rows for each large view, for its codes alone.
        temperature: τ.
        epsilon: ε.
        rounds: Of `sinkhorn`.

    Raises:
        ObjectiveError: Fewer than two views, none of them large, or shapes or settings that do not
            fit.

    >>> swav_loss([torch.zeros(4, 8), torch.zeros(4, 8)])
    tensor(2.0794)
    """
    views = [*large, *small]
    shapes = {tuple(view.shape) for view in views}
    if not large or len(views) < 2 or len(shapes) != 1:
        msg = f"swav_loss: {len(views)} view(s) of shapes {sorted(shapes)}; give two or more alike"
        raise ObjectiveError(msg)
    if queued is not None and len(queued) != len(large):
        msg = f"swav_loss: {len(queued)} queues for {len(large)} large views; give one for each"
        raise ObjectiveError(msg)
    check_positive("swav_loss", temperature=temperature)
    with full_precision(views[0]):
        logs = [(at_least_single(view) / temperature).log_softmax(dim=1) for view in views]
        terms = []
        for u, view in enumerate(large):
            rows = view if queued is None else torch.cat([view, queued[u].to(view)])
            codes = sinkhorn(rows, epsilon=epsilon, rounds=rounds)[: len(view)]
            terms += [-(codes * log).sum(dim=1).mean() for v, log in enumerate(logs) if v != u]
        return torch.stack(terms).mean()
