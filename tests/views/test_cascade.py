import json

import pytest
import torch

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.views import Cascade, ViewsConfig
from medssl.views.base import APPLIED, from_json, to_json
from medssl.views.signal import Cutout


def test_published_ppg_defaults():
    config = ViewsConfig()
    published = {
        "kind": "waveform",
        "cutout": {"probability": 0.4, "fraction": (0.3, 0.5)},
        "magnitude_warp": {"probability": 0.25, "knots": 7, "sigma": 0.2},
        "time_warp": {"probability": 0.15, "knots": 7, "sigma": 0.1, "form": "monotone"},
        "gaussian_noise": {"probability": 0.25, "sigma": (0.05, 0.1)},
        "channel_permutation": {"probability": 0.25},
    }
    assert config.model_dump() == published
    # The published order is the order of application.
    assert ["kind", *(view.name for view in config.build().views)] == list(published)


def test_cascade_is_its_views_one_after_the_other():
    cascade = ViewsConfig().build()
    x = torch.randn(64, 4, 128)
    before = x.clone()
    params = cascade.draw(64, 4, 128, seed=0)
    expected = x
    for view in cascade.views:
        expected = view.apply(expected, params[view.name])
    assert torch.equal(cascade.apply(x, params), expected)
    assert torch.equal(cascade(x, seed=0), expected)
    assert torch.equal(x, before)
    assert not torch.equal(expected, x)


def test_seed_decides_and_zero_is_a_seed():
    cascade = ViewsConfig().build()
    x = torch.randn(32, 2, 100)
    torch.manual_seed(1)
    first = cascade(x, seed=0)
    torch.manual_seed(2)
    assert torch.equal(cascade(x, seed=0), first)
    assert not torch.equal(cascade(x, seed=1), first)


def test_leaving_out_a_view_keeps_the_others_draws():
    full = ViewsConfig().build().draw(16, 2, 100, seed=3)
    fewer = ViewsConfig(cutout={"probability": 0}).build().draw(16, 2, 100, seed=3)
    assert "cutout" not in fewer
    for name, params in fewer.items():
        for key, value in params.items():
            assert torch.equal(value, full[name][key])


def test_coins_of_different_views_are_independent():
    drawn = ViewsConfig.model_validate(
        {name: {"probability": 0.5} for name in ViewsConfig.model_fields.keys() - {"kind"}}
    )
    params = drawn.build().draw(4000, 2, 50, seed=0)
    coins = torch.stack([value[APPLIED].float() for value in params.values()])
    correlation = torch.corrcoef(coins) - torch.eye(5)
    assert correlation.abs().max() < 0.06


def test_rows_depend_on_seed_and_position_alone():
    cascade = ViewsConfig().build()
    x = torch.randn(50, 4, 130)
    assert torch.allclose(cascade(x[:7], seed=9), cascade(x, seed=9)[:7], atol=1e-6)


def test_written_parameters_replay_exactly():
    cascade = ViewsConfig(time_warp={"probability": 1.0, "form": "public"}).build()
    x = torch.randn(20, 4, 128)
    params = cascade.draw(20, 4, 128, seed=4)
    text = json.dumps(to_json(params))
    assert torch.equal(cascade.apply(x, from_json(json.loads(text))), cascade.apply(x, params))


def test_the_same_view_twice_is_refused():
    view = Cutout(probability=0.5, fraction=(0.3, 0.5))
    with pytest.raises(ValueError, match="each view once"):
        Cascade([view, view])


def test_bad_settings_are_all_reported():
    with pytest.raises(ConfigError) as caught:
        validate(
            ViewsConfig,
            {
                "cutout": {"probabilty": 0.4, "fraction": [0.5, 0.3]},
                "time_warp": {"knots": 2, "form": "backwards"},
            },
            where="views",
        )
    message = str(caught.value)
    assert "did you mean probability?" in message
    assert "views.cutout.fraction: the lower end comes first" in message
    assert "views.time_warp.knots" in message
    assert "views.time_warp.form" in message


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_device_does_not_matter():
    cascade = ViewsConfig().build()
    x = torch.randn(64, 4, 640)
    assert torch.allclose(cascade(x.cuda(), seed=0).cpu(), cascade(x, seed=0), atol=1e-4)
