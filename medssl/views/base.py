"""What a view is: parameters drawn once from a seed, and a pure function that applies them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from medssl.errors import ConfigError
from medssl.views.functional import Batch

Params = dict[str, Tensor]
"""One tensor per parameter, its first axis the batch; `.tolist()` writes it as JSON."""

APPLIED = "applied"
"""Key of the coin: which segments the view changes."""


class View(ABC):
    """A stochastic view of a batch of segments.

    A subclass says how many uniform numbers a segment needs (`width`), how they become parameters
    (`parameters`), and what is done to the segments whose coin fell (`transform`). All parameters
    of one segment come from one row of uniform numbers, so they depend on the generator's seed and
    on the segment's position alone, not on the batch size or on the device.

    Args:
        probability: Chance that a segment is changed.
    """

    name: ClassVar[str]

    def __init__(self, *, probability: float) -> None:
        if not 0.0 <= probability <= 1.0:
            msg = f"{self.name}: probability is {probability}; give a number in [0, 1]"
            raise ConfigError(msg)
        self.probability = probability

    @abstractmethod
    def width(self, channels: int) -> int:
        """How many uniform numbers one segment's parameters need."""

    @abstractmethod
    def parameters(
        self, uniform: Float64[Tensor, "batch width"], *, channels: int, length: int
    ) -> Params:
        """Turn uniform numbers in [0, 1) into parameters."""

    @abstractmethod
    def transform(self, x: Batch, params: Params) -> Batch:
        """Change every segment of `x`; parameters are on its device. Must not write into `x`."""

    def draw(self, batch: int, channels: int, length: int, generator: torch.Generator) -> Params:
        """Draw the parameters for a batch, coin included.

        Args:
            batch: Number of segments.
            channels: Channels of each segment.
            length: Samples of each segment.
            generator: Generator on the CPU.
        """
        uniform = torch.rand(
            batch, 1 + self.width(channels), dtype=torch.float64, generator=generator
        )
        params = self.parameters(uniform[:, 1:], channels=channels, length=length)
        return {APPLIED: uniform[:, 0] < self.probability, **params}

    def apply(self, x: Batch, params: Params) -> Batch:
        """Apply drawn parameters; `x` is left as it was.

        Args:
            x: Segments on any device.
            params: What `draw` gave for a batch of this shape.
        """
        return self.apply_(x.clone(), params)

    def apply_(self, x: Batch, params: Params) -> Batch:
        """As `apply`, writing into `x`; only the segments whose coin fell are computed."""
        applied = params[APPLIED]
        if len(applied) != len(x):
            msg = f"{self.name}: parameters for {len(applied)} segments, but the batch has {len(x)}"
            raise ValueError(msg)
        # The coins stay on the CPU, so that choosing rows never waits for an accelerator.
        rows = applied.cpu().nonzero().flatten()
        if not len(rows):
            return x
        chosen = {
            key: value[rows.to(value.device)].to(x.device)
            for key, value in params.items()
            if key != APPLIED
        }
        at = rows.to(x.device)
        x.index_copy_(0, at, self.transform(x.index_select(0, at), chosen))
        return x


def normal(uniform: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Standard normal numbers from uniform ones, one for one.

    `torch.randn` fills blocks, so that a number would depend on how many are drawn; this does not.

    >>> normal(torch.tensor([0.5, 0.975], dtype=torch.float64))
    tensor([0.0000, 1.9600], dtype=torch.float64)
    """
    tiny = 2.0**-54
    numbers: Tensor = torch.special.ndtri(uniform.clamp(tiny, 1 - 2 * tiny))
    return numbers


def to_json(params: Mapping[str, Params]) -> dict[str, dict[str, Any]]:
    """Drawn parameters as plain lists."""
    return {
        view: {key: value.tolist() for key, value in drawn.items()}
        for view, drawn in params.items()
    }


def from_json(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Params]:
    """The inverse of `to_json`: parameters that replay exactly what was applied."""
    return {
        view: {key: torch.tensor(value) for key, value in drawn.items()}
        for view, drawn in values.items()
    }
