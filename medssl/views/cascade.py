"""Views applied one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from medssl.views.base import Params, View
from medssl.views.functional import Batch
from medssl.views.seeds import derive_seed


class Cascade:
    """Views in a fixed order, each with its own coin.

    Args:
        views: Views with different names, in the order in which they are applied.

    >>> from medssl.views.signal import ChannelPermutation
    >>> cascade = Cascade([ChannelPermutation(probability=1.0)])
    >>> x = torch.arange(4.0).reshape(2, 2, 1)
    >>> drawn = cascade.draw(2, 2, 1, seed=0)
    >>> torch.equal(cascade.apply(x, drawn), cascade.apply(x, drawn))
    True
    """

    def __init__(self, views: Sequence[View]) -> None:
        names = [view.name for view in views]
        if len(set(names)) != len(names):
            msg = f"a cascade holds each view once, and this one has {', '.join(names)}"
            raise ValueError(msg)
        self.views = tuple(views)

    def draw(self, batch: int, channels: int, length: int, *, seed: int) -> dict[str, Params]:
        """Draw the parameters of every view for a batch.

        Each view has its own stream, so that removing one leaves the others' draws as they were.

        Args:
            batch: Number of segments.
            channels: Channels of each segment.
            length: Samples of each segment.
            seed: See `derive_seed`.
        """
        generator = torch.Generator()
        return {
            view.name: view.draw(
                batch, channels, length, generator.manual_seed(derive_seed(seed, view.name))
            )
            for view in self.views
        }

    def apply(self, x: Batch, params: dict[str, Params]) -> Batch:
        """Apply drawn parameters on the device of `x`, which is left as it was."""
        out = x.clone()
        for view in self.views:
            out = view.apply_(out, params[view.name])
        return out

    def __call__(self, x: Batch, *, seed: int) -> Batch:
        """Draw and apply."""
        return self.apply(x, self.draw(*x.shape, seed=seed))
