import copy
import json

import numpy as np
import pytest
import torch

from medssl.evaluation.representation import effective_rank, uniformity
from medssl.methods.config import MethodConfig
from medssl.methods.registry import build_method
from medssl.training.monitors import CollapseMonitor
from medssl.views.normalise import zscore


@pytest.fixture
def method():
    config = MethodConfig.model_validate(
        {"encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2}}
    )
    return build_method(config, seed=0, steps=10)


def measure(store, rows, method, folder):
    monitor = CollapseMonitor(store, rows, folder / "metrics.jsonl", every=1, report=None)
    return monitor.measure(None, method, None, 0)


def test_validation_uses_every_record_once_and_without_views(ppg_store, method, tmp_path):
    rows = ppg_store.rows()[:300]  # no multiple of the 256 that are embedded at a time
    segments = torch.from_numpy(ppg_store.read(rows))
    with torch.inference_mode():
        expected = copy.deepcopy(method.encoder).eval()(zscore(segments)).double().numpy()
    found = measure(ppg_store, rows, method, tmp_path)
    assert found["validation/effective_rank"] == pytest.approx(
        effective_rank(expected, centred=False), rel=1e-5
    )
    assert found["validation/uniformity"] == pytest.approx(uniformity(expected), rel=1e-5)
    assert found["validation/std_mean"] == pytest.approx(np.std(expected, axis=0).mean(), rel=1e-5)
    fewer = measure(ppg_store, rows[:256], method, tmp_path)
    assert fewer != found


def test_validation_repeats_and_leaves_training_alone(ppg_store, method, tmp_path):
    before = {name: value.clone() for name, value in method.state_dict().items()}
    torch.manual_seed(1)
    first = measure(ppg_store, ppg_store.rows()[:50], method, tmp_path)
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    assert measure(ppg_store, ppg_store.rows()[:50], method, tmp_path) == first
    assert torch.equal(torch.rand(3), expected)
    assert method.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert json.dumps(first)


def test_too_few_validation_records_log_nothing(ppg_store, method, tmp_path):
    assert measure(ppg_store, ppg_store.rows()[:1], method, tmp_path) == {}
