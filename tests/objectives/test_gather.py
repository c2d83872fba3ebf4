import importlib.util
from pathlib import Path

import pytest
import torch

from medssl.objectives.gather import gather

WORKER = Path(__file__).with_name("gather_worker.py")


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks(WORKER)


@pytest.fixture(scope="module")
def worker():
    specification = importlib.util.spec_from_file_location("gather_worker", WORKER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_two_ranks_have_the_value_of_one_process(ranks, worker):
    expected = worker.loss_of(worker.build(), worker.teacher(), *worker.data())
    for rank in ranks:
        assert torch.allclose(rank["loss"], expected, rtol=1e-12)


def test_two_ranks_have_the_gradient_of_one_process(ranks, worker):
    model = worker.build()
    worker.loss_of(model, worker.teacher(), *worker.data()).backward()
    for rank in ranks:
        for mine, parameter in zip(rank["gradients"], model.parameters(), strict=True):
            assert torch.allclose(mine, parameter.grad, rtol=1e-9, atol=1e-12)


def test_rows_come_in_rank_order_and_half_precision_as_float32(ranks):
    for rank in ranks:
        assert rank["rows"].dtype == torch.float32
        assert rank["rows"].tolist() == [0, 1, 10, 11]


def test_unequal_ranks_are_refused_on_every_rank(ranks):
    for rank in ranks:
        assert rank["refusal"].startswith("gather: ranks hold [1, 2] rows")


def test_without_a_process_group_rows_come_back_as_they_are():
    rows = torch.randn(3, 2)
    assert gather(rows) is rows
