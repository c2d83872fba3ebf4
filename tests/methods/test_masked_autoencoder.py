import pytest
import torch
from pydantic import ValidationError

from medssl.config import validate
from medssl.errors import ConfigError, ObjectiveError
from medssl.methods.config import MethodConfig
from medssl.methods.masked_autoencoder import patchify
from medssl.methods.registry import build_method
from medssl.views.normalise import zscore

ENCODER = {"name": "vit1d", "channels": 2, "patch": 8, "width": 16, "depth": 2, "heads": 2}


def build(seed=0, encoder=None, **changes):
    config = MethodConfig.model_validate(
        {
            "encoder": {**ENCODER, **(encoder or {})},
            "method": {
                "name": "masked_autoencoder",
                "decoder": {"width": 8, "depth": 1, "heads": 2},
                **changes,
            },
        }
    )
    return build_method(config, seed=seed, steps=10)


def batch(rows=3, time=80, position=0):
    generator = torch.Generator().manual_seed(rows)
    first, second = torch.randn(2, rows, 2, time, generator=generator)
    people = torch.arange(rows)
    return {"first": first, "second": second, "participants": people, "position": position}


@pytest.mark.parametrize(
    ("ratio", "patches", "kept"),
    [(0.75, 60, 15), (0.75, 10, 2), (0.5, 5, 2), (0.99, 8, 1), (0.01, 8, 7), (0.75, 2, 1)],
)
def test_every_sample_keeps_equally_many_patches_and_none_is_unasked(ratio, patches, kept):
    visible, masked = build(ratio=ratio).mask(50, patches, position=4)
    assert visible.shape == (50, kept)
    assert masked.sum(1).eq(patches - kept).all()
    assert (visible.diff(dim=1) > 0).all()
    assert not masked.gather(1, visible).any()


def test_the_mask_is_a_function_of_seed_and_position():
    made = build()
    first, again = made.mask(6, 20, position=3), build().mask(6, 20, position=3)
    assert torch.equal(first[0], again[0])
    for other in (made.mask(6, 20, position=4), build(seed=1).mask(6, 20, position=3)):
        assert not torch.equal(first[0], other[0])
    torch.manual_seed(7)
    assert torch.equal(made.mask(6, 20, position=3)[0], first[0])


def test_all_patches_are_masked_equally_often():
    visible, _ = build().mask(4000, 8, position=0)
    counts = torch.bincount(visible.flatten(), minlength=8)
    assert counts.float().sub(1000).abs().max() < 4 * (4000 * 0.25 * 0.75) ** 0.5


def test_changing_masked_samples_leaves_what_the_encoder_gives_unchanged():
    made = build().eval()
    x = zscore(torch.randn(2, 2, 80))
    visible, masked = made.mask(2, 10, position=0)

    def seen(x):
        tokens = made.encoder.tokens(x)
        return made.encoder.encode(tokens.gather(1, visible[..., None].expand(-1, -1, 16)))

    hidden = masked.repeat_interleave(8, dim=1)[:, None, :].expand_as(x)
    other = torch.where(hidden, torch.randn_like(x) * 9, x)
    assert torch.equal(seen(x), seen(other))
    shown = torch.where(hidden, x, x + 1)
    assert not torch.allclose(seen(x), seen(shown), atol=1e-3)


def test_the_loss_is_the_error_on_masked_patches_of_both_records():
    made = build().eval()
    data = batch(position=5)
    loss = made.loss(data)["loss"]
    x = zscore(torch.cat([data["first"], data["second"]]))
    visible, masked = made.mask(6, 10, position=5)
    errors = []
    for row in range(6):
        tokens = made.encoder.tokens(x[row : row + 1])[:, visible[row]]
        out = made.decoder(made.encoder.encode(tokens), visible[row : row + 1], 10)[0]
        patches = torch.stack([x[row, :, 8 * p : 8 * p + 8].flatten() for p in range(10)])
        target = (patches - patches.mean(1, keepdim=True)) / (
            patches.var(1, keepdim=True, correction=0) + 1e-6
        ).sqrt()
        errors.append((out - target)[masked[row]].square().mean())
    assert loss.item() == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)


