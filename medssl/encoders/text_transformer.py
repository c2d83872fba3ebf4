"""A transformer over the tokens of a text: small and fresh, or from a local folder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

from jaxtyping import Bool, Float
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from medssl.batches import Tokens
from medssl.config import LocalPath, StrictModel
from medssl.encoders.base import TextEncoder
from medssl.encoders.hugging_face import (
    build_network,
    check_architecture,
    find_blocks,
    load_network,
    longest,
    read_architecture,
    sizes,
)
from medssl.errors import ConfigError, ContractError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Pooling = Literal["max", "mean", "first"]
_BERT_WIDTH: Final = 768


class TextTransformerConfig(StrictModel):
    """A small BERT by default; `folder` takes any encoder in the layout of Hugging Face.

    A vocabulary's size is known once its tokenizer is trained: `resolved` puts it in. It also
    writes down what a folder says, so that a bundle is loaded without the folder.
    """

    name: Literal["text_transformer"] = "text_transformer"
    vocabulary: int = Field(
        4000, gt=6, description="word pieces to train, with 6 special tokens; not with a folder"
    )
    width: PositiveInt = Field(128, description="of tokens and embedding; not with a folder")
    depth: PositiveInt = Field(2, description="transformer layers; not with a folder")
    heads: PositiveInt = Field(4, description="of the attention; not with a folder")
    feedforward: PositiveInt | None = Field(
        None, description="hidden width of a layer, None is 4 × width; not with a folder"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="not with a folder, which has its own")
    tokens: int = Field(64, ge=2, description="the longest text; later tokens are cut off")
    pooling: Pooling = Field("max", description="over all tokens that are no padding")
    folder: LocalPath | None = Field(
        None, description="config.json, weights and tokenizer of a Hugging Face encoder"
    )
    freeze_embeddings: bool = Field(False, description="keep those of the folder")
    freeze_layers: NonNegativeInt = Field(0, description="first layers to keep; ConVIRT: 6 of 12")
    architecture: dict[str, Any] | None = Field(
        None, description="the network as transformers describes it; bundles keep it"
    )

    @model_validator(mode="after")
    def _fits(self) -> TextTransformerConfig:
        if self.folder is not None and self.architecture is not None:
            msg = "folder and architecture describe the network twice: give one"
            raise ValueError(msg)
        if self.architecture is not None:
            check_architecture(self.architecture)
        elif self.folder is None and (self.freeze_embeddings or self.freeze_layers):
            msg = "freezing keeps the weights of a folder, and there is none: give encoder.folder"
            raise ValueError(msg)
        if self.width % self.heads:
            msg = f"width {self.width} must be a multiple of heads ({self.heads})"
            raise ValueError(msg)
        return self

    def build(self) -> TextTransformer:
        """The network: with the folder's weights where there is one, with fresh ones otherwise.

        Raises:
            ConfigError: The folder, or what stands in it, cannot be used.
        """
        return TextTransformer(self)

    def resolved(self, tokenizer_size: int) -> TextTransformerConfig:
        """The same network for a tokenizer at hand, described without a folder.

        Without a folder, build this one. With one, build from the folder, and save this one with
        the bundle: it has the same tensors.

        Args:
            tokenizer_size: Tokens of the tokenizer.

        Raises:
            ConfigError: The folder cannot be used, or has fewer tokens than the tokenizer.
        """
        if self.folder is None:
            architecture = self.architecture or self.bert(tokenizer_size)
        else:
            architecture = read_architecture(self.folder)
        known = sizes(architecture)
        if tokenizer_size > known["vocabulary"]:
            msg = (
                f"the tokenizer has {tokenizer_size} tokens and the encoder {known['vocabulary']}: "
                "use the tokenizer that came with the encoder"
            )
            raise ConfigError(msg)
        return self.model_copy(update={"folder": None, "architecture": architecture, **known})

    def bert(self, size: int) -> dict[str, Any]:
        """The small network as transformers describes it, for `size` tokens."""
        return {
            "model_type": "bert",
            "vocab_size": size,
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": self.feedforward or 4 * self.width,
            "hidden_dropout_prob": self.dropout,
            "attention_probs_dropout_prob": self.dropout,
            "max_position_embeddings": self.tokens,
            # BERT's 0.02 at BERT's width: a narrow network with 0.02 attends to nothing for long.
            "initializer_range": 0.02 * math.sqrt(_BERT_WIDTH / self.width),
            "pad_token_id": None,  # padding is masked; any token may stand at row 0
        }


class TextTransformer(TextEncoder):
    """A network of `transformers`, its tokens pooled to one vector.

    By default as in ConVIRT (arXiv 2010.00747): the element-wise maximum over all output vectors
    of BERT (arXiv 1810.04805), those of `[CLS]` and `[SEP]` among them and padding left out.
    Frozen weights get no gradient. Dropout stays on in frozen layers while training: the paper
    freezes weights alone.

    >>> import torch
    >>> config = TextTransformerConfig(vocabulary=50, width=16, heads=2)
    >>> ids = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])
    >>> config.build()(Tokens(ids, ids != 0)).shape
    torch.Size([2, 16])
    """

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        self.tokens = config.tokens
        self.pooling: Pooling = config.pooling
        self.network = _network(config)
        self.dim = int(self.network.config.hidden_size)
        embeddings, blocks = find_blocks(self.network)
        if config.freeze_layers > len(blocks):
            msg = (
                f"encoder.freeze_layers is {config.freeze_layers} and the encoder has "
                f"{len(blocks)} layers"
            )
            raise ConfigError(msg)
        frozen = [embeddings] if config.freeze_embeddings else []
        for module in (*frozen, *blocks[: config.freeze_layers]):
            module.requires_grad_(False)

    @property
    def word_embeddings(self) -> Float[Tensor, "vocabulary width"]:
        """One row for each token; a masked-language head is tied to them."""
        weight = self.network.get_input_embeddings().weight
        assert isinstance(weight, Tensor)
        return weight

    def layers(self) -> dict[str, nn.Module]:
        """The embeddings and every layer but the last, whose tokens are pooled."""
        embeddings, blocks = find_blocks(self.network)
        # Some blocks give a tuple; their last part, where it has a name, gives the tensor in it.
        before = [getattr(block, "output", block) for block in blocks[:-1]]
        return {
            "embeddings": embeddings,
            **{f"layer {i}": module for i, module in enumerate(before, start=1)},
        }

    def hidden(self, x: Tokens) -> Float[Tensor, "batch tokens dim"]:
        """One vector for each token; those at padding mean nothing.

        Raises:
            ContractError: The texts are longer than the encoder takes.
        """
        if x.ids.shape[1] > self.tokens:
            msg = (
                f"the texts have {x.ids.shape[1]} tokens and the encoder takes {self.tokens}: "
                "tokenise with that limit"
            )
            raise ContractError(msg)
        output: Tensor = self.network(
            input_ids=x.ids, attention_mask=x.mask.long()
        ).last_hidden_state
        return output

    def forward(self, x: Tokens) -> Float[Tensor, "batch dim"]:
        """Embed a batch of texts of one token or more."""
        return pool(self.hidden(x), x.mask, self.pooling)


def pool(
    hidden: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"], how: Pooling
) -> Float[Tensor, "batch dim"]:
    r"""One vector from the vectors of the tokens that are no padding.

    $\max_t h_t$ (element by element), $\frac1n \sum_t h_t$, or $h_1$. A text without any token
    has no maximum and no mean: what comes out is not finite.

    Args:
        hidden: One vector for each token.
        mask: True at tokens that are no padding.
        how: `"max"`, `"mean"` or `"first"`.

    >>> import torch
    >>> hidden = torch.tensor([[[1.0, 4.0], [3.0, 2.0], [9.0, 9.0]]])
    >>> pool(hidden, torch.tensor([[True, True, False]]), "max")
    tensor([[3., 4.]])
    >>> pool(hidden, torch.tensor([[True, True, False]]), "mean")
    tensor([[2., 3.]])
    """
    if how == "first":
        return hidden[:, 0]
    seen = mask[..., None]
    if how == "max":
        return hidden.masked_fill(~seen, -math.inf).amax(dim=1)
    return hidden.masked_fill(~seen, 0).sum(dim=1) / seen.sum(dim=1)


def _network(config: TextTransformerConfig) -> PreTrainedModel:
    if config.folder is not None:
        network = load_network(config.folder)
    else:
        network = build_network(config.architecture or config.bert(config.vocabulary))
    reach = longest(network)
    if reach is not None and config.tokens > reach:
        msg = f"encoder.tokens is {config.tokens} and the encoder takes {reach} at most: lower it"
        raise ConfigError(msg)
    return network
