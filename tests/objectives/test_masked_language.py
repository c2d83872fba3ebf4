import collections
import math
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.batches import Tokens
from medssl.errors import ObjectiveError
from medssl.objectives.masked_language import (
    NOT_MASKED,
    mask_tokens,
    masked_batch,
    masked_language_loss,
    unigram_surprise,
)

SPECIAL = (0, 1, 2, 3, 4)
MASK, SIZE = 4, 50


def batch(*lengths, seed=0):
    """[CLS] words [SEP], padded with 0."""
    width = max(lengths) + 2
    ids = torch.zeros(len(lengths), width, dtype=torch.long)
    generator = torch.Generator().manual_seed(seed)
    for row, length in enumerate(lengths):
        ids[row, 0], ids[row, length + 1] = 2, 3
        ids[row, 1 : length + 1] = torch.randint(5, SIZE, (length,), generator=generator)
    return Tokens(ids, ids != 0)


def uniforms(tokens, seed=0):
    return torch.rand(3, *tokens.ids.shape, generator=torch.Generator().manual_seed(seed))


def mask(tokens, numbers, share=0.15):
    return mask_tokens(tokens, numbers, share=share, mask_id=MASK, special_ids=SPECIAL, size=SIZE)


def slow(tokens, numbers, share):
    """Token by token, as the docstring says."""
    shown, targets = tokens.ids.clone(), torch.full_like(tokens.ids, NOT_MASKED)
    ordinary = [i for i in range(SIZE) if i not in SPECIAL]
    for row, ids in enumerate(tokens.ids.tolist()):
        places = [p for p, i in enumerate(ids) if tokens.mask[row, p] and i not in SPECIAL]
        count = max(1, math.floor(len(places) * share + 0.5))
        for place in sorted(places, key=lambda p: numbers[0, row, p])[:count]:
            targets[row, place] = ids[place]
            fate = numbers[1, row, place].item()
            if fate < 0.8:
                shown[row, place] = MASK
            elif fate < 0.9:
                shown[row, place] = ordinary[int(numbers[2, row, place] * len(ordinary))]
    return shown, targets


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
def test_masking_equals_the_loop(lengths, share, seed):
    tokens = batch(*lengths, seed=seed)
    before = tokens.ids.clone()
    numbers = uniforms(tokens, seed)
    shown, targets = mask(tokens, numbers, share)
    ids, expected = slow(tokens, numbers, share)
    assert torch.equal(targets, expected)
    assert torch.equal(shown.ids, ids)
    assert torch.equal(tokens.ids, before)
    assert shown.mask is tokens.mask


def test_the_shares_are_those_of_bert():
    tokens = batch(*[40] * 2000)
    shown, targets = mask(tokens, uniforms(tokens))
    chosen = targets != NOT_MASKED
    assert (chosen.sum(dim=1) == 6).all()  # 15 % of 40
    before, after = tokens.ids[chosen], shown.ids[chosen]
    hidden = (after == MASK).double().mean().item()
    changed = ((after != MASK) & (after != before)).double().mean().item()
    assert hidden == pytest.approx(0.8, abs=0.015)
    assert changed == pytest.approx(0.1 * 44 / 45, abs=0.01)  # 1 of 45 is replaced by itself
    assert torch.equal(shown.ids[~chosen], tokens.ids[~chosen])
    # Every ordinary token, and every place, is met.
    assert set(after[after != MASK].tolist()) == set(range(5, SIZE))
    assert chosen[:, 1:41].any(dim=0).all()
    assert not chosen[:, [0, 41]].any()


def test_the_largest_uniform_is_no_token_too_far():
    tokens = batch(3)
    almost = torch.full((3, 1, 5), 1 - 2**-24)
    almost[1] = 0.85
    size = 40_000  # 40,000 × (1 - 2⁻²⁴) is 40,000 in single precision
    shown, _ = mask_tokens(tokens, almost, share=1, mask_id=MASK, special_ids=SPECIAL, size=size)
    assert shown.ids[0].tolist() == [2, size - 1, size - 1, size - 1, 3]


def test_a_batch_is_a_pure_function_of_its_seed():
    tokenizer = types.SimpleNamespace(mask_id=MASK, special_ids=frozenset(SPECIAL), size=SIZE)
    tokens = batch(30, 20)
    first, again, other = (
        masked_batch(tokens, tokenizer, share=0.3, seed=seed) for seed in (1, 1, 2)
    )
    torch.manual_seed(9)
    assert torch.equal(first[0].ids, again[0].ids)
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("share", [0, -0.1, 1.01])
def test_impossible_shares_are_refused(share):
    tokens = batch(3)
    with pytest.raises(ObjectiveError, match="share"):
        mask(tokens, uniforms(tokens), share)


def test_uniforms_of_another_batch_are_refused():
    with pytest.raises(ObjectiveError, match=r"uniforms of shape \(3, 1, 5\)"):
        mask(batch(3), uniforms(batch(4)))


def loop(logits, targets):
    losses = [
        scores.exp().sum().log() - scores[target]
        for scores, target in zip(
            logits.reshape(-1, logits.shape[-1]), targets.flatten().tolist(), strict=True
        )
        if target != NOT_MASKED
    ]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("shape", [(1, 4), (3, 7)])
def test_value_and_gradient_equal_the_loop(shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(-1, 6, shape, generator=generator)
    targets[0, :2] = torch.tensor([NOT_MASKED, 3])
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    value, expected = masked_language_loss(ours, targets), loop(theirs, targets)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("fill", [0.0, math.inf, math.nan])
def test_without_masked_tokens_loss_and_gradient_are_zero(fill):
    logits = torch.full((2, 3, 4), fill, requires_grad=True)
    value = masked_language_loss(logits, torch.full((2, 3), NOT_MASKED))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


def test_half_precision_is_computed_in_single():
    logits = torch.tensor([[[30.0, 0.0]]], dtype=torch.float16)
    targets = torch.tensor([[1]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = masked_language_loss(logits, targets)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(30, rel=1e-6)


def test_other_shapes_are_refused():
    with pytest.raises(ObjectiveError, match="logits have shape"):
        masked_language_loss(torch.zeros(2, 3, 4), torch.zeros(3, 2, dtype=torch.long))


def test_surprise_counts_words():
    tokenizer = types.SimpleNamespace(special_ids=frozenset(SPECIAL), size=SIZE)
    tokens = batch(30, 7, 12)
    counts = collections.Counter(
        number
        for ids, mask in zip(tokens.ids.tolist(), tokens.mask.tolist(), strict=True)
        for number, seen in zip(ids, mask, strict=True)
        if seen and number not in SPECIAL
    )
    total = sum(counts.values()) + SIZE
    surprise = unigram_surprise(tokens, tokenizer)
    assert sum(counts.values()) == 49
    for number in range(SIZE):
        expected = math.log(total / (counts[number] + 1))
        assert surprise[number].item() == pytest.approx(expected, rel=1e-5)
