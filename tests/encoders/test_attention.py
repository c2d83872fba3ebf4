import math

import torch
from torch import nn

from medssl.encoders.attention import Attention, AttentionBlock


def slow_attention(module, tokens, others, allowed):
    """One query, one head, one key at a time."""
    batch, count, width = tokens.shape
    size = width // module.heads
    key, value = module.key_value(others).split(width, dim=-1)
    query = module.query(tokens)
    mixed = torch.zeros_like(tokens)
    for row in range(batch):
        for head in range(module.heads):
            part = slice(head * size, (head + 1) * size)
            for place in range(count):
                seen = [o for o in range(others.shape[1]) if allowed[row, 0, place, o]]
                scores = [
                    (query[row, place, part] @ key[row, o, part] / math.sqrt(size)).exp()
                    for o in seen
                ]
                for o, score in zip(seen, scores, strict=True):
                    mixed[row, place, part] += score / sum(scores) * value[row, o, part]
    return module.project(mixed)


def test_attention_is_a_softmax_over_what_is_allowed():
    torch.manual_seed(0)
    module = Attention(12, heads=3)
    tokens, others = torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    allowed = torch.rand(2, 1, 4, 5) < 0.5
    allowed[..., 0] = True
    with torch.no_grad():
        found = module(tokens, others, allowed)
        assert torch.allclose(found, slow_attention(module, tokens, others, allowed), atol=1e-6)
        everything = torch.ones_like(allowed)
        assert torch.allclose(
            module(tokens, others), slow_attention(module, tokens, others, everything), atol=1e-6
        )


def test_a_hidden_token_sees_others_and_is_not_seen():
    torch.manual_seed(0)
    block = AttentionBlock(8, heads=2).eval()
    visible = torch.tensor([[True, True, False]])
    tokens = torch.randn(1, 3, 8)
    before = block(tokens, visible)
    changed = block(torch.cat([tokens[:, :2], torch.randn(1, 1, 8)], dim=1), visible)
    assert torch.equal(before[:, :2], changed[:, :2])
    changed = block(torch.cat([torch.randn(1, 1, 8), tokens[:, 1:]], dim=1), visible)
    assert not torch.allclose(before[:, 2], changed[:, 2], atol=1e-3)


def test_where_nothing_is_visible_each_token_stays_alone_in_half_precision_too():
    torch.manual_seed(0)
    block = AttentionBlock(8, heads=2).eval()
    tokens = torch.randn(1, 3, 8)
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    together = block(tokens, nothing)
    alone = torch.cat([block(tokens[:, i : i + 1], nothing[:, :1]) for i in range(3)], dim=1)
    assert torch.allclose(together, alone, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(block(tokens, nothing)).all()


def test_the_context_is_seen_by_hidden_tokens_and_its_order_does_not_matter():
    torch.manual_seed(0)
    block = AttentionBlock(8, heads=2, context=True).eval()
    tokens, context = torch.randn(2, 3, 8), torch.randn(2, 6, 8)
    visible = torch.tensor([[True, True, False]] * 2)
    found = block(tokens, visible, context)
    assert torch.allclose(found, block(tokens, visible, context.flip(1)), atol=1e-6)
    other = block(tokens, visible, torch.randn(2, 6, 8))
    assert ((found - other).abs().amax(dim=-1) > 1e-3).all()


def test_dropout_acts_while_training_alone():
    torch.manual_seed(0)
    block = AttentionBlock(8, heads=2, dropout=0.5)
    tokens, visible = torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)
    assert not torch.equal(block(tokens, visible), block(tokens, visible))
    assert torch.equal(block.eval()(tokens, visible), block(tokens, visible))
    assert isinstance(block.mlp[2], nn.Dropout)
