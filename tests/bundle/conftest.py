"""Small bundles to load, harm, export and register."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medssl.bundle import save_bundle
from medssl.contracts import WaveformContract
from medssl.encoders import EfficientNet1dConfig, ResNet1dConfig, ViT1dConfig, build_encoder

CONTRACT = WaveformContract(modality="ecg", rate=128, channels=("I",), units="mV", length=256)
CONFIGS = {
    "resnet1d": ResNet1dConfig(channels=1, width=4, stages=2),
    "efficientnet1d": EfficientNet1dConfig(channels=1, width=128, depth="small", expansion=4),
    "vit1d": ViT1dConfig(channels=1, patch=48, width=32, depth=2),
}


def make_bundle(path, name="resnet1d"):
    """A bundle with random weights and batch-norm statistics that are not the initial ones."""
    torch.manual_seed(0)
    module = build_encoder(CONFIGS[name]).train()
    with torch.no_grad():
        for _ in range(5):
            module(torch.randn(16, 1, CONTRACT.length))
    save_bundle(
        path, module.eval(), encoder=CONFIGS[name], contract=CONTRACT,
        provenance={"method": "none", "steps": 3},
    )  # fmt: skip
    return module


@pytest.fixture(scope="session")
def save():
    """Saves a small bundle, `save(path, name of the encoder)`, and returns its module."""
    return make_bundle


@pytest.fixture
def contract():
    """The contract of the small bundles."""
    return CONTRACT


@pytest.fixture
def bundle(tmp_path):
    """The folder of a small bundle."""
    make_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(params=sorted(CONFIGS))
def saved(request, tmp_path):
    """A module and the bundle that it was saved to."""
    return make_bundle(tmp_path / "bundle", request.param), tmp_path / "bundle"


@pytest.fixture
def bundle_v1() -> Path:
    """The bundle that version 1 wrote."""
    return Path(__file__).parents[1] / "data" / "bundle_v1"


@pytest.fixture
def recording():
    """Makes a recording of one channel with so many samples."""
    return lambda n: np.random.default_rng(0).normal(size=(1, n)).astype(np.float32)


@pytest.fixture
def probe_row():
    """A row of a probe table, as `probes.json` has it."""
    return {
        "target": "age", "features": "encoder", "metric": "mae", "value": 11.8, "low": 9.7,
        "high": 14.4, "level": 0.95, "n_score": 58, "n_records": 170, "alpha": 1.0, "note": "",
    }  # fmt: skip
