"""TIP: image and table row find each other, and the image helps to fill the row's gaps."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medssl.batches import Cells
from medssl.encoders import build_encoder
from medssl.encoders.base import ImageEncoder
from medssl.encoders.fusion import MultimodalFusion
from medssl.encoders.tabular import TabularTransformer, missing_cells, visible_tokens
from medssl.errors import ConfigError
from medssl.methods.base import PretrainingMethod, Side
from medssl.objectives.convirt import convirt_loss
from medssl.objectives.cross_modal import Matches, false_negative_rate, find_matches
from medssl.objectives.gather import gather
from medssl.objectives.tip import (
    choose_mismatches,
    image_tabular_matching,
    tabular_reconstruction,
    tip_loss,
)
from medssl.sampling.loader import Batch
from medssl.views.seeds import derive_seed
from medssl.views.table import choose_cells, corrupt, split_kinds


class TIP(PretrainingMethod):
    """Du et al., ECCV 2024 (arXiv 2407.07582).

    The mean of three terms. Contrast: which row belongs to an image, and the reverse. Matching: a
    transformer in which cells look at the image tells true from wrong combinations; wrong ones are
    those of the batch that contrast finds hard to tell apart, on each rank for itself.
    Reconstruction: half of a row's known cells are hidden, and the same transformer fills them from
    the others and the image. Contrast and matching see rows of which some cells were exchanged.

    Not in the paper: cells that are missing in the data take no part anywhere, are never
    reconstructed, and look to the encoder like hidden ones; rows that are equal in all cells, and
    records of one participant, are no negatives of each other (`same_row`, `same_participant`).
    """

    title = "TIP, image and table (arXiv 2407.07582)"

    def build(self) -> None:
        """The table's encoder and head, the fusion, and what reads matches and cells from it."""
        partner, fusion = self.config.partner, self.settings.fusion
        table = None if partner is None else build_encoder(partner.encoder)
        if not isinstance(self.encoder, ImageEncoder) or not isinstance(table, TabularTransformer):
            msg = (
                "method tip pairs images with a table: use encoder: {name: resnet2d} and "
                "partner: {encoder: {name: tabular_transformer}, table: {columns: […]}}"
            )
            raise ConfigError(msg)
        self.partner_encoder = table
        self.partner_head = self.config.head.build(table.dim)
        self.fusion = MultimodalFusion(
            image=self.encoder.width, table=table.dim, **fusion.model_dump()
        )
        self.matcher = nn.Linear(fusion.width, 2)
        self.categories = nn.ModuleList(nn.Linear(fusion.width, size) for size in table.categories)
        self.number = nn.Linear(fusion.width, 1) if table.numbers else None

    def views_of(self, which: Side) -> Any:
        """Tables have none: corruption and masks are drawn here."""
        return None if which == "second" else self.views

    def exported_partner(self) -> tuple[nn.Module, nn.Module]:
        """The table's encoder and its head."""
        return self.partner_encoder, self.partner_head

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The mean of the three terms, and them; contrast is over the batches of all ranks."""
        maps = self.feature_map(self.view(batch, "first"))
        cells = self.plain(batch, "second")
        assert isinstance(cells, Cells)
        exchanged = corrupt(
            cells, self.settings.corruption, seed=self._seed_of(batch, "corruption")
        )
        tokens = self.partner_encoder.hidden(exchanged)
        images, tables = self.head(maps.mean(dim=(2, 3))), self.partner_head(tokens[:, 0])
        people, everyone = batch["participants"], gather(batch["participants"])
        codes = row_codes(Cells(*(gather(part) for part in cells)))
        contrast = convirt_loss(
            gather(images), gather(tables), self._matches(everyone, codes),
            temperature=self.settings.temperature, image_weight=self.settings.image_weight,
        )  # fmt: skip
        matching = self._matching(
            batch, maps, tokens, missing_cells(cells), images, tables,
            self._matches(people, row_codes(cells)),
        )  # fmt: skip
        masked = choose_cells(
            ~missing_cells(cells), self.settings.mask_ratio, seed=self._seed_of(batch, "mask"),
            least=1,
        )  # fmt: skip
        reconstruction = tabular_reconstruction(
            *self.reconstruct(maps, cells, masked), cells, *split_kinds(cells, masked)
        )
        rate = false_negative_rate(everyone, codes)
        return {**tip_loss(contrast, matching, reconstruction), "false_negatives": rate}

    def feature_map(
        self, images: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Features of an image's places, whose mean is its embedding."""
        assert isinstance(self.encoder, ImageEncoder)
        return self.encoder.feature_map(images)

    def reconstruct(
        self,
        maps: Float[Tensor, "batch channels rows columns"],
        cells: Cells,
        masked: Bool[Tensor, "batch columns"],
    ) -> tuple[list[Tensor], Float[Tensor, "batch columns"]]:
        """What the image and the cells that are left say of every cell.

        Args:
            maps: From `feature_map`.
            cells: Rows of the table.
            masked: Cells that are hidden, categories first.

        Returns:
            Logits of each column of categories, and standardised numbers.
        """
        tokens = self.partner_encoder.hidden(cells, masked)
        fused = self.fusion(tokens, maps, visible_tokens(missing_cells(cells) | masked))
        count = len(self.categories)
        logits = [head(fused[:, 1 + place]) for place, head in enumerate(self.categories)]
        rest = fused[:, 1 + count :]
        return logits, rest[..., 0] if self.number is None else self.number(rest)[..., 0]

    def _matching(
        self,
        batch: Batch,
        maps: Tensor,
        tokens: Tensor,
        missing: Tensor,
        images: Tensor,
        tables: Tensor,
        matches: Matches,
    ) -> Tensor:
        """Whether image and row belong together, for true and wrong combinations."""
        generator = torch.Generator().manual_seed(self._seed_of(batch, "mismatches"))
        uniforms = torch.rand(2, len(maps), generator=generator).to(maps.device)
        wrong = choose_mismatches(
            images, tables, matches, uniforms, temperature=self.settings.temperature
        )
        true = torch.arange(len(maps), device=maps.device)
        image, table = torch.cat([true, wrong.images]), torch.cat([true, wrong.tables])
        visible = visible_tokens(missing)
        fused = self.fusion(tokens[table], maps[image], visible[table])
        matched, mismatched = self.matcher(fused[:, 0]).tensor_split([len(maps)])
        return image_tabular_matching(matched, mismatched)

    def _matches(self, participants: Tensor, codes: Tensor) -> Matches:
        """Every record belongs to its own row alone, unless the settings say more."""
        studies = torch.arange(len(participants), device=participants.device)
        return find_matches(
            participants, studies, codes,
            same_report=self.settings.same_row, same_participant=self.settings.same_participant,
        )  # fmt: skip

    def _seed_of(self, batch: Batch, what: str) -> int:
        return derive_seed(self.seed, what, batch["position"], self.global_rank)


def row_codes(cells: Cells) -> Int[Tensor, " batch"]:
    """Equal numbers for rows that are equal in all cells.

    >>> numbers = torch.tensor([[0.5, torch.nan], [0.5, 1.0], [0.5, torch.nan]])
    >>> row_codes(Cells(torch.tensor([[1], [1], [1]]), numbers)).tolist()
    [1, 0, 1]
    """
    numbers = cells.numbers.nan_to_num(nan=torch.inf)  # equal to itself, which NaN is not
    both = torch.cat([cells.categories.to(numbers.dtype), numbers], dim=1)
    codes: Tensor = torch.unique(both, dim=0, return_inverse=True)[1]
    return codes
