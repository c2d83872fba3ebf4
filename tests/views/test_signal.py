import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import ConfigError
from medssl.views.base import APPLIED, from_json, to_json
from medssl.views.signal import (
    ChannelPermutation,
    Cutout,
    GaussianNoise,
    MagnitudeWarp,
    TimeWarp,
)


def every_view(probability=0.5):
    return [
        Cutout(probability=probability, fraction=(0.3, 0.5)),
        MagnitudeWarp(probability=probability, knots=7, sigma=0.2),
        TimeWarp(probability=probability, knots=7, sigma=0.1),
        TimeWarp(probability=probability, knots=7, sigma=0.1, form="public"),
        GaussianNoise(probability=probability, sigma=(0.05, 0.1)),
        ChannelPermutation(probability=probability),
    ]


def generator(seed):
    return torch.Generator().manual_seed(seed)


VIEWS = pytest.mark.parametrize(
    "view", every_view(), ids=lambda view: view.name + getattr(view, "form", "")
)


@VIEWS
def test_parameters_depend_on_seed_and_position_alone(view):
    long = view.draw(40, 3, 200, generator(5))
    short = view.draw(3, 3, 200, generator(5))
    for key, value in short.items():
        assert torch.equal(value, long[key][:3])
    assert not torch.equal(long[APPLIED], view.draw(40, 3, 200, generator(6))[APPLIED])


@VIEWS
def test_apply_is_pure_and_leaves_other_rows_alone(view):
    x = torch.randn(40, 3, 200)
    before = x.clone()
    params = view.draw(40, 3, 200, generator(0))
    first, second = view.apply(x, params), view.apply(x, params)
    assert torch.equal(x, before)
    assert torch.equal(first, second)
    coin = params[APPLIED]
    assert 0 < coin.sum() < 40
    assert torch.equal(first[~coin], x[~coin])
    changed = (first != x).flatten(1).any(1)
    # One of the six orders of three channels is the given one.
    share = 0.6 if isinstance(view, ChannelPermutation) else 1.0
    assert changed[coin].float().mean() >= share


@VIEWS
def test_a_row_is_changed_the_same_way_whoever_its_neighbours_are(view):
    x = torch.randn(12, 3, 200)
    params = view.draw(12, 3, 200, generator(1))
    whole = view.apply(x, params)
    for row in range(12):
        alone = view.apply(x[row : row + 1], {k: v[row : row + 1] for k, v in params.items()})
        assert torch.allclose(alone[0], whole[row], atol=1e-6)


@VIEWS
def test_written_parameters_replay_exactly(view):
    x = torch.randn(6, 3, 200)
    params = {view.name: view.draw(6, 3, 200, generator(2))}
    replayed = from_json(json.loads(json.dumps(to_json(params))))
    again = view.apply(x, replayed[view.name])
    assert torch.equal(again, view.apply(x, params[view.name]))


@VIEWS
def test_gradient_reaches_the_input(view):
    x = torch.randn(4, 3, 60, requires_grad=True)
    view.apply(x, view.draw(4, 3, 60, generator(3))).square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).any(dim=(1, 2)).all()


def test_coin_falls_as_often_as_asked():
    for probability in (0.0, 0.15, 1.0):
        for view in every_view(probability):
            share = view.draw(4000, 2, 100, generator(0))[APPLIED].float().mean()
            assert share == pytest.approx(probability, abs=0.03 if 0 < probability < 1 else 0)


@settings(max_examples=30)
@given(st.integers(1, 400), st.integers(0, 2**40))
def test_cutout_stays_inside_and_has_the_length_asked_for(length, seed):
    view = Cutout(probability=1.0, fraction=(0.3, 0.5))
    params = view.draw(50, 1, length, generator(seed))
    assert (params["start"] >= 0).all()
    assert (params["start"] + params["length"] <= length).all()
    assert (params["length"] >= 0.3 * length - 0.5).all()
    assert (params["length"] <= 0.5 * length + 0.5).all()


def test_cutout_reaches_both_ends():
    params = Cutout(probability=1.0, fraction=(0.5, 0.5)).draw(2000, 1, 10, generator(0))
    assert set(params["start"].tolist()) == set(range(6))


def test_knots_have_the_moments_asked_for():
    knots = MagnitudeWarp(probability=1, knots=7, sigma=0.2).draw(3000, 4, 100, generator(0))[
        "knots"
    ]
    assert knots.shape == (3000, 7)
    assert knots.mean() == pytest.approx(1, abs=0.01)
    assert knots.std() == pytest.approx(0.2, abs=0.01)
    public = TimeWarp(probability=1, knots=7, sigma=0.1, form="public")
    assert public.draw(3, 4, 100, generator(0))["knots"].shape == (3, 4, 7)


def test_every_channel_order_is_drawn():
    drawn = ChannelPermutation(probability=1).draw(500, 3, 10, generator(0))["permutation"]
    assert len({tuple(row) for row in drawn.tolist()}) == 6


def test_probability_outside_the_unit_interval_is_refused():
    with pytest.raises(ConfigError, match="cutout: probability is 40"):
        Cutout(probability=40, fraction=(0.3, 0.5))


def test_parameters_of_another_batch_are_refused():
    view = ChannelPermutation(probability=1)
    with pytest.raises(ValueError, match="parameters for 3 segments, but the batch has 4"):
        view.apply(torch.zeros(4, 2, 10), view.draw(3, 2, 10, generator(0)))
