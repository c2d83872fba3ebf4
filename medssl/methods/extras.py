"""Terms between the projections of two modalities that need no negatives."""

from __future__ import annotations

from torch import Tensor, nn

from medssl.methods.image_text_config import ExtrasConfig
from medssl.objectives.image_text_extras import (
    cross_correlation,
    predictor_regression,
    swapped_assignment,
)
from medssl.objectives.swav import Prototypes


class Extras(nn.Module):
    """The terms of CLIP-rocket (Fini et al., TMLR 2023, arXiv 2305.08675) that have a weight.

    Args:
        settings: Weights, and the number of prototypes.
        dim: Length of a projection.
    """

    def __init__(self, settings: ExtrasConfig, *, dim: int) -> None:
        super().__init__()
        self.settings = settings
        if settings.regression:
            self.predictors = nn.ModuleList([_predictor(dim) for _ in range(2)])
        if settings.swapped_assignment:
            self.prototypes = Prototypes(dim, settings.prototypes, frozen_steps=0)

    def forward(self, images: Tensor, texts: Tensor) -> list[tuple[str, float, Tensor]]:
        """Name, weight and value of each term."""
        settings = self.settings
        found: list[tuple[str, float, Tensor]] = []
        if settings.cross_correlation:
            value = cross_correlation(images, texts)
            found.append(("cross_correlation", settings.cross_correlation, value))
        if settings.regression:
            towards_texts, towards_images = self.predictors
            value = predictor_regression(
                towards_texts(images), towards_images(texts), images, texts
            )
            found.append(("regression", settings.regression, value))
        if settings.swapped_assignment:
            logits = [self.prototypes(rows, step=0) for rows in (images, texts)]
            value = swapped_assignment(*logits)
            found.append(("swapped_assignment", settings.swapped_assignment, value))
        return found


def _predictor(dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
