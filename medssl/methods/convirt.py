"""ConVIRT: an image and a sentence of its report find each other among all of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from medssl.encoders import build_encoder
from medssl.inputs.texts import TextInputs
from medssl.methods.base import LOSS, PretrainingMethod, Side
from medssl.methods.contrasts import Alternatives, build_contrast
from medssl.methods.extras import Extras
from medssl.methods.facts import RunFacts
from medssl.objectives.contrastive_gap import contrastive_gap_terms
from medssl.objectives.cross_modal import Matches, false_negative_rate, find_matches
from medssl.objectives.gather import gather
from medssl.objectives.within_modality import matched_infonce
from medssl.sampling.loader import Batch
from medssl.text.opposites import opposite
from medssl.text.reading import text_digest
from medssl.views.text_config import TextViewsConfig


class ConVIRT(PretrainingMethod):
    """Zhang et al., MLHC 2022 (arXiv 2010.00747).

    One image of a study, seen through five transforms, and one sentence drawn from its report go
    through an encoder and a head each; the loss asks for the sentence given the image (weight λ)
    and for the image given the sentence. Not in the paper: texts that are alike word by word, and
    studies of one participant, are no negatives of each other (`same_report`, `same_participant`);
    how often that happens is logged as `false_negatives`.

    What may stand in the place of the loss, and what may be added to it, is in
    `image_text_config`; each is one line of configuration.
    """

    title = "ConVIRT (arXiv 2010.00747)"

    def build(self) -> None:
        """The text encoder, its head, and whatever the terms of the loss remember."""
        partner = self.config.partner
        assert partner is not None  # the configuration refuses its absence
        self.partner_encoder = build_encoder(partner.encoder)
        self.partner_head = self.config.head.build(self.partner_encoder.dim)
        assert isinstance(partner.views, TextViewsConfig)
        self.partner_views = partner.views.build()
        self.contrast = build_contrast(self.settings.loss)
        self.extras = Extras(self.settings.extras, dim=self.config.head.out)

    def meet(self, facts: RunFacts) -> None:
        """Give the loss what it must know of all training records."""
        self.contrast.meet(facts)

    def views_of(self, which: Side) -> Any:
        """Those of the modality."""
        return self.partner_views if which == "second" else self.views

    def exported_partner(self) -> tuple[nn.Module, nn.Module]:
        """The text encoder and its head."""
        return self.partner_encoder, self.partner_head

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The contrast, and every further term with a weight, over the batches of all ranks."""
        settings = self.settings
        images = gather(self.head(self.encoder(self.view(batch, "first"))))
        sentences = self.sentences(batch)
        texts = gather(self.project(sentences))
        codes = gather(self._codes(sentences))
        people, studies = gather(batch["participants"]), gather(batch["studies"])

        def match(texts: Tensor) -> Matches:
            return find_matches(
                people, studies, texts,
                same_report=settings.same_report, same_participant=settings.same_participant,
            )  # fmt: skip

        matches = match(codes)
        terms = {
            settings.loss.name: self.contrast(
                images, texts, matches,
                items=(gather(batch["places"]), studies),
                opposites=self._opposites(batch, sentences) if settings.opposites else None,
            )
        }  # fmt: skip
        weights = {settings.loss.name: 1.0}
        for name, weight, value in self._further(batch, images, texts, match, codes):
            terms[name], weights[name] = value, weight
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        rate = false_negative_rate(people, codes)
        return {LOSS: total, **terms, **self.contrast.told(), "false_negatives": rate}

    def sentences(self, batch: Batch, number: int = 0) -> list[str]:
        """What is drawn of each report."""
        stored = batch["second"]
        assert isinstance(stored, list)
        return self.partner_views.draw(stored, seed=self.view_seed(batch, "second", number))

    def project(self, texts: list[str]) -> Tensor:
        """Projections of texts."""
        inputs = self.partner_inputs
        assert isinstance(inputs, TextInputs)
        projected: Tensor = self.partner_head(
            self.partner_encoder(inputs.tokens(texts, self.device))
        )
        return projected

    def _further(
        self,
        batch: Batch,
        images: Tensor,
        texts: Tensor,
        match: Callable[[Tensor], Matches],
        codes: Tensor,
    ) -> list[tuple[str, float, Tensor]]:
        """Name, weight and value of every further term that has a weight."""
        settings, found, matches = self.settings, [], match(codes)
        if settings.image_image:
            side: Side = "companion" if "companion" in batch else "first"
            view = self.view(batch, side, number=1)
            other = gather(self.head(self.encoder(view)))
            value = matched_infonce(images, other, matches)
            found.append(("image_image", settings.image_image, value))
        if settings.text_text:
            sentences = self.sentences(batch, number=1)
            other = gather(self.project(sentences))
            # Both draws are compared with both draws of the other reports.
            drawn = torch.stack([codes, gather(self._codes(sentences))], dim=1)
            value = matched_infonce(texts, other, match(drawn))
            found.append(("text_text", settings.text_text, value))
        if settings.gap:
            value = torch.stack(list(contrastive_gap_terms(images, texts, matches).values())).sum()
            found.append(("gap", settings.gap, value))
        return [*found, *self.extras(images, texts)]

    def _opposites(self, batch: Batch, sentences: list[str]) -> Alternatives:
        """The sentences with their negation or side flipped, where there is one to flip."""
        generator = torch.Generator().manual_seed(self.view_seed(batch, "second", 2))
        uniforms = torch.rand(len(sentences), generator=generator).tolist()
        flipped = [opposite(text, u) for text, u in zip(sentences, uniforms, strict=True)]
        # Those without an opposite stand in for themselves and are left out by the mask.
        given = [
            text if other is None else other for text, other in zip(sentences, flipped, strict=True)
        ]
        there = torch.tensor([other is not None for other in flipped], device=self.device)
        return Alternatives(gather(self.project(given)), gather(there))

    def _codes(self, texts: list[str]) -> Tensor:
        """Equal for texts that are alike word by word."""
        return torch.tensor([text_digest(text) for text in texts], device=self.device)
