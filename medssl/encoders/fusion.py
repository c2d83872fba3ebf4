"""A transformer in which the cells of a table's row look at the places of an image."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from medssl.encoders.attention import AttentionBlock, initialise


class MultimodalFusion(nn.Module):
    """TIP's multimodal interaction (arXiv 2407.07582): cells attend to cells, then to the image.

    Used while pretraining, left out of the bundle.

    Args:
        image: Channels of the image's feature map.
        table: Width of the table's tokens.
        width: Of the tokens here.
        depth: Transformer blocks.
        heads: Of the attention; they divide the width.

    >>> import torch
    >>> fuse = MultimodalFusion(image=8, table=12, width=16, depth=2, heads=4)
    >>> fuse(torch.zeros(2, 5, 12), torch.zeros(2, 8, 7, 7), torch.ones(2, 5).bool()).shape
    torch.Size([2, 5, 16])
    """

    def __init__(self, *, image: int, table: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.image = nn.Linear(image, width)
        self.image_norm = nn.LayerNorm(width)
        self.table = nn.Linear(table, width) if table != width else nn.Identity()
        self.blocks = nn.ModuleList(
            AttentionBlock(width, heads=heads, context=True) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        initialise(self)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens table"],
        feature_map: Float[Tensor, "batch channels rows columns"],
        visible: Bool[Tensor, "batch tokens"],
    ) -> Float[Tensor, "batch tokens width"]:
        """Tokens of a row that have seen an image.

        Args:
            tokens: Of the table's encoder, the class token first.
            feature_map: Of the image's encoder.
            visible: Tokens that others see; the published code shows missing cells too.
        """
        places = self.image_norm(self.image(feature_map.flatten(2).transpose(1, 2)))
        mixed = self.table(tokens)
        for block in self.blocks:
            mixed = block(mixed, visible, places)
        out: Tensor = self.norm(mixed)
        return out
