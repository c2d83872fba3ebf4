import json

import pytest
import torch
from pydantic import ValidationError

from medssl.batches import Tokens
from medssl.config import find_problems
from medssl.encoders.base import TextEncoder
from medssl.encoders.hugging_face import find_blocks
from medssl.encoders.text_transformer import TextTransformerConfig, pool
from medssl.errors import ConfigError, ContractError

SMALL = TextTransformerConfig(vocabulary=40, width=16, heads=2, depth=3, tokens=12)


def build(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return config.build()


def texts(*lengths, width=12, padding=0):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 40, (len(lengths), 12), generator=generator)[:, :width]
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return Tokens(ids.masked_fill(~mask, padding), mask)


def loop(hidden, mask, how):
    """Pooling by hand, text by text."""
    rows = []
    for vectors, seen in zip(hidden.tolist(), mask.tolist(), strict=True):
        kept = [vector for vector, one in zip(vectors, seen, strict=True) if one]
        by_place = {
            "max": lambda values: max(values),
            "mean": lambda values: sum(values) / len(values),
            "first": lambda values: values[0],
        }[how]
        rows.append([by_place(values) for values in zip(*kept, strict=True)])
    return torch.tensor(rows)


@pytest.mark.parametrize("how", ["max", "mean", "first"])
def test_pooling_equals_the_loop(how):
    hidden = torch.randn(4, 12, 5, generator=torch.Generator().manual_seed(0)) - 3
    mask = texts(1, 12, 5, 7).mask
    assert torch.allclose(pool(hidden, mask, how), loop(hidden, mask, how), atol=1e-6)


@pytest.mark.parametrize("how", ["max", "mean"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_padding_never_wins_and_gets_no_gradient(how, dtype):
    hidden = torch.full((1, 3, 2), -6e4, dtype=dtype)
    hidden[0, 2] = 6e4
    hidden.requires_grad_()
    pooled = pool(hidden, torch.tensor([[True, False, False]]), how)
    assert torch.equal(pooled, hidden[:, 0])
    pooled.float().sum().backward()
    assert hidden.grad[0].tolist() == [[1, 1], [0, 0], [0, 0]]


def test_a_text_without_a_token_does_not_pass_for_a_finite_one():
    hidden, mask = torch.zeros(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)
    assert not torch.isfinite(pool(hidden, mask, "max")).any()
    assert not torch.isfinite(pool(hidden, mask, "mean")).any()


@pytest.mark.parametrize("how", ["max", "mean", "first"])
def test_padding_and_neighbours_do_not_matter(how):
    encoder = build(SMALL.model_copy(update={"pooling": how})).eval()
    assert isinstance(encoder, TextEncoder)
    x = texts(5, 12, 3)
    together = encoder(x)
    assert together.shape == (3, encoder.dim)
    alone = encoder(Tokens(x.ids[:1, :5], x.mask[:1, :5]))
    other_padding = encoder(texts(5, 12, 3, padding=7))
    assert torch.allclose(together[:1], alone, rtol=0, atol=1e-6)
    assert torch.allclose(together, other_padding, rtol=0, atol=1e-6)
    assert (together[0] - together[2]).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite(dtype):
    x = texts(5, 12, 3)
    encoder = build().eval()
    expected = encoder(x)
    output = encoder.to(dtype)(x)
    assert output.dtype == dtype
    assert torch.allclose(output.float(), expected, atol=0.1)


def test_autocast_is_finite():
    encoder = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = encoder(texts(5, 12, 3))
    output.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_weights_follow_from_the_seed():
    first, same, other = build(), build(), build(seed=1)
    state = same.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.word_embeddings, other.word_embeddings)
    x = texts(5, 12)
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(first.train()(x))
    assert torch.equal(*outputs)
    assert not torch.equal(outputs[0], first(x))  # dropout goes on


def test_every_token_may_stand_at_row_0():
    """No row of the embeddings is kept at zero for padding."""
    encoder = build()
    assert encoder.word_embeddings.abs().sum(dim=1).min() > 0
    encoder(
        Tokens(torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))
    ).square().sum().backward()
    assert encoder.network.get_input_embeddings().weight.grad[0].abs().sum() > 0


def test_the_spread_of_fresh_weights_is_that_of_bert_at_its_width():
    """0.02 at width 768, and the same spread of a layer's outputs at others."""
    for width in (48, 192):
        encoder = build(SMALL.model_copy(update={"width": width}))
        expected = 0.02 * (768 / width) ** 0.5
        assert encoder.word_embeddings.std().item() == pytest.approx(expected, rel=0.1)


def test_layers_before_the_last():
    encoder = build().eval()
    seen = {}
    for name, module in encoder.layers().items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    x = texts(5, 12)
    hidden = encoder.hidden(x)
    assert list(seen) == ["embeddings", "layer 1", "layer 2"]
    assert all(out.shape == (2, 12, 16) for out in seen.values())
    _, blocks = find_blocks(encoder.network)
    mask = torch.zeros(2, 1, 1, 12).masked_fill(~x.mask[:, None, None], -torch.inf)
    assert torch.allclose(blocks[2](seen["layer 2"], mask)[0], hidden[0], atol=1e-5)


def test_texts_that_are_too_long_are_refused():
    encoder = build(SMALL.model_copy(update={"tokens": 8}))
    with pytest.raises(ContractError, match="12 tokens and the encoder takes 8"):
        encoder(texts(12))


