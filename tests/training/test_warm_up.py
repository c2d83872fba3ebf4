"""The warm-up inside a run is done once; whoever was killed in it goes on with the same weights."""

import pytest
import torch

from medssl.methods.facts import RunFacts
from medssl.training import language, warm_up
from medssl.training.config import FitConfig
from medssl.training.pair_data import PairData
from medssl.training.warm_up import warm_up_text
from tests.methods import method_cases as cases

SETTINGS = {"steps": 6, "batch_size": 8}


@pytest.fixture
def data(studies_store):
    settings = FitConfig.model_validate({"batch_size": 8, "pairs": cases.CASES["convirt"].pairs})
    inputs = cases.inputs("convirt")
    reports = inputs["partner_inputs"].usable(studies_store, studies_store.rows(modality="report"))
    images = studies_store.rows(modality="radiograph")
    return PairData(studies_store, images, settings, seed=0, partner_rows=reports, **inputs)


@pytest.fixture
def made(monkeypatch):
    def build(**settings):
        monkeypatch.setitem(cases.CASES, "warm", cases.convirt(**settings))
        return cases.build("warm", facts=RunFacts(1, 1, list))

    return build


def test_only_those_who_ask_are_warmed_up(made, data, tmp_path):
    method = made()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert warm_up_text(method, data, tmp_path / "x", seed=0) == {}
    assert all(torch.equal(before[name], v) for name, v in method.state_dict().items())
    assert not (tmp_path / "x").exists()
    assert warm_up_text(cases.build("simclr"), data, tmp_path / "x", seed=0) == {}


def test_the_text_encoder_alone_is_trained(made, data, tmp_path):
    method = made(warm_up=SETTINGS)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    told = warm_up_text(method, data, tmp_path, seed=0)["warm_up"]
    assert {"first_loss", "last_loss"} <= told.keys()
    changed = {n for n, v in method.state_dict().items() if not torch.equal(before[n], v)}
    assert changed
    assert all(name.startswith("partner_encoder.") for name in changed)
    assert method.partner_encoder.training


def test_a_run_that_goes_on_takes_what_is_there(made, data, tmp_path, monkeypatch):
    first, second = made(warm_up=SETTINGS), made(warm_up=SETTINGS)
    told = warm_up_text(first, data, tmp_path, seed=0)
    monkeypatch.setattr(warm_up, "warm_up", None)  # nobody trains again
    assert warm_up_text(second, data, tmp_path, seed=0) == told
    state = second.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("stop", [1, 5])
def test_killed_in_the_middle_it_starts_again_and_ends_the_same(
    made, data, tmp_path, monkeypatch, stop
):
    whole, again = made(warm_up=SETTINGS), made(warm_up=SETTINGS)
    warm_up_text(whole, data, tmp_path / "whole", seed=0)
    steps = []

    def die(*given):
        steps.append(1)
        if len(steps) == stop:
            raise KeyError(stop)
        return move(*given)

    move = language._move
    with monkeypatch.context() as patch:
        patch.setattr(language, "_move", die)
        with pytest.raises(KeyError):
            warm_up_text(again, data, tmp_path / "died", seed=0)
    anew = made(warm_up=SETTINGS)
    torch.manual_seed(99)
    warm_up_text(anew, data, tmp_path / "died", seed=0)
    state = anew.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.state_dict().items())
