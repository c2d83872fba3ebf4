"""The wearable biosignal method: participant-level pairs, momentum teacher, InfoNCE and KoLeo."""

from __future__ import annotations

import torch
from torch import Tensor

from medssl.methods.base import PretrainingMethod
from medssl.methods.ema import MomentumTeacher
from medssl.objectives.gather import gather
from medssl.objectives.wearable import wearable_loss
from medssl.sampling.loader import Batch


class WearableMethod(PretrainingMethod):
    """Abbaspourazad et al., ICLR 2024 (arXiv 2312.05409).

    Two segments of one participant go through independent views a and b. With student
    projections s, teacher projections t and R = masked InfoNCE + w·KoLeo,

        L = ½ [R(sᵃ, sg tᵇ) + R(sᵇ, sg tᵃ)],

    and without a teacher (`momentum: null`) L = R(sᵃ, sᵇ). The teacher moves before each optimiser
    step's first forward.
    """

    title = "wearable (arXiv 2312.05409)"

    def build(self) -> None:
        """The teacher, where there is one."""
        if self.settings.momentum is not None:
            self.teacher = MomentumTeacher(self.student(), momentum=self.settings.momentum)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """InfoNCE and KoLeo over the batches of all ranks."""
        views = self.view(batch, "first"), self.view(batch, "second")
        student = [gather(self.head(self.encoder(view))) for view in views]
        teacher: list[Tensor | None] = [None, None]
        if self.teacher is not None:
            with torch.no_grad():
                teacher = [gather(self.teacher(view)) for view in views]
        return wearable_loss(
            student[0],
            student[1],
            teacher[0],
            teacher[1],
            gather(batch["participants"]),
            temperature=self.settings.temperature,
            koleo_weight=self.settings.koleo_weight,
            mask_within_only=self.settings.mask_within_only,
        )
