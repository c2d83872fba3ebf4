"""Rows of all ranks, with gradients, so that a loss sees the whole batch."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed

from medssl.errors import ObjectiveError


def gather(rows: Shaped[Tensor, "local ..."]) -> Shaped[Tensor, "all ..."]:
    """Concatenate the rows of all ranks, in rank order; the gradient returns to their owners.

    Every rank computes the same loss over all rows. The gradients that all ranks have for one row
    are summed, so that DDP's *mean* over ranks gives exactly the gradient of a single process
    that holds the whole batch. Half-precision rows travel as float32, so that the sum is exact
    enough. Without a process group, or alone in it, rows come back as they are.

    Args:
        rows: This rank's rows; every rank must have equally many.

    Raises:
        ObjectiveError: Ranks hold different numbers of rows.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    if distributed.get_world_size() == 1:
        return rows
    _check_equal(rows)
    if rows.dtype in (torch.float16, torch.bfloat16):
        rows = rows.float()
    if torch.is_grad_enabled() and rows.requires_grad:
        gathered: Tensor = _Gather.apply(rows)
        return gathered
    return _concatenate(rows)


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums over ranks and keeps this rank's rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.local = len(rows)
        return _concatenate(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        start = distributed.get_rank() * ctx.local
        return total[start : start + ctx.local]


def _concatenate(rows: Tensor) -> Tensor:
    rows = rows.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows)
    return torch.cat(parts)


def _check_equal(rows: Tensor) -> None:
    local = torch.tensor([len(rows)], device=rows.device)
    sizes = [torch.empty_like(local) for _ in range(distributed.get_world_size())]
    distributed.all_gather(sizes, local)
    counts = torch.cat(sizes).tolist()
    if len(set(counts)) != 1:
        msg = f"gather: ranks hold {counts} rows; give every rank equally many"
        raise ObjectiveError(msg)
