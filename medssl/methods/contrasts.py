"""The contrast of images with texts that a configuration names, with whatever it remembers."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from medssl.methods.facts import RunFacts
from medssl.methods.image_text_config import (
    ConVIRTLoss,
    CrossModalLoss,
    CWCLLoss,
    DCLLoss,
    ISogCLRLoss,
    SigLIPLoss,
)
from medssl.methods.references import reference_rows
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import Matches
from medssl.objectives.cwcl import cwcl_loss, reference_weights
from medssl.objectives.decoupled import decoupled_loss
from medssl.objectives.hard_negatives import opposite_sentence_loss
from medssl.objectives.isogclr import LOSS, ISogCLR
from medssl.objectives.siglip import SigLIP


class Alternatives(NamedTuple):
    """Projections of opposites of the texts, and where there is one."""

    rows: Tensor
    """Shape (batch, dim)."""
    present: Tensor
    """Shape (batch,)."""


class Contrast(nn.Module):
    """A contrast of images with texts; a subclass is one objective."""

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def meet(self, facts: RunFacts) -> None:
        """Learn what there is to know of the training records."""
        return

    def told(self) -> dict[str, Tensor]:
        """What to log beside the value."""
        return {}

    def forward(
        self,
        images: Tensor,
        texts: Tensor,
        matches: Matches,
        *,
        items: tuple[Tensor, Tensor],
        opposites: Alternatives | None = None,
    ) -> Tensor:
        """The value.

        Args:
            images: Projections, shape (batch, dim).
            texts: Projections, shape (batch, dim).
            matches: Which combinations are pairs, and which are compared.
            items: Number of each image and of each report in the training corpus.
            opposites: Further negatives of each image.
        """
        raise NotImplementedError


class _ConVIRT(Contrast):
    def forward(
        self,
        images: Tensor,
        texts: Tensor,
        matches: Matches,
        *,
        items: tuple[Tensor, Tensor],
        opposites: Alternatives | None = None,
    ) -> Tensor:
        settings = {
            "temperature": self.settings.temperature,
            "image_weight": self.settings.image_weight,
        }
        if opposites is None:
            return convirt_loss(images, texts, matches, **settings)
        rows, present = opposites.rows[:, None], opposites.present[:, None]
        return opposite_sentence_loss(images, texts, matches, rows, present, **settings)


class _SigLIP(Contrast):
    def __init__(self, settings: SigLIPLoss) -> None:
        super().__init__(settings)
        self.loss = SigLIP(scale=settings.scale, bias=settings.bias)

    def told(self) -> dict[str, Tensor]:
        return {"scale": self.loss.scale().detach(), "bias": self.loss.bias.detach()}

    def forward(self, images: Tensor, texts: Tensor, matches: Matches, **_: Any) -> Tensor:
        value: Tensor = self.loss(images, texts, matches)
        return value


class _Decoupled(Contrast):
    def forward(self, images: Tensor, texts: Tensor, matches: Matches, **_: Any) -> Tensor:
        return decoupled_loss(
            images, texts, matches, temperature=self.settings.temperature,
            sigma=self.settings.sigma,
        )  # fmt: skip


class _CWCL(Contrast):
    def __init__(self, settings: CWCLLoss) -> None:
        super().__init__(settings)
        # No buffer: it is made anew from the training reports when a run goes on, and DDP would
        # send a row for each report with every step.
        self.reference = torch.empty(0, 0)

    def meet(self, facts: RunFacts) -> None:
        self.reference = torch.from_numpy(reference_rows(facts.reports(), self.settings.reference))

    def forward(
        self,
        images: Tensor,
        texts: Tensor,
        matches: Matches,
        *,
        items: tuple[Tensor, Tensor],
        opposites: Alternatives | None = None,
    ) -> Tensor:
        if not self.training:  # other reports have no reference: every pair is its own target
            return convirt_loss(
                images, texts, matches, temperature=self.settings.temperature, image_weight=0.5
            )
        rows = self.reference[items[1].cpu()].to(images.device)
        weights = reference_weights(
            rows, form=self.settings.form, temperature=self.settings.sharpness
        )
        return cwcl_loss(
            images, texts, matches, weights, temperature=self.settings.temperature, both=True
        )


class _ISogCLR(Contrast):
    def __init__(self, settings: ISogCLRLoss) -> None:
        super().__init__(settings)
        self.loss: ISogCLR | None = None
        self._told: dict[str, Tensor] = {}

    def meet(self, facts: RunFacts) -> None:
        self.loss = ISogCLR(
            facts.records, temperature=self.settings.temperature, rho=self.settings.rho
        )

    def told(self) -> dict[str, Tensor]:
        return self._told

    def forward(
        self,
        images: Tensor,
        texts: Tensor,
        matches: Matches,
        *,
        items: tuple[Tensor, Tensor],
        opposites: Alternatives | None = None,
    ) -> Tensor:
        assert self.loss is not None  # meet comes first
        if not self.training:  # other participants have no temperature of their own
            return convirt_loss(
                images, texts, matches, temperature=self.settings.temperature, image_weight=0.5
            )
        terms: dict[str, Tensor] = self.loss(images, texts, matches, items[0])
        self._told = {name: value for name, value in terms.items() if name != LOSS}
        return terms[LOSS]


_CONTRASTS: Final[dict[type, type[Contrast]]] = {
    ConVIRTLoss: _ConVIRT,
    SigLIPLoss: _SigLIP,
    DCLLoss: _Decoupled,
    CWCLLoss: _CWCL,
    ISogCLRLoss: _ISogCLR,
}


def build_contrast(settings: CrossModalLoss) -> Contrast:
    """The contrast that a configuration names."""
    return _CONTRASTS[type(settings)](settings)
