"""A transformer over the cells of a table's row, in which missing cells take no part."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from medssl.batches import Cells
from medssl.config import StrictModel
from medssl.contracts import TableContract
from medssl.encoders.attention import AttentionBlock, initialise
from medssl.encoders.base import TableEncoder
from medssl.errors import ConfigError, ContractError

_SPREAD = 0.02
"""Standard deviation of fresh embeddings, as published; the norm behind them brings it to 1."""


class TabularTransformerConfig(StrictModel):
    """Small by default; published: width 512, depth 4, heads 8."""

    name: Literal["tabular_transformer"] = "tabular_transformer"
    width: PositiveInt = Field(64, description="of the tokens, and of the embedding")
    depth: PositiveInt = Field(2, description="transformer blocks")
    heads: PositiveInt = Field(4, description="of the attention; they divide width")
    dropout: float = Field(0.0, ge=0, lt=1)
    categories: tuple[PositiveInt, ...] = Field(
        (), description="how many categories each such column has; told by the contract"
    )
    numbers: NonNegativeInt = Field(0, description="columns of numbers; told by the contract")

    @model_validator(mode="after")
    def _divides(self) -> TabularTransformerConfig:
        if self.width % self.heads:
            msg = f"width {self.width} must be a multiple of heads ({self.heads})"
            raise ValueError(msg)
        return self

    def fitted(self, contract: TableContract) -> TabularTransformerConfig:
        """The same with the columns of a contract."""
        sizes = tuple(len(column.categories) for column in contract.categories)
        return self.model_copy(update={"categories": sizes, "numbers": len(contract.numbers)})

    def build(self) -> TabularTransformer:
        """The network, with fresh weights.

        Raises:
            ConfigError: There are no columns yet.
        """
        if not self.categories and not self.numbers:
            msg = "encoder tabular_transformer has no columns: name them in the table's settings"
            raise ConfigError(msg)
        return TabularTransformer(self)


class TabularTransformer(TableEncoder):
    """Cells as tokens, a class token, pre-norm transformer blocks, final norm (arXiv 2407.07582).

    Categories stand before numbers. A category is a learned vector of its column; a number scales
    one learned vector that all columns share; a learned vector of the column is added to both.
    Missing cells hold the learned mask token, like cells that pretraining hides, and no other cell
    sees them: their values reach nothing. The embedding is the class token, which sees itself where
    all cells are missing.

    Attributes:
        categories: How many categories each such column has.
        numbers: How many columns of numbers there are.

    >>> encoder = TabularTransformerConfig(categories=(2, 3), numbers=4, width=16).build()
    >>> row = Cells(torch.tensor([[1, -1]]), torch.tensor([[0.5, torch.nan, -1.0, 2.0]]))
    >>> encoder(row).shape
    torch.Size([1, 16])
    """

    def __init__(self, config: TabularTransformerConfig) -> None:
        super().__init__()
        self.dim = config.width
        sizes = torch.tensor([0, *config.categories])
        self.offsets: Tensor
        self.register_buffer("offsets", sizes.cumsum(0)[:-1], persistent=False)
        self.categories = config.categories
        self.numbers = config.numbers
        columns = len(config.categories) + config.numbers
        total = sum(config.categories)
        self.category = nn.Embedding(total, config.width) if total else None
        self.number = nn.Linear(1, config.width) if config.numbers else None
        self.columns = nn.Parameter(torch.empty(1 + columns, config.width))
        self.class_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.mask_token = nn.Parameter(torch.empty(config.width))
        self.token_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            AttentionBlock(config.width, heads=config.heads, dropout=config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        initialise(self)
        kinds = [kind.weight for kind in (self.category, self.number) if kind is not None]
        for weight in (*kinds, self.columns, self.class_token, self.mask_token):
            nn.init.normal_(weight, std=_SPREAD)

    def layers(self) -> dict[str, nn.Module]:
        """The tokens as they enter, and every block but the last."""
        blocks = list(self.blocks)[:-1]
        return {
            "cells": self.token_norm,
            **{f"block {i}": block for i, block in enumerate(blocks, start=1)},
        }

    def tokens(
        self, x: Cells, hidden: Bool[Tensor, "batch columns"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The class token and one token a cell; hidden cells hold the mask token."""
        parts = []
        if self.category is not None:
            parts.append(self.category(x.categories.clamp(min=0) + self.offsets))
        if self.number is not None:
            values = x.numbers.nan_to_num().to(self.number.weight.dtype)
            parts.append(self.number(values[..., None]))
        cells = torch.cat(parts, dim=1)
        cells = torch.where(hidden[..., None], self.mask_token.to(cells.dtype), cells)
        class_token = self.class_token.to(cells.dtype).expand(cells.shape[0], -1, -1)
        tokens = torch.cat([class_token, cells], dim=1) + self.columns
        out: Tensor = self.dropout(self.token_norm(tokens))
        return out

    def hidden(
        self, x: Cells, masked: Bool[Tensor, "batch columns"] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """One vector for the class token and for each cell, categories first.

        Args:
            x: Rows of a table.
            masked: Cells that pretraining hides, categories first; their tokens gather from the
                others, so that their values can be told.

        Raises:
            ContractError: The rows have other columns than the encoder.
        """
        self._check(x)
        hidden = missing_cells(x) if masked is None else missing_cells(x) | masked
        tokens, visible = self.tokens(x, hidden), visible_tokens(hidden)
        for block in self.blocks:
            tokens = block(tokens, visible)
        out: Tensor = self.norm(tokens)
        return out

    def forward(self, x: Cells) -> Float[Tensor, "batch dim"]:
        """Embed a batch of rows."""
        return self.hidden(x)[:, 0]

    def _check(self, x: Cells) -> None:
        found = (x.categories.shape[1], x.numbers.shape[1])
        expected = (len(self.categories), self.numbers)
        if found != expected:
            msg = (
                f"the rows have {found[0]} columns of categories and {found[1]} of numbers; this "
                f"encoder expects {expected[0]} and {expected[1]}: read them by its contract"
            )
            raise ContractError(msg)


def missing_cells(x: Cells) -> Bool[Tensor, "batch columns"]:
    """Which cells are missing, categories first.

    >>> missing_cells(Cells(torch.tensor([[-1, 0]]), torch.tensor([[torch.nan, 0.0]])))
    tensor([[ True, False,  True, False]])
    """
    return torch.cat([x.categories < 0, x.numbers.isnan()], dim=1)


def visible_tokens(hidden: Bool[Tensor, "batch columns"]) -> Bool[Tensor, "batch tokens"]:
    """Which tokens others see: the class token, and cells that are not hidden."""
    return nn.functional.pad(~hidden, (1, 0), value=True)
