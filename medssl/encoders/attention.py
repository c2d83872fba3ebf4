"""A transformer block whose tokens may be hidden from each other and may look at a context."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Tokens = Float[Tensor, "batch tokens width"]


class Attention(nn.Module):
    """Multi-head attention of some tokens to others (Vaswani et al., arXiv 1706.03762).

    Args:
        width: Of both.
        heads: They divide the width.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # A bias of the keys shifts all scores of a query alike, and would change nothing.
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.project = nn.Linear(width, width)

    def forward(
        self,
        tokens: Tokens,
        others: Float[Tensor, "batch others width"],
        allowed: Bool[Tensor, "batch 1 tokens others"] | None = None,
    ) -> Tokens:
        """What each token takes from the others that it may see; at least one for each."""
        batch, count, width = tokens.shape
        shape = (batch, -1, self.heads, width // self.heads)
        query = self.query(tokens).reshape(shape).transpose(1, 2)
        key, value = (
            part.reshape(shape).transpose(1, 2) for part in self.key_value(others).chunk(2, dim=-1)
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, count, width))
        return out


class AttentionBlock(nn.Module):
    """Attention among tokens, then to a context if there is one, then a two-layer network.

    Each works on normed tokens and is added to them. A token that is not visible is seen by itself
    alone: nothing that it holds reaches another, and no row of the attention is ever empty.

    Args:
        width: Of the tokens.
        heads: Of the attention.
        dropout: Of what is added.
        context: Whether there is a context, of the same width.
    """

    def __init__(
        self, width: int, *, heads: int, dropout: float = 0.0, context: bool = False
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attend = Attention(width, heads=heads)
        self.look_norm = nn.LayerNorm(width) if context else None
        self.look = Attention(width, heads=heads) if context else None
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Tokens,
        visible: Bool[Tensor, "batch tokens"],
        context: Float[Tensor, "batch places width"] | None = None,
    ) -> Tokens:
        """Transform tokens.

        Args:
            tokens: They, and a token that is not visible too, which gathers from the others.
            visible: Tokens that the others see.
            context: Tokens of something else, such as an image, all of which are seen.
        """
        itself = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
        allowed = (visible[:, None, :] | itself)[:, None]
        normed = self.norm(tokens)
        tokens = tokens + self.dropout(self.attend(normed, normed, allowed))
        if self.look is not None and self.look_norm is not None and context is not None:
            tokens = tokens + self.dropout(self.look(self.look_norm(tokens), context))
        out: Tensor = tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))
        return out


def initialise(network: nn.Module) -> None:
    """Xavier weights and biases of zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
