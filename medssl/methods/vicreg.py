"""VICReg: invariance, variance and covariance terms keep views together and features apart."""

from __future__ import annotations

from torch import Tensor

from medssl.methods.base import PretrainingMethod
from medssl.objectives.gather import gather
from medssl.objectives.vicreg import vicreg_loss
from medssl.sampling.loader import Batch


class VICReg(PretrainingMethod):
    """Bardes et al., ICLR 2022 (arXiv 2105.04906).

    Encoder, head, views and optimiser are those of all methods, so that methods differ in their
    objective alone; the published head is wider (8192 outputs) and has batch norm.
    """

    title = "VICReg (arXiv 2105.04906)"

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Three terms over the batches of all ranks."""
        views = self.view(batch, "first"), self.view(batch, "second")
        first, second = (gather(self.head(self.encoder(view))) for view in views)
        return vicreg_loss(
            first,
            second,
            invariance_weight=self.settings.invariance_weight,
            variance_weight=self.settings.variance_weight,
            covariance_weight=self.settings.covariance_weight,
        )
