"""Cells of tables chosen at random, to be hidden or exchanged between rows."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from medssl.batches import Cells


def choose_cells(
    known: Bool[Tensor, "batch columns"], share: float, *, seed: int, least: int = 0
) -> Bool[Tensor, "batch columns"]:
    """The same share of known cells in every row, rounded.

    Args:
        known: Cells that can be chosen.
        share: Of the known cells of a row.
        seed: Decides which.
        least: Cells that are chosen of a row in any case, as far as it has them.

    >>> choose_cells(torch.tensor([[True] * 4, [True, False, False, False]]), 0.5, seed=0, least=1)
    tensor([[False, False,  True,  True],
            [ True, False, False, False]])
    """
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(known.shape, generator=generator).to(known.device)
    place = draws.masked_fill(~known, 2.0).argsort(dim=1).argsort(dim=1)
    count = (share * known.sum(dim=1)).round().clamp(min=least)
    return (place < count[:, None]) & known


def corrupt(x: Cells, share: float, *, seed: int) -> Cells:
    """Cells exchanged for the same column's known cells of random rows of the batch.

    (MMCL, arXiv 2303.14080, and TIP, which draw from all rows of the data.) What is missing stays
    missing.

    Args:
        x: Rows of a table.
        share: Of the known cells of a row.
        seed: Decides which cells, and which rows they come from.
    """
    generator = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**62, (2,), generator=generator).tolist()
    known = torch.cat([x.categories >= 0, ~x.numbers.isnan()], dim=1)
    chosen = choose_cells(known, share, seed=seeds[0])
    donors = _donors(known, seeds[1])
    exchanged = (
        torch.where(which, part.gather(0, rows), part)
        for part, which, rows in zip(x, split_kinds(x, chosen), split_kinds(x, donors), strict=True)
    )
    return Cells(*exchanged)


def split_kinds(x: Cells, columns: Tensor) -> tuple[Tensor, Tensor]:
    """What is said of all columns, for the categories and for the numbers of a table.

    Args:
        x: The table.
        columns: Categories first, shape (batch, columns).
    """
    count = x.categories.shape[1]
    return columns[:, :count], columns[:, count:]


def _donors(known: Bool[Tensor, "batch columns"], seed: int) -> Tensor:
    """A random row for each cell, of those in which the column is known."""
    draws = torch.rand(known.shape, generator=torch.Generator().manual_seed(seed)).to(known.device)
    known_first = (~known).long().argsort(dim=0, stable=True)
    count = known.sum(dim=0)
    place = (draws * count).long().clamp(min=0).minimum((count - 1).clamp(min=0))
    return known_first.gather(0, place)
