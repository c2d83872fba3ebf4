"""The newest keys of a momentum teacher and whose they are; survives a checkpoint."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medssl.errors import ObjectiveError
from medssl.objectives.rows import check_rows, unit_rows


class KeyQueue(nn.Module):
    """A ring of the newest keys, each with the number of its participant.

    All of its state stands in persistent buffers, so that a resumed run continues with the same
    negatives (the memory bank of lightly 1.6 is left out of checkpoints, and drops keys where the
    ring closes). Participants must be numbered alike throughout a run, as `PairSampler` does.
    Across ranks, put in gathered keys: then every rank holds the same queue.

    Args:
        size: Most keys that are kept.
        dim: Length of a key.

    Raises:
        ObjectiveError: A size below 1.

    >>> queue = KeyQueue(3, 2)
    >>> queue.put(torch.eye(2), torch.tensor([4, 5]))
    >>> queue.put(torch.eye(2), torch.tensor([6, 7]))
    >>> queue.participants.tolist()
    [7, 5, 6]
    """

    keys: Float[Tensor, "size dim"]
    codes: Int[Tensor, " size"]
    pointer: Int[Tensor, ""]
    """The place that is written next."""
    filled: Int[Tensor, ""]

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            msg = f"KeyQueue: size {size} and dim {dim} must be at least 1"
            raise ObjectiveError(msg)
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("codes", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("pointer", torch.tensor(0))
        self.register_buffer("filled", torch.tensor(0))

    @property
    def remembered(self) -> Float[Tensor, "filled dim"]:
        """The keys, as unit rows, in no particular order; none at first."""
        return self.keys[: int(self.filled)]

    @property
    def participants(self) -> Int[Tensor, " filled"]:
        """Whose they are."""
        return self.codes[: int(self.filled)]

    @torch.no_grad()
    def put(self, keys: Float[Tensor, "batch dim"], participants: Int[Tensor, " batch"]) -> None:
        """Remember keys, in place of the oldest; of more than fit, the last.

        Args:
            keys: Teacher projections of any length.
            participants: Participant of each, as a number.

        Raises:
            ObjectiveError: Shapes do not fit.
        """
        check_rows("KeyQueue.put", keys, participants=participants)
        size, dim = self.keys.shape
        if keys.shape[1] != dim:
            msg = f"KeyQueue.put: keys have length {keys.shape[1]}; the queue holds {dim}"
            raise ObjectiveError(msg)
        newest = unit_rows(keys[-size:]).to(self.keys)
        places = (self.pointer + torch.arange(len(newest), device=self.keys.device)) % size
        self.keys[places] = newest
        self.codes[places] = participants[-size:].to(self.codes)
        self.pointer.copy_((self.pointer + len(newest)) % size)
        self.filled.copy_((self.filled + len(newest)).clamp(max=size))
