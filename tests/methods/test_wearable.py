import pytest
import torch
import yaml
from pydantic import TypeAdapter

from medssl.config import read_yaml
from medssl.methods.base import learning_rate_factor
from medssl.methods.config import MethodConfig, OptimiserConfig
from medssl.methods.registry import build_method
from medssl.stages.pretrain import PretrainConfig


def method(seed=0, **changes):
    values = {"encoder": {"name": "resnet1d", "channels": 1, "width": 4}, **changes}
    return build_method(MethodConfig.model_validate(values), seed=seed, steps=10)


@pytest.mark.parametrize(
    ("name", "parameters", "cutout", "permutation"),
    [("apple_ppg", 3_146_129, 0.4, 0.25), ("apple_ecg", 2_468_755, 0.8, 0.0)],
)
def test_the_presets_hold_the_published_values(pytestconfig, name, parameters, cutout, permutation):
    raw = read_yaml(pytestconfig.rootpath / "configs" / f"{name}.yaml")
    config = PretrainConfig.model_validate(raw["stages"]["pretrain"])
    made = build_method(config, seed=0, steps=1)
    assert sum(p.numel() for p in made.encoder.parameters()) == parameters
    assert sum(p.numel() for p in made.head.parameters()) == 394_368
    exported, _ = made.exported("student")
    assert exported(torch.zeros(2, config.encoder.channels, 512)).shape == (2, 256)  # not the 128
    assert config.method.temperature == 0.04
    assert config.method.koleo_weight == 0.1
    assert config.method.momentum == 0.99
    assert config.batch_size == 256
    assert config.optimiser == OptimiserConfig(
        learning_rate=1e-3, weight_decay=1e-5, schedule="halving", halve_every=125_000
    )
    assert config.views.cutout.probability == cutout
    assert config.views.cutout.fraction == (0.3, 0.5)
    assert config.views.channel_permutation.probability == permutation
    assert config.pairs.level == "participant"
    assert config.pairs.min_records == 2


def test_the_optimiser_is_adam_with_coupled_weight_decay_over_the_student():
    made = method()
    optimizer = made.configure_optimizers()["optimizer"]
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["weight_decay"] == 1e-5
    owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    student = {id(p) for p in [*made.encoder.parameters(), *made.head.parameters()]}
    assert owned == student


def test_the_seed_decides_the_weights_also_when_it_is_zero():
    torch.manual_seed(99)
    first = method(seed=0).encoder.state_dict()
    torch.manual_seed(1)
    second = method(seed=0).encoder.state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    other = method(seed=1).encoder.state_dict()
    assert any(not torch.equal(first[k], other[k]) for k in first)


def test_making_a_method_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    method(seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("settings", "step", "factor"),
    [
        ({"schedule": "halving", "halve_every": 10}, 9, 1.0),
        ({"schedule": "halving", "halve_every": 10}, 10, 0.5),
        ({"schedule": "halving", "halve_every": 10}, 39, 0.125),
        ({"schedule": "cosine"}, 0, 1.0),
        ({"schedule": "cosine"}, 50, 0.5),
        ({"schedule": "cosine"}, 100, 0.0),
        ({"schedule": "cosine", "warmup_steps": 20}, 9, 0.5),
        ({"schedule": "constant", "warmup_steps": 20}, 60, 1.0),
    ],
)
def test_schedules(settings, step, factor):
    made = learning_rate_factor(step, OptimiserConfig(**settings), 100)
    assert made == pytest.approx(factor, abs=1e-12)


def test_a_config_survives_yaml():
    config = method().config
    again = TypeAdapter(MethodConfig).validate_python(
        yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))
    )
    assert again == config
