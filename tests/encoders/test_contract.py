"""What every encoder promises; a new one joins ENCODERS."""

import typing

import pytest
import torch
from pydantic import TypeAdapter

from medssl.batches import Cells, Tokens
from medssl.config import find_problems
from medssl.encoders import (
    BaseEncoder,
    EfficientNet1dConfig,
    EncoderConfig,
    ImageEncoder,
    ResNet1dConfig,
    ResNet2dConfig,
    SignalEncoder,
    TableEncoder,
    TabularTransformerConfig,
    TextEncoder,
    TextTransformerConfig,
    ViT1dConfig,
    build_encoder,
    kind_of,
)
from medssl.types import Kind

ENCODERS = {
    "efficientnet1d published": EfficientNet1dConfig(channels=3, width=64, expansion=3),
    "efficientnet1d small": EfficientNet1dConfig(channels=1, width=64, depth="small", expansion=2),
    "resnet1d": ResNet1dConfig(channels=2),
    "resnet1d deep": ResNet1dConfig(channels=1, width=4, stages=3, blocks=2, kernel=3),
    "vit1d": ViT1dConfig(channels=2, patch=16, width=32, depth=2, heads=2),
    "vit1d one block": ViT1dConfig(channels=1, patch=50, width=24, depth=1, heads=3, mlp_ratio=0.7),
    "resnet2d small": ResNet2dConfig.small(),
    "resnet2d bottlenecks": ResNet2dConfig(width=8, blocks=(1, 2)),
    "text_transformer": TextTransformerConfig(vocabulary=50, width=32, tokens=64, dropout=0.0),
    "tabular_transformer": TabularTransformerConfig(width=16, categories=(2, 3), numbers=2),
}
PROMISES = {
    Kind.WAVEFORM: SignalEncoder,
    Kind.IMAGE: ImageEncoder,
    Kind.TEXT: TextEncoder,
    Kind.TABLE: TableEncoder,
}


@pytest.fixture(params=ENCODERS.values(), ids=ENCODERS.keys())
def config(request):
    return request.param


@pytest.fixture
def encoder(config):
    torch.manual_seed(0)
    return build_encoder(config)


def examples(config, batch, size):
    """Inputs that differ; `size` is samples, pixels along a side squared, or tokens at most."""
    kind = kind_of(config)
    if kind is Kind.WAVEFORM:
        return standard(sines(batch * config.channels, size).reshape(batch, config.channels, size))
    if kind is Kind.IMAGE:
        side = max(1, round(size**0.5))
        waves = sines(2 * batch, side)
        return standard((waves[:batch, :, None] * waves[batch:, None])[:, None])
    if kind is Kind.TEXT:
        length = min(size, config.tokens)
        ids = 5 + torch.arange(batch * length).reshape(batch, length) % (config.vocabulary - 5)
        mask = torch.arange(length) < torch.arange(length, length - batch, -1).clamp(1)[:, None]
        return Tokens(ids * mask, mask)
    rows = torch.arange(batch)[:, None]
    categories = torch.stack([rows[:, 0] % count for count in config.categories], dim=1)
    numbers = torch.sin(rows + torch.arange(config.numbers)).masked_fill(rows % 4 == 1, torch.nan)
    return Cells(categories.masked_fill(rows % 4 == 2, -1), numbers)


def sines(count, length):
    """Sines of different frequency and phase."""
    time = torch.linspace(0, 1, length)[None]
    frequency = torch.linspace(1, 6, count)[:, None]
    return torch.sin(2 * torch.pi * frequency * time + frequency)


def standard(x):
    """As normalised inputs are; a single sample is zero."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / x.std(-1, keepdim=True, correction=0).clamp(min=1e-3)


def rows_of(x, rows):
    return x[rows] if isinstance(x, torch.Tensor) else type(x)(*(part[rows] for part in x))


def test_every_encoder_is_tested():
    union = typing.get_args(typing.get_args(EncoderConfig)[0])
    assert {type(config) for config in ENCODERS.values()} == set(union)


@pytest.mark.parametrize("size", [1, 2, 17, 128, 1280, 3840])
def test_shape_at_every_size(config, encoder, size):
    assert isinstance(encoder, BaseEncoder)
    out = encoder.eval()(examples(config, 2, size))
    assert out.shape == (2, encoder.dim)
    assert torch.isfinite(out).all()


def test_promises_of_its_kind(config, encoder):
    encoder.eval()
    kind = kind_of(config)
    assert isinstance(encoder, PROMISES[kind])
    x = examples(config, 3, 400)
    if kind is Kind.WAVEFORM:
        assert encoder.channels == config.channels
    if kind is Kind.IMAGE:
        features = encoder.feature_map(x)
        assert features.shape[:2] == (3, encoder.width)
        assert torch.allclose(features.mean(dim=(2, 3)), encoder(x), atol=1e-6)
    if kind is Kind.TEXT:
        assert encoder.hidden(x).shape == (*x.ids.shape, encoder.dim)


def test_configuration_round_trip(config):
    again = TypeAdapter(EncoderConfig).validate_json(config.model_dump_json())
    assert again == config
    state, restored = build_encoder(config).state_dict(), build_encoder(again).state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in restored.items()}


def test_unknown_keys_are_refused(config):
    values = {**config.model_dump(), "widht": 3}
    assert "did you mean width?" in find_problems(type(config), values, where="encoder")[0]


def test_weights_follow_from_the_seed(config, encoder):
    torch.manual_seed(0)
    same = build_encoder(config).state_dict()
    other = build_encoder(config)
    assert all(torch.equal(value, same[key]) for key, value in encoder.state_dict().items())
    pairs = zip(encoder.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(left, right) for left, right in pairs)


def test_gradient_reaches_every_parameter(config, encoder):
    x = examples(config, 6, 256)
    target = torch.randn(6, encoder.dim, generator=torch.Generator().manual_seed(0))
    (encoder.train()(x) * target).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # What stands for hidden cells is seen by pretraining alone, which looks at their tokens.
        assert (parameter.grad != 0).any() or name == "mask_token", name


def test_untrained_output_is_finite_and_tells_inputs_apart(config, encoder):
    # Batch norm has seen nothing yet: an initialisation that shrinks the signal would show here.
    out = encoder.eval()(examples(config, 8, 512)).detach()
    assert torch.isfinite(out).all()
    spread = out.std(dim=0).mean()
    assert spread > 1e-6
    assert spread > 0.01 * out.abs().mean()


def test_neighbours_do_not_matter_in_evaluation(config, encoder):
    x = examples(config, 5, 200)
    encoder.eval()
    assert torch.allclose(encoder(x)[2:3], encoder(rows_of(x, [2])), rtol=1e-4, atol=1e-7)


def test_weights_round_trip(config, encoder):
    x = examples(config, 4, 128)
    encoder.train()(x)
    again = build_encoder(config)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.eval()(x), encoder.eval()(x))


def test_layers_before_the_last_have_places(config, encoder):
    seen = {}
    for name, module in encoder.layers().items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    encoder.eval()(examples(config, 2, 256))
    assert list(seen) == list(encoder.layers())  # in the order in which an input meets them
    axes = 4 if isinstance(encoder, ImageEncoder) else 3
    assert all(out.ndim == axes and out.shape[0] == 2 for out in seen.values())
