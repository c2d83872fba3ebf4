"""The head of masked language modelling: used while pretraining, left out of the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

if TYPE_CHECKING:
    from medssl.batches import Tokens
    from medssl.encoders.text_transformer import TextTransformer


class LanguageHead(nn.Module):
    r"""Says which token stood at a masked place.

    $\text{logits} = E \cdot \text{LayerNorm}(\text{GELU}(W h + c)) + b$, as in BERT (arXiv
    1810.04805), where E are the encoder's word embeddings: they are given, so that they are
    trained in one place.

    Args:
        dim: Length of a token's vector.
        width: Length of a word embedding.
        vocabulary: Number of word embeddings.

    >>> embeddings = torch.zeros(50, 16)
    >>> LanguageHead(32, width=16, vocabulary=50)(torch.zeros(3, 32), embeddings).shape
    torch.Size([3, 50])
    """

    def __init__(self, dim: int, *, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    @classmethod
    def for_encoder(
        cls, encoder: TextTransformer, surprise: Float[Tensor, " tokens"] | None = None
    ) -> LanguageHead:
        """A fresh head for an encoder, drawn from torch's global generator.

        Args:
            encoder: To whose word embeddings it is tied.
            surprise: −log p of each token: the head starts by guessing common tokens, rather than
                spend its first hundreds of steps on learning which they are.
        """
        vocabulary, width = encoder.word_embeddings.shape
        head = cls(encoder.dim, width=width, vocabulary=vocabulary)
        if surprise is not None:
            with torch.no_grad():
                head.bias[: len(surprise)] = -surprise
        return head

    def guess(
        self, encoder: TextTransformer, shown: Tokens, masked: Bool[Tensor, "batch tokens"]
    ) -> Float[Tensor, "places vocabulary"]:
        """Logits of every token at the masked places of texts; no others are worked out."""
        logits: Tensor = self(encoder.hidden(shown)[masked], encoder.word_embeddings)
        return logits

    def forward(
        self,
        hidden: Float[Tensor, "*places dim"],
        embeddings: Float[Tensor, "vocabulary width"],
    ) -> Float[Tensor, "*places vocabulary"]:
        """Logits of every token."""
        features = self.norm(nn.functional.gelu(self.dense(hidden)))
        return nn.functional.linear(features, embeddings, self.bias)
