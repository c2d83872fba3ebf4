"""Masked language modelling: hide some tokens of a text, and have them guessed from the others."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medssl.batches import Tokens
from medssl.errors import ObjectiveError
from medssl.objectives.rows import at_least_single, full_precision

if TYPE_CHECKING:
    from medssl.text.tokenizer import Tokenizer

NOT_MASKED: Final = -1
"""The target of a token that need not be guessed."""
_HIDDEN: Final = 0.8
_REPLACED: Final = 0.1


def mask_tokens(
    tokens: Tokens,
    uniforms: Float[Tensor, "3 batch tokens"],
    *,
    share: float,
    mask_id: int,
    special_ids: Collection[int],
    size: int,
) -> tuple[Tokens, Int[Tensor, "batch tokens"]]:
    """Choose a share of every text's tokens; hide 80 %, replace 10 %, leave 10 % as they are.

    (BERT, arXiv 1810.04805, section 3.1.) Of a text with n ordinary tokens, `share` × n are
    chosen, rounded, and at least one. Replacements are ordinary tokens, all equally likely.

    Args:
        tokens: Texts.
        uniforms: In [0, 1): which tokens are chosen, what becomes of them, by what they are
            replaced. The result is a pure function of them.
        share: Of the ordinary tokens, in (0, 1].
        mask_id: Stands where a token is hidden.
        special_ids: Tokens that are neither chosen nor put in; padding is not chosen either.
        size: Tokens of the vocabulary.

    Returns:
        The texts to show, and the tokens to guess: `NOT_MASKED` where there is nothing to guess.

    Raises:
        ObjectiveError: The share is out of range, or the uniforms have another shape.

    >>> tokens = Tokens(torch.tensor([[0, 5, 6, 1]]), torch.ones(1, 4, dtype=torch.bool))
    >>> uniforms = torch.tensor([[[0.1, 0.9, 0.2, 0.1]], [[0.5] * 4], [[0.5] * 4]])
    >>> shown, targets = mask_tokens(
    ...     tokens, uniforms, share=0.5, mask_id=2, special_ids=[0, 1, 2], size=7
    ... )
    >>> shown.ids.tolist(), targets.tolist()
    ([[0, 5, 2, 1]], [[-1, -1, 6, -1]])
    """
    if not 0 < share <= 1 or tuple(uniforms.shape) != (3, *tokens.ids.shape):
        msg = (
            f"mask_tokens: share {share} and uniforms of shape {tuple(uniforms.shape)}; give a "
            f"share in (0, 1] and uniforms of shape {(3, *tokens.ids.shape)}"
        )
        raise ObjectiveError(msg)
    order, fate, replacement = uniforms
    special = torch.tensor(sorted(special_ids), device=tokens.ids.device)
    eligible = tokens.mask & ~torch.isin(tokens.ids, special)
    count = (eligible.sum(dim=1, keepdim=True) * share + 0.5).floor().clamp(min=1)
    rank = order.masked_fill(~eligible, torch.inf).argsort(dim=1, stable=True).argsort(dim=1)
    chosen = eligible & (rank < count)
    every = torch.arange(size, device=tokens.ids.device)
    ordinary = every[~torch.isin(every, special)]
    # Single precision may round the last place up to the one behind it.
    other = ordinary[(replacement * len(ordinary)).long().clamp(max=len(ordinary) - 1)]
    ids = torch.where(chosen & (fate < _HIDDEN + _REPLACED), other, tokens.ids)
    ids = torch.where(chosen & (fate < _HIDDEN), mask_id, ids)
    return Tokens(ids, tokens.mask), torch.where(chosen, tokens.ids, NOT_MASKED)


def masked_batch(
    tokens: Tokens, tokenizer: Tokenizer, *, share: float, seed: int
) -> tuple[Tokens, Int[Tensor, "batch tokens"]]:
    """Mask a batch of texts with uniforms drawn from a seed.

    Args:
        tokens: Texts, on any device; the draw is the same on all.
        tokenizer: That made them.
        share: Of the tokens to choose.
        seed: Of this batch.

    Returns:
        As `mask_tokens`.
    """
    generator = torch.Generator().manual_seed(seed)
    uniforms = torch.rand(3, *tokens.ids.shape, generator=generator)
    return mask_tokens(
        tokens, uniforms.to(tokens.ids.device), share=share, mask_id=tokenizer.mask_id,
        special_ids=tokenizer.special_ids, size=tokenizer.size,
    )  # fmt: skip


def masked_language_loss(
    logits: Float[Tensor, "*places vocabulary"], targets: Int[Tensor, "*places"]
) -> Float[Tensor, ""]:
    r"""Mean cross-entropy of the masked tokens.

    $L = -\frac1{|M|} \sum_{t \in M} \log \mathrm{softmax}(z_t)_{y_t}$ over the masked places M
    of all texts; without any, the loss is 0 and so is its gradient. Computed in single precision
    (float64 stays).

    Args:
        logits: A score for every token at every place.
        targets: The tokens that stood there, `NOT_MASKED` elsewhere.

    Raises:
        ObjectiveError: The shapes do not belong together.

    >>> masked_language_loss(torch.zeros(1, 3, 4), torch.tensor([[2, -1, 0]]))
    tensor(1.3863)
    """
    if logits.shape[:-1] != targets.shape:
        msg = (
            f"masked_language_loss: logits have shape {tuple(logits.shape)} and targets "
            f"{tuple(targets.shape)}; give (…, vocabulary) and (…)"
        )
        raise ObjectiveError(msg)
    masked = targets != NOT_MASKED
    with full_precision(logits):
        # Chosen first: 0 × the logits of a text that is not masked could be 0 × inf.
        chosen = at_least_single(logits[masked])
        total = torch.nn.functional.cross_entropy(chosen, targets[masked], reduction="sum")
        return total / masked.sum().clamp(min=1)


def unigram_surprise(tokens: Tokens, tokenizer: Tokenizer) -> Float[Tensor, " vocabulary"]:
    r"""$-\log p$ of each token, where p is how often it stands in texts, plus once.

    Args:
        tokens: Texts; special tokens in them are not counted.
        tokenizer: That made them.
    """
    words = tokens.ids[tokens.mask]
    counts = torch.bincount(words, minlength=tokenizer.size).float()
    counts[sorted(tokenizer.special_ids)] = 0
    counts += 1
    return -(counts / counts.sum()).log()
