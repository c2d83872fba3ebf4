"""Multi-view contrast, also across modalities: all views of both records of a pair at once."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from medssl.encoders import build_encoder
from medssl.methods.base import LOSS, PretrainingMethod, Side
from medssl.objectives.gather import gather
from medssl.objectives.multiview import mv_dhel, mv_infonce, symmetric_infonce
from medssl.sampling.loader import Batch

SIDES: Final[tuple[Side, Side]] = ("first", "second")


class MultiView(PretrainingMethod):
    """MV-DHEL, MV-InfoNCE (Koromilas et al., arXiv 2507.06979), or symmetric InfoNCE.

    Each of the two records of a pair gives `views_per_record` stochastic views, and all of them
    are positives of each other. With a `partner` the second record is of another modality, recorded
    at the same moment: it goes through an encoder, a head and views of its own, and only the space
    of the projections is shared. Without one, both records go through one encoder.

    The sum over positives stands inside a logarithm, so that the nearest ones take the gradient.
    With several views of each record and a temperature of 0.1 these are views of one record, and
    the two modalities hardly meet; at 0.5, the published value, they do.
    """

    title = "multi-view contrast (arXiv 2507.06979)"

    def build(self) -> None:
        """The partner's encoder and head."""
        self.partner_encoder: nn.Module | None = None
        self.partner_head: nn.Module | None = None
        partner = self.config.partner
        if partner is not None:
            encoder = build_encoder(partner.encoder)
            self.partner_encoder = encoder
            self.partner_head = self.config.head.build(encoder.dim)
            self.partner_views = partner.views.build()

    def views_of(self, which: Side) -> Any:
        """Those of the modality."""
        crossed = which == "second" and self.config.partner is not None
        return self.partner_views if crossed else self.views

    def exported_partner(self) -> tuple[nn.Module, nn.Module] | None:
        """The second modality's encoder and head, if there is one."""
        if self.partner_encoder is None or self.partner_head is None:
            return None
        return self.partner_encoder, self.partner_head

    def project(self, x: Tensor, which: Side) -> Tensor:
        """Projections of one view of one side."""
        partner = self.exported_partner() if which == "second" else None
        encoder, head = partner or (self.encoder, self.head)
        out: Tensor = head(encoder(x))
        return out

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The chosen form over the batches of all ranks."""
        settings = self.settings
        # One forward a view: batch norm sees one kind of signal at a time.
        views = [
            gather(self.project(self.view(batch, side, number), side))
            for side in SIDES
            for number in range(settings.views_per_record)
        ]
        participants = gather(batch["participants"])
        if not settings.mask_participants:
            participants = torch.arange(len(participants), device=participants.device)
        tau = settings.temperature
        if settings.form == "infonce":
            value = symmetric_infonce(views[0], views[1], participants, temperature=tau)
        else:
            form = {"mv_dhel": mv_dhel, "mv_infonce": mv_infonce}[settings.form]
            value = form(torch.stack(views, dim=1), participants, temperature=tau)
        return {LOSS: value, settings.form: value}
