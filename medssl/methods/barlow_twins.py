"""Barlow Twins: decorrelated features that both views share."""

from __future__ import annotations

from torch import Tensor

from medssl.methods.base import LOSS, PretrainingMethod
from medssl.objectives.barlow_twins import barlow_twins_loss
from medssl.objectives.gather import gather
from medssl.sampling.loader import Batch


class BarlowTwins(PretrainingMethod):
    """Zbontar et al., ICML 2021 (arXiv 2103.03230).

    Encoder, head, views and optimiser are those of all methods, so that methods differ in their
    objective alone; the published head is wider (8192 outputs) and has batch norm.
    """

    title = "Barlow Twins (arXiv 2103.03230)"

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Correlations over the batches of all ranks."""
        views = self.view(batch, "first"), self.view(batch, "second")
        first, second = (gather(self.head(self.encoder(view))) for view in views)
        weight = self.settings.redundancy_weight
        return {LOSS: barlow_twins_loss(first, second, redundancy_weight=weight)}
