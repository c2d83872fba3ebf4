"""Batches of what an encoder takes, by kind of modality; waveforms are plain tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Pictures(NamedTuple):
    """Images as they stand in a store, each centred in a square of zeros."""

    pixels: Tensor
    """Integers, shape (batch, 1, edge, edge)."""
    extents: Tensor
    """Rows and columns of each image inside its square, int64 of shape (batch, 2)."""


class Tokens(NamedTuple):
    """Texts as numbers of tokens, padded at the end."""

    ids: Tensor
    """Int64, shape (batch, tokens)."""
    mask: Tensor
    """True at tokens that are no padding, shape (batch, tokens)."""


class Cells(NamedTuple):
    """Rows of a table."""

    categories: Tensor
    """Position in the column's categories, -1 where missing; int64 of shape (batch, columns)."""
    numbers: Tensor
    """Standardised, NaN where missing; float32 of shape (batch, columns)."""


Raw = Tensor | Pictures | Cells | list[str]
"""What a store holds of some records, by kind: segments, images, rows of a table, texts."""

ModelInput = Tensor | Tokens | Cells
"""What an encoder takes: normalised segments or images, tokens, rows of a table."""


def count(raw: Raw) -> int:
    """How many records a batch holds.

    >>> count(["No effusion.", "Normal."])
    2
    """
    return len(raw[0]) if isinstance(raw, Pictures | Cells) else len(raw)


def take(raw: Raw, start: int, stop: int) -> Raw:
    """A part of a batch.

    >>> take(["a", "b", "c"], 1, 3)
    ['b', 'c']
    """
    if isinstance(raw, Pictures | Cells):
        return type(raw)(*(part[start:stop] for part in raw))
    return raw[start:stop]


def move(batch: ModelInput | Raw, device: torch.device | str) -> Any:
    """The same batch on a device; texts stay where they are."""
    if isinstance(batch, Pictures | Cells | Tokens):
        return type(batch)(*(part.to(device, non_blocking=True) for part in batch))
    return batch if isinstance(batch, list) else batch.to(device, non_blocking=True)