def test_without_memory_it_has_the_same_shapes():
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in SMALL.build().state_dict().items()}
    assert shapes == {name: value.shape for name, value in build().state_dict().items()}


def test_the_resolved_configuration_has_the_tokenizer_size_and_survives_json():
    resolved = SMALL.resolved(33)
    assert (resolved.vocabulary, resolved.width, resolved.depth) == (33, 16, 3)
    again = TextTransformerConfig.model_validate_json(resolved.model_dump_json())
    assert again == resolved == resolved.resolved(33)
    first, second = build(resolved), build(again)
    assert len(first.word_embeddings) == 33
    x = texts(5, 12)._replace(ids=texts(5, 12).ids.clamp(max=32))
    assert torch.equal(first.eval()(x), second.eval()(x))
    with pytest.raises(ConfigError, match="40 tokens and the encoder 33"):
        resolved.resolved(40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import BertConfig, BertModel

    path = tmp_path_factory.mktemp("clinical-bert")
    torch.manual_seed(5)
    BertModel(
        BertConfig(
            vocab_size=40, hidden_size=8, num_hidden_layers=4, num_attention_heads=2,
            intermediate_size=12, max_position_embeddings=30, hidden_dropout_prob=0.3,
        )
    ).save_pretrained(path)  # fmt: skip
    (path / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    return path


def frozen(encoder):
    embeddings, blocks = find_blocks(encoder.network)
    parts = {"embeddings": embeddings, **{str(i): block for i, block in enumerate(blocks)}}
    kept = {name: {not p.requires_grad for p in part.parameters()} for name, part in parts.items()}
    assert all(len(values) == 1 for values in kept.values())
    assert sum(len(list(part.parameters())) for part in parts.values()) == len(
        list(encoder.parameters())
    )
    return {name for name, values in kept.items() if values == {True}}


def test_frozen_weights_do_not_move_and_the_others_do(folder):
    config = TextTransformerConfig(
        folder=folder, tokens=12, freeze_embeddings=True, freeze_layers=2
    )
    encoder = config.build()
    assert frozen(encoder) == {"embeddings", "0", "1"}
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=0.01, weight_decay=0.1)
    encoder.train()(texts(5, 12, 3)).square().sum().backward()
    optimiser.step()
    moved = {name: not torch.equal(p, before[name]) for name, p in encoder.named_parameters()}
    assert all(moved[name] == p.requires_grad for name, p in encoder.named_parameters())
    assert frozen(config.resolved(40).build()) == {"embeddings", "0", "1"}
    assert frozen(TextTransformerConfig(folder=folder, tokens=12).build()) == set()


def test_dropout_stays_on_in_frozen_layers(folder):
    encoder = TextTransformerConfig(
        folder=folder, tokens=12, freeze_embeddings=True, freeze_layers=4
    ).build()
    x = texts(5, 12)
    assert not torch.equal(encoder.train()(x), encoder(x))
    assert torch.equal(encoder.eval()(x), encoder(x))


def test_a_bundle_needs_no_folder(folder):
    config = TextTransformerConfig(folder=folder, tokens=12)
    encoder = config.build().eval()
    resolved = config.resolved(40)
    assert resolved.folder is None
    assert str(folder) not in resolved.model_dump_json()
    assert (resolved.width, resolved.depth, resolved.heads) == (8, 4, 2)
    again = TextTransformerConfig.model_validate_json(resolved.model_dump_json()).build().eval()
    again.load_state_dict(encoder.state_dict(), strict=True)
    x = texts(5, 12)
    assert torch.equal(encoder(x), again(x))
    assert again.network.config.hidden_dropout_prob == 0.3


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"tokens": 12, "freeze_layers": 5}, "freeze_layers is 5 and the encoder has 4 layers"),
        ({"tokens": 31}, "tokens is 31 and the encoder takes 30 at most"),
    ],
)
def test_what_a_folder_cannot_give(folder, values, why):
    with pytest.raises(ConfigError, match=why):
        TextTransformerConfig(folder=folder, **values).build()


def test_a_tokenizer_of_another_encoder_is_refused(folder):
    with pytest.raises(ConfigError, match="41 tokens and the encoder 40"):
        TextTransformerConfig(folder=folder).resolved(41)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"width": 30, "heads": 4}, "multiple of heads"),
        ({"freeze_layers": 1}, "give encoder.folder"),
        ({"freeze_embeddings": True}, "give encoder.folder"),
        ({"folder": "here", "architecture": {"model_type": "bert"}}, "twice"),
        ({"architecture": {}}, "model_type"),
        ({"architecture": {"model_type": "bert", "auto_map": {"AutoModel": "m.M"}}}, "its own"),
        ({"widht": 3}, "did you mean width"),
    ],
)
def test_wrong_settings_are_refused(values, why):
    problems = find_problems(TextTransformerConfig, values, where="encoder")
    assert len(problems) == 1
    assert why in problems[0]


def test_untrusted_architecture_is_refused_before_memory_is_taken():
    for values in (
        {"model_type": "gpt2"},
        {"model_type": "bert", "num_hidden_layers": 10**9},
        {"model_type": "bert", "hidden_act": "eval"},
        {"model_type": "bert", "hidden_size": -4},
    ):
        config = TextTransformerConfig(architecture=values)
        with pytest.raises((ValueError, KeyError, RuntimeError)), torch.device("meta"):
            config.build()
    with pytest.raises(ValidationError):
        TextTransformerConfig(architecture=json.loads("[]"))
