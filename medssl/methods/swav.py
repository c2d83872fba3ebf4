"""SwAV: the cluster of one view of a pair is predicted from the other view."""

from __future__ import annotations

from torch import Tensor

from medssl.methods.base import LOSS, PretrainingMethod
from medssl.objectives.gather import gather
from medssl.objectives.queue import KeyQueue
from medssl.objectives.swav import Prototypes, swav_loss
from medssl.sampling.loader import Batch


class SwAV(PretrainingMethod):
    """Caron et al., NeurIPS 2020 (arXiv 2006.09882), with two views and no small crops.

    Encoder, head, views and optimiser are those of all methods, so that methods differ in their
    objective alone. `queue` keeps earlier projections of each view: with many more prototypes than
    rows, a batch alone cannot be spread evenly over them. Its loss equals lightly's, whose
    normalisation overflows in half precision.
    """

    title = "SwAV (arXiv 2006.09882)"

    def build(self) -> None:
        """The prototypes, and the queues of both views."""
        settings = self.settings
        dim = self.config.head.out
        self.prototypes = Prototypes(dim, settings.prototypes, frozen_steps=settings.freeze_steps)
        self.queues = [KeyQueue(settings.queue, dim) for _ in range(2)] if settings.queue else []
        for number, queue in enumerate(self.queues):
            self.add_module(f"queue_{number}", queue)  # so that checkpoints hold it

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Swapped prediction over the batches of all ranks."""
        views = self.view(batch, "first"), self.view(batch, "second")
        rows = [gather(self.head(self.encoder(view))) for view in views]
        step = self.global_step
        queued = None
        if self.queues:
            remembered = [queue.remembered.clone() for queue in self.queues]
            if all(len(kept) for kept in remembered):
                queued = [self.prototypes(kept, step=step).detach() for kept in remembered]
            participants = gather(batch["participants"])
            for queue, projected in zip(self.queues, rows, strict=True):
                queue.put(projected.detach(), participants)
        loss = swav_loss(
            [self.prototypes(projected, step=step) for projected in rows], queued=queued,
            temperature=self.settings.temperature, epsilon=self.settings.epsilon,
            rounds=self.settings.rounds,
        )  # fmt: skip
        return {LOSS: loss, "swapped_prediction": loss}
