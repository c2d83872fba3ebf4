import math

import pytest
import torch
from pydantic import ValidationError

from medssl.encoders import ViT1dConfig
from medssl.encoders.vit1d import TransformerBlock, positions


def build(**changes):
    torch.manual_seed(0)
    return ViT1dConfig(**{"channels": 2, "patch": 8, "width": 16, "heads": 2, **changes}).build()


def affine_norm(x, norm):
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    return scaled * norm.weight + norm.bias


def attention(block, tokens):
    """One query and one head at a time."""
    count, width = tokens.shape
    size = width // block.heads
    query, key, value = (tokens @ block.query_key_value.weight.T).split(width, dim=1)
    mixed = torch.zeros_like(tokens)
    for head in range(block.heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(count):
            scores = torch.stack([query[i, part] @ key[j, part] for j in range(count)])
            weights = (scores / math.sqrt(size)).exp()
            mixed[i, part] = sum(w * value[j, part] for j, w in enumerate(weights / weights.sum()))
    return mixed @ block.project.weight.T + block.project.bias


def test_a_block_is_pre_norm_attention_and_a_network():
    torch.manual_seed(1)
    block = TransformerBlock(12, heads=3, mlp_ratio=2).double()
    for norm in (block.attention_norm, block.mlp_norm):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    tokens = torch.randn(5, 12, dtype=torch.float64)
    middle = tokens + attention(block, affine_norm(tokens, block.attention_norm))
    first, _, second = block.mlp
    hidden = affine_norm(middle, block.mlp_norm) @ first.weight.T + first.bias
    gelu = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    expected = middle + gelu @ second.weight.T + second.bias
    assert torch.allclose(block(tokens.T[None])[0].T, expected, rtol=1e-10, atol=1e-12)


def test_positions_are_the_published_ones():
    found = positions(torch.tensor([0.0, 3.0, 7.25]), 8)
    for row, place in enumerate((0.0, 3.0, 7.25)):
        for i in range(4):
            angle = place / 10_000 ** (2 * i / 8)
            assert found[row, i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert found[row, 4 + i].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_tokens_are_patches_of_all_channels_with_their_place():
    encoder = build()
    x = torch.randn(3, 2, 24)
    tokens = encoder.tokens(x)
    assert tokens.shape == (3, 3, 16)
    weight = encoder.patches.weight.reshape(16, -1)
    for place in range(3):
        patch = x[:, :, 8 * place : 8 * place + 8].reshape(3, -1)
        expected = patch @ weight.T + encoder.patches.bias + positions(torch.tensor([place]), 16)
        assert torch.allclose(tokens[:, place], expected, atol=1e-5)


def test_a_tail_gets_a_patch_that_ends_with_the_last_sample():
    encoder = build()
    x = torch.randn(1, 2, 21)
    tokens = encoder.tokens(x)
    assert tokens.shape == (1, 3, 16)
    last = encoder.patches(x[..., 13:])[..., 0] + positions(torch.tensor([13 / 8]), 16)
    assert torch.allclose(tokens[:, 2], last, atol=1e-6)
    assert torch.equal(tokens[:, :2], encoder.tokens(x[..., :16]))


@pytest.mark.parametrize("sample", [0, 7, 8, 15, 16, 20])
def test_every_sample_counts(sample):
    encoder = build().eval()
    x = torch.randn(1, 2, 21)
    other = x.clone()
    other[0, 1, sample] += 1
    assert not torch.allclose(encoder(x), encoder(other), atol=1e-4)


def test_a_short_segment_is_followed_by_zeros():
    encoder = build().eval()
    x = torch.randn(2, 2, 5)
    longer = torch.cat([x, torch.zeros(2, 2, 3)], dim=-1)
    assert torch.equal(encoder(x), encoder(longer))


def test_the_order_of_patches_counts_through_the_positions_alone():
    encoder = build().eval()
    patches = torch.randn(1, 2, 4, 8)
    forth, back = patches.flatten(2), patches.flip(2).flatten(2)
    assert not torch.allclose(encoder(forth), encoder(back), atol=1e-4)
    tokens = encoder.tokens(forth)
    shuffled = encoder.encode(tokens[:, [2, 0, 3, 1]])
    assert torch.allclose(shuffled, encoder.encode(tokens)[:, [2, 0, 3, 1]], atol=1e-5)


def test_the_embedding_is_the_mean_of_normed_tokens():
    encoder = build().eval()
    x = torch.randn(2, 2, 32)
    features = encoder.blocks(encoder.tokens(x).transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(encoder(x), affine_norm(features, encoder.norm).mean(1), atol=1e-5)


@pytest.mark.parametrize(("width", "heads"), [(15, 3), (16, 3)])
def test_widths_that_do_not_fit_are_refused(width, heads):
    with pytest.raises(ValidationError, match=r"must be even and a multiple of heads"):
        ViT1dConfig(channels=1, width=width, heads=heads)


def test_the_default_is_small():
    encoder = ViT1dConfig(channels=1).build()
    assert sum(parameter.numel() for parameter in encoder.parameters()) < 1_000_000
