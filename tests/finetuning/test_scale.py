import numpy as np
import pytest
import torch

from medssl.finetuning.heads import CumulativeLogits
from medssl.finetuning.scale import Scale, base_scores
from medssl.objectives.ordinal import increasing_thresholds


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [("regression", 1), ("binary", 1), ("multiclass", 3), ("multilabel", 2), ("ordinal", 2),
     ("survival", 1)],
)  # fmt: skip
def test_outputs_become_what_predictions_hold(waves, kind, outputs):
    units = waves(20).units(kind)
    scale = Scale.of(units)
    assert scale.outputs == outputs
    made = np.sort(np.random.default_rng(0).normal(size=(5, outputs)))[:, ::-1]
    natural = scale.natural(made)
    assert natural.shape == ((5,) if outputs == 1 else (5, len(units.classes)))
    if kind in ("multiclass", "ordinal"):
        assert natural.sum(axis=1) == pytest.approx(1)
        assert (natural >= 0).all()
    if kind in ("binary", "multilabel"):
        assert scale.scores(natural) == pytest.approx(made[:, 0] if kind == "binary" else made)
    assert Scale.from_dict(scale.to_dict()) == scale
    assert base_scores(units, scale).shape == natural.shape[1:]


def test_a_target_is_standardised_over_participants_not_units(waves):
    units = waves(4).units("regression")
    people = np.array(["a", "a", "a", "b"])
    values = np.array([0.0, 0.0, 0.0, 10.0])
    uneven = type(units)(
        "regression", units.names, people, values, (), units.rows, units.offsets
    )  # fmt: skip
    scale = Scale.of(uneven)
    assert (scale.mean, scale.deviation) == (5.0, 5.0)
    assert scale.targets(values).tolist() == [-1.0, -1.0, -1.0, 1.0]
    assert scale.natural(np.array([[-1.0], [1.0]])).tolist() == [0.0, 10.0]


def test_grades_are_those_of_the_cumulative_logit_model():
    torch.manual_seed(0)
    layer = CumulativeLogits(4, 3)
    with torch.no_grad():
        layer.free.copy_(torch.tensor([-1.0, 0.3, -2.0]))
    x = torch.randn(6, 4)
    scale = Scale("ordinal", ("a", "b", "c", "d"))
    below = torch.sigmoid(increasing_thresholds(layer.free) - layer.score(x))
    wanted = torch.diff(below, dim=1, prepend=torch.zeros(6, 1), append=torch.ones(6, 1))
    found = scale.natural(layer(x).detach().numpy())
    assert found == pytest.approx(wanted.detach().numpy(), abs=1e-6)


def test_without_features_the_shares_are_predicted(waves):
    units = waves(20).units("binary")
    share = (units.values.sum() + 0.5) / 21
    base = base_scores(units, Scale.of(units))
    assert float(base) == pytest.approx(np.log(share / (1 - share)))
    weights = np.array([1 / (20 - units.values.sum() + 0.5), 1 / (units.values.sum() + 0.5)])
    assert float(base_scores(units, Scale.of(units), weights=weights)) == pytest.approx(0)


def test_certain_probabilities_stay_finite():
    scores = Scale("binary").scores(np.array([0.0, 1.0]))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "fortune"}, {"mean": float("nan")}, {"deviation": -1.0}, {"classes": "ab"},
        {"classes": ["a"]}, {"kind": "ordinal", "classes": ["a"]}, {"kind": "multiclass"},
    ],
)  # fmt: skip
def test_what_is_no_scale_is_refused(changes):
    with pytest.raises(ValueError, match="a scale"):
        Scale.from_dict({**Scale("regression", mean=50.0, deviation=10.0).to_dict(), **changes})
