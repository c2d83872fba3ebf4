"""The one-line switches of docs/wearables.md are settings, and each changes what it says."""

import re
import subprocess
import sys

import pytest

from medssl.config import merge, parse_overrides, read_yaml
from medssl.stages.pretrain import PretrainConfig


@pytest.fixture(scope="module")
def switches(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "wearables.md").read_text(encoding="utf-8")
    table = page.split("## Methods and switches")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z_.]+=[^`]*)` \|", table, re.MULTILINE)


@pytest.fixture(scope="module")
def preset(pytestconfig):
    raw = read_yaml(pytestconfig.rootpath / "configs" / "apple_ppg.yaml")
    return raw["stages"]["pretrain"]


def test_every_switch_is_one_setting_and_leaves_the_others(switches, preset):
    assert len(switches) >= 10
    published = PretrainConfig.model_validate(preset).model_dump()
    for switch in switches:
        config = PretrainConfig.model_validate(merge(preset, parse_overrides([switch])))
        changed = {key for key, value in config.model_dump().items() if value != published[key]}
        assert changed == {switch.split("=")[0].split(".")[0]}, switch


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("method=byol", {"name": "byol", "momentum": 0.996}),
        ("method={name: moco, queue: 4096}", {"name": "moco", "queue": 4096, "momentum": 0.999}),
        ("method.momentum=null", {"name": "wearable", "momentum": None, "koleo_weight": 0.1}),
        ("method.koleo_weight=0", {"name": "wearable", "koleo_weight": 0, "momentum": 0.99}),
    ],
)
def test_overrides_of_the_method(preset, override, expected):
    config = PretrainConfig.model_validate(merge(preset, parse_overrides([override])))
    assert expected.items() <= config.method.model_dump().items()


def test_naming_methods_imports_no_training_library():
    code = "import sys, medssl, medssl.stages.pretrain; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "medssl.methods.config" in loaded.split()
    assert not {"lightning", "lightly", "torchvision"} & set(loaded.split())
