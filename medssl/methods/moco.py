"""MoCo: queries find the momentum teacher's key among a queue of earlier keys."""

from __future__ import annotations

import torch
from torch import Tensor

from medssl.methods.base import LOSS, PretrainingMethod
from medssl.methods.ema import MomentumTeacher
from medssl.objectives.gather import gather
from medssl.objectives.moco import moco_loss
from medssl.objectives.queue import KeyQueue
from medssl.sampling.loader import Batch


class MoCo(PretrainingMethod):
    """Chen et al., 2020 (MoCo v2, arXiv 2003.04297), own participants never negatives.

    Kept from the paper: momentum teacher, queue, temperature. Different, so that methods differ in
    their objective alone: encoder, head, views and optimiser are those of all methods, and both
    views are queries in turn (`symmetric: false` is the published form, first view alone).

    A batch's keys join the queue *before* the batch is compared with it, so that the first batch
    has negatives too; a row's own keys are those of its participant, which are left out. These
    negatives share the positive's batch-norm statistics, which then cannot give it away (the paper
    shuffles batches among GPUs for that). The queue starts empty, not random.
    """

    title = "MoCo v2 (arXiv 2003.04297)"

    def build(self) -> None:
        """The teacher and the queue."""
        self.teacher = MomentumTeacher(self.student(), momentum=self.settings.momentum)
        self.queue = KeyQueue(self.settings.queue, self.config.head.out)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """InfoNCE of the batches of all ranks against the queue that all ranks hold."""
        assert self.teacher is not None
        first, second = self.view(batch, "first"), self.view(batch, "second")
        directions = [(first, second), (second, first)][: 1 + self.settings.symmetric]
        participants = gather(batch["participants"])
        with torch.no_grad():
            keys = [gather(self.teacher(view)) for _, view in directions]
        for rows in keys:
            self.queue.put(rows, participants)
        losses = [
            moco_loss(
                gather(self.head(self.encoder(view))),
                rows,
                self.queue.remembered,
                participants,
                self.queue.participants,
                temperature=self.settings.temperature,
            )
            for (view, _), rows in zip(directions, keys, strict=True)
        ]
        infonce = torch.stack(losses).mean()
        return {LOSS: infonce, "infonce": infonce}
