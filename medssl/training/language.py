"""Masked-language warm-up: a text encoder reads reports alone before it meets other modalities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from medssl.batches import Tokens
from medssl.encoders.language_head import LanguageHead
from medssl.encoders.text_transformer import TextTransformer
from medssl.errors import ObjectiveError
from medssl.methods.masked_language import language_loss
from medssl.objectives.masked_language import (
    NOT_MASKED,
    masked_batch,
    unigram_surprise,
)
from medssl.training.text_batches import TextBatches
from medssl.views.seeds import derive_seed

if TYPE_CHECKING:
    from medssl.text.tokenizer import Tokenizer
    from medssl.training.monitors import Report

_RISING: Final = 0.1
_DECAY: Final = 0.01
_CLIP: Final = 1.0
_AVERAGED: Final = 10


def warm_up(
    encoder: TextTransformer,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    share: float = 0.15,
    seed: int,
    held_out: Sequence[str] = (),
    progress: Report | None = None,
) -> dict[str, float]:
    """Train an encoder to guess masked tokens of texts (BERT, arXiv 1810.04805), in place.

    AdamW, its rate rising over the first tenth of the steps and falling to zero; output weights
    tied to the word embeddings. The result depends on the encoder, the texts and the seed alone.
    Frozen weights stay as they are.

    Args:
        encoder: Trained where it is; its mode is left as it was.
        tokenizer: Of the encoder.
        texts: Reports, or sentences of them, of training participants.
        steps: Batches.
        batch_size: Texts in a batch.
        learning_rate: The highest.
        share: Of the tokens of a text that are masked.
        seed: Of head, order, masks and dropout.
        held_out: Texts of other participants, to measure on.
        progress: Called with (step, metrics) after every step.

    Returns:
        `first_loss` and `last_loss`, each the mean of up to ten steps. With held-out texts also
        `perplexity` and `unigram_perplexity`, see `perplexities`.

    Raises:
        ObjectiveError: A loss is not finite; names the step.
        StageError: There are no texts with words.
    """
    batches = TextBatches(tokenizer, texts, tokens=encoder.tokens, batch_size=batch_size, seed=seed)
    surprise = unigram_surprise(batches.tokens, tokenizer)
    device = encoder.word_embeddings.device
    was_training = encoder.training
    losses: list[float] = []
    with _own_randomness(device):
        torch.manual_seed(derive_seed(seed, "language head"))
        head = LanguageHead.for_encoder(encoder, surprise).to(device)
        optimiser = _optimiser([encoder, head], learning_rate)
        encoder.train()
        for step in range(steps):
            shown, targets = _masked(batches[step], tokenizer, device, share, seed, step)
            torch.manual_seed(derive_seed(seed, "dropout", step))
            loss = language_loss(encoder, head, shown, targets)
            losses.append(_finite(loss, step))
            rate = learning_rate * rise_and_fall(step, steps)
            _move(optimiser, loss, rate)
            if progress is not None:
                progress(step + 1, {"loss": losses[-1], "learning_rate": rate})
    encoder.train(was_training)
    averaged = max(1, min(_AVERAGED, len(losses) // 2))
    result = {
        "first_loss": float(np.mean(losses[:averaged])),
        "last_loss": float(np.mean(losses[-averaged:])),
    }
    if held_out:
        unseen = TextBatches(
            tokenizer, held_out, tokens=encoder.tokens, batch_size=batch_size, seed=seed
        )
        result |= perplexities(
            encoder, head, tokenizer, unseen, surprise=surprise, share=share, seed=seed
        )
    return result


def perplexities(
    encoder: TextTransformer,
    head: LanguageHead,
    tokenizer: Tokenizer,
    unseen: TextBatches,
    *,
    surprise: Float[Tensor, " vocabulary"],
    share: float,
    seed: int,
) -> dict[str, float]:
    r"""How many tokens a guess hesitates between, on the masked tokens of texts not seen.

    $\exp(-\frac1{|M|} \sum_{t \in M} \log p(y_t))$ over the masked tokens M. The baseline knows
    how often each token occurs, and nothing of the text.

    Args:
        encoder: Trained.
        head: Trained with it.
        tokenizer: Of the encoder.
        unseen: Texts to measure on, each once.
        surprise: Of each token in the texts that it was trained on, see `unigram_surprise`.
        share: Of the tokens of a text that are masked.
        seed: Of the masks.

    Returns:
        `perplexity` of the encoder and `unigram_perplexity` of the baseline.
    """
    device = encoder.word_embeddings.device
    total = baseline = 0.0
    masked = 0
    was_training = encoder.training
    encoder.eval()
    with torch.inference_mode():
        for step in range(len(unseen)):
            shown, targets = _masked(
                unseen[step], tokenizer, device, share, derive_seed(seed, "held out"), step
            )
            here = targets[targets != NOT_MASKED].cpu()
            total += float(language_loss(encoder, head, shown, targets)) * len(here)
            baseline += float(surprise[here].sum())
            masked += len(here)
    encoder.train(was_training)
    return {
        "perplexity": float(np.exp(total / masked)),
        "unigram_perplexity": float(np.exp(baseline / masked)),
    }


def rise_and_fall(step: int, steps: int) -> float:
    """What the learning rate is multiplied with: up over a tenth of the steps, then down to zero.

    >>> [rise_and_fall(step, 20) for step in (0, 1, 2, 11, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.05555555555555555]
    """
    rising = max(1, round(_RISING * steps))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / (steps - rising)


def _masked(
    tokens: Tokens, tokenizer: Tokenizer, device: torch.device, share: float, seed: int, step: int
) -> tuple[Tokens, Tensor]:
    shown, targets = masked_batch(
        tokens, tokenizer, share=share, seed=derive_seed(seed, "masked tokens", step)
    )
    return Tokens(*(part.to(device) for part in shown)), targets.to(device)


def _optimiser(modules: Sequence[nn.Module], learning_rate: float) -> torch.optim.AdamW:
    """AdamW that lets matrices decay, and biases and norms not."""
    free = [p for module in modules for p in module.parameters() if p.requires_grad]
    matrices = {"params": [p for p in free if p.ndim > 1], "weight_decay": _DECAY}
    vectors = {"params": [p for p in free if p.ndim < 2], "weight_decay": 0.0}
    return torch.optim.AdamW([matrices, vectors], lr=learning_rate)


def _move(optimiser: torch.optim.AdamW, loss: Tensor, rate: float) -> None:
    """One step down the gradient, whose length is limited."""
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    for group in optimiser.param_groups:
        group["lr"] = rate
    nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], _CLIP)
    optimiser.step()


def _finite(loss: Tensor, step: int) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        msg = f"step {step}: the masked-language loss is {value}; lower the learning rate"
        raise ObjectiveError(msg)
    return value


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