def test_standardising_is_a_switch():
    made = build(standardise=False).eval()
    data = batch()
    plain = made.loss(data)["loss"]
    assert plain.item() != pytest.approx(build().eval().loss(data)["loss"].item(), rel=1e-3)


def test_views_apply_only_on_demand():
    data = batch()
    plain = build().loss(data)["loss"]
    assert torch.equal(plain, build().loss(data)["loss"])
    assert not torch.equal(plain, build(augment=True).loss(data)["loss"])


def test_a_tail_that_would_give_its_neighbour_away_is_not_used():
    made = build()
    data = batch(time=83)
    normed = {**data, **{side: zscore(data[side]) for side in ("first", "second")}}
    other = {**normed, **{side: normed[side].clone() for side in ("first", "second")}}
    for side in ("first", "second"):
        # Swapped samples of the tail leave mean and deviation, and so the z-score, as they are.
        other[side][..., 80:] = normed[side][..., 80:].flip(-1)
    assert made.loss(normed)["loss"].item() == pytest.approx(
        made.loss(other)["loss"].item(), rel=1e-5
    )


def test_constant_and_flat_segments_have_a_finite_loss_and_gradient():
    made = build()
    data = batch()
    data["first"][:] = 3.0
    data["second"][:, :, 20:60] = 0.0
    loss = made.loss(data)["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    for module in made.trained():
        assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def test_the_gradient_reaches_every_trained_parameter():
    made = build()
    made.loss(batch())["loss"].backward()
    optimised = {
        id(p) for group in made.configure_optimizers()["optimizer"].param_groups
        for p in group["params"]
    }  # fmt: skip
    for name, parameter in made.named_parameters():
        assert id(parameter) in optimised, name
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


def test_the_decoder_tells_the_encoders_places_apart():
    made = build().eval()
    seen = torch.randn(1, 2, 16)
    a = made.decoder(seen, torch.tensor([[0, 3]]), 5)
    b = made.decoder(seen, torch.tensor([[0, 4]]), 5)
    assert a.shape == (1, 5, 16)
    assert not torch.allclose(a, b, atol=1e-3)


def test_it_learns_to_fill_in_a_sine():
    made = build(
        encoder={"channels": 1, "patch": 10, "width": 32}, standardise=False, ratio=0.5,
        decoder={"width": 32, "depth": 1, "heads": 2},
    )  # fmt: skip
    time = torch.arange(100.0)
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    losses = []
    for step in range(200):
        phase = torch.rand(32, 1, 1, generator=torch.Generator().manual_seed(step)) * 6.28
        x = torch.sin(2 * torch.pi * time / 37 + phase)
        loss = made.loss({"first": x[:16], "second": x[16:], "position": step})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Zeros everywhere, the best guess without looking, would score the variance: 1.
    assert sum(losses[-10:]) / 10 < 0.3


def test_only_the_encoder_is_exported():
    made = build()
    assert made.exported("student") == (made.encoder, None)
    with pytest.raises(ObjectiveError, match="has no teacher"):
        made.exported("teacher")


def test_patches_hold_all_channels():
    x = torch.arange(24.0).reshape(2, 2, 6)
    found = patchify(x, 4)
    assert found.shape == (2, 1, 8)
    assert found[1, 0].tolist() == [12, 13, 14, 15, 18, 19, 20, 21]


def test_other_encoders_and_too_few_patches_are_refused():
    values = {"encoder": {"name": "resnet1d", "channels": 1}, "method": "masked_autoencoder"}
    with pytest.raises(ConfigError, match=r"hides patches, which resnet1d has not: use encoder:"):
        validate(MethodConfig, values, where="pretrain")
    with pytest.raises(ObjectiveError, match=r"1 whole patch.* lower pretrain.encoder.patch"):
        build().loss(batch(time=15))
    with pytest.raises(ValidationError, match="multiple of heads"):
        build(decoder={"width": 10, "heads": 4})
