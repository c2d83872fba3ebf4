import pytest
import torch
from pydantic import ValidationError

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.methods.config import MethodConfig, MultiViewConfig
from medssl.methods.registry import build_method
from medssl.objectives.multiview import mv_dhel, mv_infonce, symmetric_infonce
from medssl.stages.pretrain import PretrainConfig

OFF = {
    name: {"probability": 0}
    for name in ("cutout", "magnitude_warp", "time_warp", "gaussian_noise", "channel_permutation")
}
NOISY = {**OFF, "gaussian_noise": {"probability": 1}}
PPG = {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2}
ECG = {"name": "resnet1d", "channels": 2, "width": 6, "stages": 2}
PARTNER = {"encoder": ECG, "views": NOISY}


def values(**method):
    return {
        "encoder": PPG,
        "head": {"hidden": 16, "out": 8, "dropout": 0},
        "views": NOISY,
        "method": {"name": "multiview", **method},
    }


def build(partner=PARTNER, seed=0, **method):
    config = MethodConfig.model_validate({**values(**method), "partner": partner})
    return build_method(config, seed=seed, steps=10)


def moments(rows=5, position=0):
    """Simultaneous segments: other channels, another rate."""
    generator = torch.Generator().manual_seed(rows)
    return {
        "first": torch.randn(rows, 1, 64, generator=generator),
        "second": torch.randn(rows, 2, 128, generator=generator),
        "participants": torch.tensor([0, 0, 1, 2, 3])[:rows],
        "position": position,
    }


FORMS = {"mv_dhel": mv_dhel, "mv_infonce": mv_infonce}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_all_views_of_both_records_meet_in_one_loss(form, count):
    made = build(form=form, views_per_record=count, temperature=0.2)
    batch = moments()
    found = made.loss(batch)
    assert found.keys() == {"loss", form}
    made = build(form=form, views_per_record=count, temperature=0.2)
    first = [made.head(made.encoder(made.view(batch, "first", i))) for i in range(count)]
    second = [
        made.partner_head(made.partner_encoder(made.view(batch, "second", i))) for i in range(count)
    ]
    rows = torch.stack([*first, *second], dim=1)
    expected = FORMS[form](rows, batch["participants"], temperature=0.2)
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_infonce_compares_the_first_record_with_the_second():
    made = build(form="infonce")
    batch = moments()
    value = made.loss(batch)["loss"]
    made = build(form="infonce")
    first = made.head(made.encoder(made.view(batch, "first")))
    second = made.partner_head(made.partner_encoder(made.view(batch, "second")))
    expected = symmetric_infonce(first, second, batch["participants"], temperature=0.5)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


def test_records_of_one_participant_repel_each_other_only_on_demand():
    alone, all_apart = moments(), {**moments(), "participants": torch.arange(5)}
    assert build().loss(alone)["loss"] != build().loss(all_apart)["loss"]
    found = build(mask_participants=False).loss(alone)["loss"]
    assert found == build().loss(all_apart)["loss"]


def test_views_of_one_record_differ_and_depend_on_the_position_alone():
    made = build()
    batch = moments()
    views = [made.view(batch, side, i) for side in ("first", "second") for i in range(2)]
    assert not torch.equal(views[0], views[1])
    assert not torch.equal(views[2], views[3])
    assert torch.equal(views[3], build().view(batch, "second", 1))
    assert not torch.equal(views[3], made.view(moments(position=1), "second", 1))


def test_each_modality_has_its_own_views():
    made = build(partner={"encoder": ECG, "views": OFF})
    batch = moments()
    assert torch.equal(made.view(batch, "second", 0), made.view(batch, "second", 1))
    assert not torch.equal(made.view(batch, "first", 0), made.view(batch, "first", 1))


