"""What objectives ask of their inputs: equal shapes, single precision, unit rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.errors import ObjectiveError


@contextmanager
def full_precision(z: Tensor) -> Iterator[None]:
    """Switch autocast off: at τ = 0.04 similarities reach e²⁵, which half precision cannot hold."""
    with torch.autocast(device_type=z.device.type, enabled=False):
        yield


def at_least_single(z: Tensor) -> Tensor:
    """The same numbers in single precision; float64 stays."""
    return z if z.dtype == torch.float64 else z.float()


def unit_rows(z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
    """Rows of length 1, at least in single precision; unit rows stay as they are.

    >>> unit_rows(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return torch.nn.functional.normalize(at_least_single(z), dim=1)


def check_rows(
    objective: str, *embeddings: Tensor, participants: Int[Tensor, " batch"] | None, least: int = 1
) -> None:
    """Refuse batches that an objective is not defined for.

    Args:
        objective: Its name, for the message.
        embeddings: Matrices that must have one shape (batch, dim).
        participants: One number per row, if the objective masks participants.
        least: Fewest rows it is defined for.

    Raises:
        ObjectiveError: Names the objective and what is wrong.
    """
    shapes = [tuple(z.shape) for z in embeddings]
    if len(shapes[0]) != 2 or len(set(shapes)) != 1:
        msg = f"{objective}: embeddings have shapes {shapes}; give equal ones (batch, dim)"
        raise ObjectiveError(msg)
    rows = shapes[0][0]
    if rows < least:
        msg = f"{objective}: the batch has {rows} row(s) and at least {least} are needed"
        raise ObjectiveError(msg)
    if participants is not None and tuple(participants.shape) != (rows,):
        msg = (
            f"{objective}: participants have shape {tuple(participants.shape)}; "
            f"give one number for each of the {rows} rows"
        )
        raise ObjectiveError(msg)
