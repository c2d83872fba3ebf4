import pytest
import torch

from medssl.errors import ObjectiveError
from medssl.objectives.logit_scale import LogitScale


def test_it_starts_where_it_is_told_and_knows_its_temperature():
    scale = LogitScale(20.0)
    assert scale().item() == pytest.approx(20)
    assert scale.temperature.item() == pytest.approx(1 / 20)
    assert [tuple(each.shape) for each in scale.parameters()] == [()]


def test_it_stops_at_100_and_comes_back_at_once():
    scale = LogitScale(99.0)
    optimiser = torch.optim.SGD(scale.parameters(), lr=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        (-scale()).backward()  # larger is better
        optimiser.step()
        assert scale().item() <= 100.0001
    optimiser.zero_grad()
    scale().backward()
    optimiser.step()
    assert scale().item() < 1


@pytest.mark.parametrize("start", [0.0, -1.0, 101.0, float("nan")])
def test_a_start_out_of_bounds_is_refused(start):
    with pytest.raises(ObjectiveError, match="LogitScale: start is"):
        LogitScale(start)