def test_two_encoders_and_two_heads_are_trained():
    made = build()
    made.loss(moments())["loss"].backward()
    owned = {
        id(p) for group in made.configure_optimizers()["optimizer"].param_groups
        for p in group["params"]
    }  # fmt: skip
    for name, parameter in made.named_parameters():
        assert id(parameter) in owned, name
        assert parameter.grad is not None, name
    assert {name.split(".")[0] for name, _ in made.named_parameters()} == {
        "encoder", "head", "partner_encoder", "partner_head",
    }  # fmt: skip
    assert made.exported_partner() == (made.partner_encoder, made.partner_head)
    assert made.exported("student") == (made.encoder, made.head)


def test_without_a_partner_one_encoder_sees_both_records():
    made = build(partner=None)
    batch = {**moments(), "second": torch.randn(5, 1, 64)}
    made.loss(batch)["loss"].backward()
    assert made.exported_partner() is None
    assert {name.split(".")[0] for name, _ in made.named_parameters()} == {"encoder", "head"}


def test_the_partner_has_weights_of_its_own():
    made = build(partner={"encoder": PPG})
    left, right = made.encoder.state_dict(), made.partner_encoder.state_dict()
    assert any(not torch.equal(left[name], right[name]) for name in left)
    same = build(partner=None).encoder.state_dict()
    assert all(torch.equal(left[name], same[name]) for name in left)


@pytest.mark.parametrize(
    ("form", "count"), [("mv_dhel", 1), ("mv_infonce", 1), ("mv_infonce", 2), ("infonce", 1)]
)
def test_it_learns_which_signals_were_recorded_at_one_time(form, count):
    """A rhythm is seen by two sensors: a pulse wave, and spikes in two leads."""
    made = build(form=form, views_per_record=count)
    optimizer = torch.optim.Adam(made.parameters(), lr=5e-3)

    def simultaneous(rows, seed):
        generator = torch.Generator().manual_seed(seed)
        beats = 1 + 3 * torch.rand(rows, 1, 1, generator=generator)
        phase = torch.rand(rows, 1, 1, generator=generator)
        slow, fast = torch.arange(64) / 64, torch.arange(128) / 128
        wave = torch.sin(6.28 * (beats * slow + phase - 0.2))
        spikes = torch.cos(6.28 * (beats * fast + phase)).clamp(min=0) ** 9
        return {
            "first": wave, "second": torch.cat([spikes, -0.4 * spikes + 0.1], dim=1),
            "participants": torch.arange(rows), "position": seed,
        }  # fmt: skip

    def found(batch):
        with torch.no_grad():  # batch norm sees this batch: its averages lag behind the weights
            x, y = (
                torch.nn.functional.normalize(made.project(made.view(batch, side), side))
                for side in ("first", "second")
            )
        nearest = (x @ y.T).topk(10, dim=1).indices
        return (nearest == torch.arange(len(x))[:, None]).any(1).float().mean().item()

    held_out = simultaneous(100, 10_000)
    before = found(held_out)
    for step in range(60):
        optimizer.zero_grad()
        made.loss(simultaneous(32, step))["loss"].backward()
        optimizer.step()
    # The right one of a hundred is among ten by chance in a tenth of the cases.
    assert before < 0.25
    assert found(held_out) > 0.5


def test_infonce_takes_two_views():
    with pytest.raises(ValidationError, match="form: infonce compares two views"):
        MultiViewConfig(form="infonce", views_per_record=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "simclr"}, "method simclr has no second encoder: use multiview"),
        ({"partner": None}, r"pairs.partner is ecg: name its encoder, partner: \{encoder"),
        ({"pairs": {}}, r"partner belongs to pairs: \{level: moment, study or record"),
        ({"modality": "ecg"}, "pairs.partner is ecg, as modality: name another modality"),
        ({"export": "teacher"}, "keeps no teacher here"),
    ],
)
def test_what_moments_need_is_checked_before_anything_runs(changes, message):
    whole = {
        **values(), "partner": PARTNER, "modality": "ppg",
        "pairs": {"level": "moment", "partner": "ecg"},
    }  # fmt: skip
    validate(PretrainConfig, whole, where="pretrain")
    with pytest.raises(ConfigError, match=message):
        validate(PretrainConfig, {**whole, **changes}, where="pretrain")
