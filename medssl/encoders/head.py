"""The projection head: used while pretraining, left out of the bundle."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import nn

from medssl.config import StrictModel


class ProjectionHeadConfig(StrictModel):
    """Linear, ReLU, dropout, linear; the published sizes.

    >>> head = ProjectionHeadConfig().build(256)
    >>> sum(parameter.numel() for parameter in head.parameters())
    394368
    """

    hidden: PositiveInt = 1024
    out: PositiveInt = 128
    dropout: float = Field(default=0.1, ge=0, lt=1)

    def build(self, dim: int) -> nn.Sequential:
        """The head for embeddings of length `dim`, with fresh weights."""
        return nn.Sequential(
            nn.Linear(dim, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, self.out),
        )
