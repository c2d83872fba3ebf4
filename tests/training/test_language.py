import itertools
import math

import numpy as np
import pytest
import torch

from medssl.batches import Tokens
from medssl.encoders.language_head import LanguageHead
from medssl.encoders.text_transformer import TextTransformerConfig
from medssl.errors import ObjectiveError
from medssl.objectives.masked_language import (
    NOT_MASKED,
    masked_batch,
    masked_language_loss,
    unigram_surprise,
)
from medssl.text.tokenizer import train_tokenizer
from medssl.training.language import (
    language_loss,
    perplexities,
    rise_and_fall,
    warm_up,
)
from medssl.training.text_batches import TextBatches

FINDINGS = ["effusion", "oedema", "nodule", "opacity", "fracture"]
PLACES = ["apex", "base", "hilum"]
TEXTS = [
    text
    for finding, place, side in itertools.product(FINDINGS, PLACES, ("left", "right"))
    for text in (
        f"there is a {finding} at the {side} {place} and the {side} lung is otherwise clear",
        f"no {finding}",
        f"no {finding} is seen in the {side} lung",
    )
]
TOKENIZER = train_tokenizer(TEXTS, vocabulary=100)
SETTINGS = {"steps": 80, "batch_size": 16, "learning_rate": 5e-3, "seed": 3, "share": 0.25}


def build(dropout=0.0):
    torch.manual_seed(0)
    config = TextTransformerConfig(width=32, heads=2, depth=2, tokens=24, dropout=dropout)
    return config.resolved(TOKENIZER.size).build()


def batches(size=8, seed=0, texts=TEXTS):
    return TextBatches(TOKENIZER, texts, tokens=24, batch_size=size, seed=seed)


def test_the_encoder_learns_to_guess():
    encoder = build()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(TEXTS))
    seen, unseen = ([TEXTS[i] for i in part] for part in (order[:70], order[70:]))
    steps = []
    result = warm_up(
        encoder, TOKENIZER, seen, held_out=unseen,
        progress=lambda step, metrics: steps.append((step, metrics)), **SETTINGS,
    )  # fmt: skip
    assert [step for step, _ in steps] == list(range(1, 81))
    losses = [metrics["loss"] for _, metrics in steps]
    assert result["first_loss"] == pytest.approx(np.mean(losses[:10]))
    assert result["last_loss"] == pytest.approx(np.mean(losses[-10:]))
    assert result["last_loss"] < 0.6 * result["first_loss"]
    assert result["perplexity"] < 0.5 * result["unigram_perplexity"]


def test_it_repeats_and_leaves_no_trace():
    first, second = build(dropout=0.1).eval(), build(dropout=0.1).eval()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    settings = {**SETTINGS, "steps": 4}
    one = warm_up(first, TOKENIZER, TEXTS, held_out=TEXTS[:9], **settings)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    two = warm_up(second, TOKENIZER, TEXTS, held_out=TEXTS[:9], **settings)
    assert one == two
    state = second.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())
    assert not first.training
    other = warm_up(build(), TOKENIZER, TEXTS, **{**settings, "seed": 4})
    assert other["last_loss"] != one["last_loss"]
    assert set(other) == {"first_loss", "last_loss"}


def test_frozen_weights_stay():
    encoder = build()
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_("embeddings" not in name)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    warm_up(encoder, TOKENIZER, TEXTS, **{**SETTINGS, "steps": 2})
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]) == ("embeddings" in name), name


@pytest.mark.parametrize(("rate", "step"), [(1e-3, 0), (1e38, 1)])
def test_a_loss_that_is_not_finite_names_its_step(rate, step):
    encoder = build()
    if step == 0:
        with torch.no_grad():
            encoder.word_embeddings[7] = torch.nan
    with pytest.raises(ObjectiveError, match=f"step {step}: the masked-language loss is nan"):
        warm_up(encoder, TOKENIZER, TEXTS, **{**SETTINGS, "learning_rate": rate})


def pieces():
    """Numbers of the word pieces of each text, without `[CLS]` and `[SEP]`."""
    return [TOKENIZER.encode([text], tokens=24)[0][0, 1:-1].tolist() for text in TEXTS]


def test_a_network_that_knows_the_counts_alone_is_the_baseline():
    encoder = build()
    surprise = unigram_surprise(batches().tokens, TOKENIZER)
    head = LanguageHead.for_encoder(encoder, surprise)
    with torch.no_grad():
        encoder.word_embeddings.zero_()
    found = perplexities(encoder, head, TOKENIZER, batches(), surprise=surprise, share=0.2, seed=0)
    assert found["perplexity"] == pytest.approx(found["unigram_perplexity"], rel=1e-5)
    # By hand, over the same masks' expectation: every word of every text is as likely masked.
    expected = math.exp(surprise[list(itertools.chain(*pieces()))].mean().item())
    assert found["unigram_perplexity"] == pytest.approx(expected, rel=0.1)


def test_guessing_looks_at_masked_places_alone():
    encoder = build().eval()
    head = LanguageHead.for_encoder(encoder)
    shown, targets = masked_batch(batches()[0], TOKENIZER, share=0.3, seed=0)
    logits = head(encoder.hidden(shown), encoder.word_embeddings)
    expected = masked_language_loss(logits, targets)
    assert torch.allclose(language_loss(encoder, head, shown, targets), expected)
    nothing = language_loss(encoder, head, Tokens(*shown), torch.full_like(targets, NOT_MASKED))
    assert nothing.item() == 0


@pytest.mark.parametrize("steps", [1, 2, 10, 95])
def test_the_rate_rises_to_one_and_falls(steps):
    rates = [rise_and_fall(step, steps) for step in range(steps)]
    top = rates.index(max(rates))
    assert max(rates) == 1
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert min(rates) > 0
