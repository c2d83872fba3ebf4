"""BYOL: a predictor guesses the momentum teacher's projection of the other view."""

from __future__ import annotations

import torch
from lightly.models.modules.heads import BYOLPredictionHead
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.methods.base import PretrainingMethod
from medssl.methods.ema import MomentumTeacher
from medssl.objectives.byol import byol_loss
from medssl.objectives.gather import gather
from medssl.sampling.loader import Batch


class BYOL(PretrainingMethod):
    """Grill et al., NeurIPS 2020 (arXiv 2006.07733).

    Kept from the paper: the predictor (linear, batch norm, ReLU, linear; trained, never exported),
    the loss, and the teacher's momentum that rises to 1 along half a cosine. Different, so that
    methods differ in their objective alone: encoder, head, views and optimiser are those of all
    methods (the published head is wider and has batch norm), and the predictor is as wide as the
    head by default.
    """

    title = "BYOL (arXiv 2006.07733)"

    def build(self) -> None:
        """The teacher and the predictor."""
        self.teacher = MomentumTeacher(
            self.student(),
            momentum=self.settings.momentum,
            end=self.settings.momentum_end,
            steps=self.steps,
        )
        out = self.config.head.out
        self.predictor = BYOLPredictionHead(out, self.settings.predictor_hidden, out)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """2 − 2 cos, both ways, over the batches of all ranks."""
        assert self.teacher is not None
        views = self.view(batch, "first"), self.view(batch, "second")
        if len(views[0]) < 2:
            msg = (
                "byol: the predictor's batch norm needs two rows on every process; "
                "set pretrain.batch_size to at least twice their number"
            )
            raise ObjectiveError(msg)
        predictions = [gather(self.predictor(self.head(self.encoder(view)))) for view in views]
        with torch.no_grad():
            targets = [gather(self.teacher(view)) for view in views]
        return byol_loss(*predictions, *targets)
