"""What every encoder promises, by the kind of its input."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from medssl.batches import Cells, Tokens


class BaseEncoder(nn.Module, ABC):
    """Maps a batch of inputs to vectors.

    It promises: outputs of shape (batch, dim); the same output for an input whoever its neighbours
    are, in evaluation mode; initial weights that depend on torch's seed alone. It does not
    normalise its input and holds no projection head.

    Attributes:
        dim: Length of an embedding.
    """

    dim: int

    @abstractmethod
    def layers(self) -> dict[str, nn.Module]:
        """Modules before the last whose outputs can be averaged to vectors, in order, by name.

        Their outputs are (batch, width, *places): time of a waveform, rows and columns of an image;
        those of texts and tables are (batch, places, width).
        """


class SignalEncoder(BaseEncoder):
    """Maps z-scored segments of any length to vectors.

    Attributes:
        channels: Channels that it expects.
    """

    channels: int

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch dim"]:
        """Embed a batch of segments."""


class ImageEncoder(BaseEncoder):
    """Maps normalised grey images of any size to vectors.

    Attributes:
        width: Channels of the feature map.
    """

    width: int

    @abstractmethod
    def feature_map(
        self, x: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch features rows columns"]:
        """The last feature map, whose mean over places is the embedding."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch dim"]:
        """Embed a batch of images."""


class TextEncoder(BaseEncoder):
    """Maps tokens to vectors; padding changes nothing."""

    @abstractmethod
    def hidden(self, x: Tokens) -> Float[Tensor, "batch tokens dim"]:
        """One vector for each token, before pooling."""

    @abstractmethod
    def forward(self, x: Tokens) -> Float[Tensor, "batch dim"]:
        """Embed a batch of texts."""


class TableEncoder(BaseEncoder):
    """Maps rows of a table to vectors; missing cells are left out, not filled in."""

    @abstractmethod
    def forward(self, x: Cells) -> Float[Tensor, "batch dim"]:
        """Embed a batch of rows."""
