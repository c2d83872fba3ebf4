"""A transformer over patches of a signal, with fixed positions."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from medssl.config import StrictModel
from medssl.encoders.base import SignalEncoder


class ViT1dConfig(StrictModel):
    """Small by default; `configs/apple_ppg_vit.yaml` has one with 7.2 million parameters."""

    name: Literal["vit1d"] = "vit1d"
    channels: PositiveInt
    patch: PositiveInt = Field(default=32, description="samples in a patch, of all channels")
    width: PositiveInt = Field(default=128, description="of the tokens, and of the embedding")
    depth: PositiveInt = Field(default=4, description="transformer blocks")
    heads: PositiveInt = Field(default=4, description="of the attention; they divide width")
    mlp_ratio: PositiveFloat = Field(default=4.0, description="hidden width over width")

    @model_validator(mode="after")
    def _divides(self) -> ViT1dConfig:
        check_width(self.width, self.heads)
        return self

    def build(self) -> ViT1d:
        """The network, with fresh weights."""
        return ViT1d(self)


def check_width(width: int, heads: int) -> None:
    """Refuse token widths that do not fit the positions or the heads.

    Raises:
        ValueError: The width is odd, or no multiple of the heads.
    """
    if width % 2 or width % heads:
        msg = f"width {width} must be even and a multiple of heads ({heads})"
        raise ValueError(msg)


class ViT1d(SignalEncoder):
    """Patches, positions, pre-norm transformer blocks, final norm, mean over tokens.

    (Dosovitskiy et al., arXiv 2010.11929, in 1-D.) There is no class token, and positions are sines
    and cosines, so that any number of samples goes in. Where the samples are no multiple of a
    patch, one more patch ends with the last sample and overlaps the one before it: nothing is left
    out. A segment shorter than one patch is followed by zeros, the mean of a z-scored signal.

    >>> ViT1dConfig(channels=2, width=16).build()(torch.zeros(3, 2, 100)).shape
    torch.Size([3, 16])
    """

    def __init__(self, config: ViT1dConfig) -> None:
        super().__init__()
        self.channels = config.channels
        self.patch = config.patch
        self.dim = config.width
        self.patches = nn.Conv1d(config.channels, config.width, config.patch, stride=config.patch)
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(config.width, heads=config.heads, mlp_ratio=config.mlp_ratio)
                for _ in range(config.depth)
            )
        )
        self.norm = nn.LayerNorm(config.width)
        initialise(self)

    def layers(self) -> dict[str, nn.Module]:
        """The patches and every block but the last, whose tokens are normed and averaged."""
        blocks = list(self.blocks)[:-1]
        return {"patches": self.patches, **{f"block {i}": b for i, b in enumerate(blocks, start=1)}}

    def tokens(
        self, x: Float[Tensor, "batch channels time"]
    ) -> Float[Tensor, "batch patches width"]:
        """One token per patch, its position added; no token knows of another patch."""
        time = x.shape[-1]
        if time < self.patch:
            x = nn.functional.pad(x, (0, self.patch - time))
        whole, tail = divmod(max(time, self.patch), self.patch)
        places = torch.arange(whole, dtype=torch.float32, device=x.device)
        if tail:
            x = torch.cat([x[..., : whole * self.patch], x[..., -self.patch :]], dim=-1)
            places = torch.cat([places, places.new_tensor([time / self.patch - 1])])
        tokens: Tensor = self.patches(x).transpose(1, 2)
        return tokens + positions(places, self.dim)

    def encode(
        self, tokens: Float[Tensor, "batch patches width"]
    ) -> Float[Tensor, "batch patches width"]:
        """Let tokens attend to each other, whichever of a segment's they are."""
        features: Tensor = self.norm(self.blocks(tokens.transpose(1, 2)).transpose(1, 2))
        return features

    def forward(self, x: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch dim"]:
        """Embed a batch of segments of any length."""
        return self.encode(self.tokens(x)).mean(dim=1)


class TransformerBlock(nn.Module):
    """Attention and a two-layer network, each on normed tokens and added to them.

    Args:
        width: Of the tokens.
        heads: Of the attention.
        mlp_ratio: Hidden width over width.
    """

    def __init__(self, width: int, *, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        # A bias of the keys shifts all scores of a query alike, and would change nothing.
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        hidden = max(1, round(mlp_ratio * width))
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "batch width time"]) -> Float[Tensor, "batch width time"]:
        """Transform features; the time axis is last, as in every encoder, and no copy is made."""
        tokens = x.transpose(1, 2)
        tokens = tokens + self._attend(self.attention_norm(tokens))
        out: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return out.transpose(1, 2)

    def _attend(
        self, tokens: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch time width"]:
        batch, time, width = tokens.shape
        parts = self.query_key_value(tokens).reshape(
            batch, time, 3, self.heads, width // self.heads
        )
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, time, width))
        return out


def positions(places: Float[Tensor, " patches"], width: int) -> Float[Tensor, "patches width"]:
    r"""Sines and cosines of $p / 10000^{2i/\text{width}}$ (Vaswani et al., arXiv 1706.03762).

    Args:
        places: Positions p, counted in patches; they need not be whole.
        width: Even; the first half are sines.

    >>> positions(torch.tensor([0.0, 1.0]), 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=places.device) / width
    angles = places[:, None] * torch.exp(-math.log(10_000.0) * exponents)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def initialise(network: nn.Module) -> None:
    """Xavier weights and biases of zero, the patches' convolution as the linear map it is."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
