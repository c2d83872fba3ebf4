"""What every encoder promises; a new one joins ENCODERS."""

import typing

import pytest
import torch
from pydantic import TypeAdapter

from medssl.config import find_problems
from medssl.encoders import (
    EfficientNet1dConfig,
    EncoderConfig,
    ResNet1dConfig,
    SignalEncoder,
    ViT1dConfig,
    build_encoder,
)

ENCODERS = {
    "efficientnet1d published": EfficientNet1dConfig(channels=3, width=64, expansion=3),
    "efficientnet1d small": EfficientNet1dConfig(channels=1, width=64, depth="small", expansion=2),
    "resnet1d": ResNet1dConfig(channels=2),
    "resnet1d deep": ResNet1dConfig(channels=1, width=4, stages=3, blocks=2, kernel=3),
    "vit1d": ViT1dConfig(channels=2, patch=16, width=32, depth=2, heads=2),
    "vit1d one block": ViT1dConfig(channels=1, patch=50, width=24, depth=1, heads=3, mlp_ratio=0.7),
}


@pytest.fixture(params=ENCODERS.values(), ids=ENCODERS.keys())
def config(request):
    return request.param


@pytest.fixture
def encoder(config):
    torch.manual_seed(0)
    return build_encoder(config)


def segments(config, batch, length):
    """Sines of different frequency and phase, z-scored."""
    time = torch.linspace(0, 1, length)[None, None, :]
    frequency = torch.linspace(1, 6, batch * config.channels).reshape(batch, config.channels, 1)
    waves = torch.sin(2 * torch.pi * frequency * time + frequency)
    return (waves - waves.mean(-1, keepdim=True)) / waves.std(-1, keepdim=True, correction=0)


def test_every_encoder_is_tested():
    union = typing.get_args(typing.get_args(EncoderConfig)[0])
    assert {type(config) for config in ENCODERS.values()} == set(union)


@pytest.mark.parametrize("length", [1, 2, 17, 128, 1280, 3840])
def test_shape_at_every_length(config, encoder, length):
    assert isinstance(encoder, SignalEncoder)
    assert encoder.channels == config.channels
    out = encoder.eval()(torch.randn(2, config.channels, length))
    assert out.shape == (2, encoder.dim)
    assert torch.isfinite(out).all()


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
    x = segments(config, 6, 256)
    target = torch.randn(6, encoder.dim, generator=torch.Generator().manual_seed(0))
    (encoder.train()(x) * target).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any(), name


def test_untrained_output_is_finite_and_tells_segments_apart(config, encoder):
    # Batch norm has seen nothing yet: an initialisation that shrinks the signal would show here.
    out = encoder.eval()(segments(config, 8, 512)).detach()
    assert torch.isfinite(out).all()
    spread = out.std(dim=0).mean()
    assert spread > 1e-6
    assert spread > 0.01 * out.abs().mean()


def test_neighbours_do_not_matter_in_evaluation(config, encoder):
    x = segments(config, 5, 200)
    encoder.eval()
    assert torch.allclose(encoder(x)[2:3], encoder(x[2:3]), rtol=1e-4, atol=1e-7)


def test_weights_round_trip(config, encoder):
    x = segments(config, 4, 128)
    encoder.train()(x)
    again = build_encoder(config)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.eval()(x), encoder.eval()(x))


def test_layers_before_the_last_have_a_time_axis(config, encoder):
    seen = {}
    for name, module in encoder.layers().items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    encoder.eval()(torch.randn(2, config.channels, 256))
    assert list(seen) == list(encoder.layers())  # in the order in which a signal meets them
    assert all(out.ndim == 3 and out.shape[0] == 2 for out in seen.values())
