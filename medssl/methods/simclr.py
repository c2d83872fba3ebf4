"""SimCLR: two views of a pair attract each other, all other participants' rows repel."""

from __future__ import annotations

from torch import Tensor

from medssl.methods.base import LOSS, PretrainingMethod
from medssl.objectives.contrastive import masked_infonce
from medssl.objectives.gather import gather
from medssl.sampling.loader import Batch


class SimCLR(PretrainingMethod):
    """Chen et al., ICML 2020 (arXiv 2002.05709), rows of one participant never negatives.

    With `pairs.level: segment` the two views are of one segment, as published.
    """

    title = "SimCLR (arXiv 2002.05709)"

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """NT-Xent over the batches of all ranks."""
        views = self.view(batch, "first"), self.view(batch, "second")
        first, second = (gather(self.head(self.encoder(view))) for view in views)
        infonce = masked_infonce(
            first, second, gather(batch["participants"]), temperature=self.settings.temperature
        )
        return {LOSS: infonce, "infonce": infonce}
