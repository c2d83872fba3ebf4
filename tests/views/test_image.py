import json

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from medssl.batches import Pictures
from medssl.views.base import APPLIED, from_json, to_json
from medssl.views.image import plain
from medssl.views.image_config import ImageViewsConfig

SIZE = 32


def pictures(count=12, edge=48, seed=0):
    """Noise of different shapes, whose longer side is the edge, centred in black."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.zeros(count, 1, edge, edge, dtype=torch.uint8)
    extents = torch.full((count, 2), edge)
    for row in range(count):
        side = edge - 3 * (row % 5)
        extents[row, row % 2] = side
        height, width = extents[row].tolist()
        top, left = (edge - height) // 2, (edge - width) // 2
        noise = torch.randint(1, 256, (height, width), generator=generator, dtype=torch.uint8)
        pixels[row, 0, top : top + height, left : left + width] = noise
    return Pictures(pixels, extents)


def one(batch, row):
    return Pictures(batch.pixels[row : row + 1], batch.extents[row : row + 1])


def every_view(probability=0.5, **changes):
    names = ("crop", "flip", "affine", "jitter", "blur")
    values = {name: {"probability": probability} | changes.get(name, {}) for name in names}
    return ImageViewsConfig(size=SIZE, **values).build()


def one_by_one(batch, row, drawn):
    """A single image through torchvision, in the published order."""
    edge = batch.pixels.shape[-1]
    drawn = {name: {k: v[row] for k, v in found.items()} for name, found in drawn.items()}
    x = batch.pixels[row].float() / 255
    if drawn["crop"][APPLIED]:
        offset = (edge - batch.extents[row]) // 2
        top, left, height, width = (drawn["crop"]["box"] + torch.cat([offset, 0 * offset])).tolist()
        x = reference.crop(x, top, left, height, width)
    x = reference.resize(x, [SIZE, SIZE], InterpolationMode.BILINEAR, antialias=True)
    if drawn["flip"][APPLIED]:
        x = reference.hflip(x)
    if drawn["affine"][APPLIED]:
        values = drawn["affine"]
        shift = [SIZE * share for share in values["translate"].tolist()]
        x = reference.affine(
            x, values["angle"].item(), shift, values["scale"].item(), [0.0, 0.0],
            InterpolationMode.BILINEAR,
        )  # fmt: skip
    if drawn["jitter"][APPLIED]:
        x = reference.adjust_brightness(x, drawn["jitter"]["brightness"].item())
        x = reference.adjust_contrast(x, drawn["jitter"]["contrast"].item())
    if drawn["blur"][APPLIED]:
        radius = 2  # three times the widest sigma, 3 · 32 / 224, rounded up
        x = reference.gaussian_blur(x, [2 * radius + 1] * 2, [drawn["blur"]["sigma"].item()] * 2)
    return x


@pytest.mark.parametrize("probability", [0.5, 1.0])
@pytest.mark.parametrize("shape", ["image", "square"])
def test_views_are_those_of_torchvision_in_the_published_order(probability, shape):
    batch = pictures()
    views = every_view(probability, crop={"shape": shape})
    drawn = views.draw(batch.extents, seed=3)
    found = views.apply(batch, drawn)
    assert found.dtype == torch.float32
    assert 0 <= found.min() < found.max() <= 1
    for row in range(len(batch.pixels)):
        assert torch.allclose(found[row], one_by_one(batch, row, drawn), atol=2e-4)


def test_parameters_depend_on_seed_position_and_own_extents_alone():
    views = every_view()
    extents = pictures(40).extents
    long = views.draw(extents, seed=5)
    other = extents.clone()
    other[7:] = torch.tensor([48, 20])
    for drawn, rows in ((views.draw(extents[:7], seed=5), 7), (views.draw(other, seed=5), 7)):
        for name, params in drawn.items():
            assert all(torch.equal(v[:rows], long[name][key][:rows]) for key, v in params.items())
    again = views.draw(extents, seed=6)
    assert all(not torch.equal(again[name][APPLIED], long[name][APPLIED]) for name in long)


def test_an_image_is_changed_the_same_way_whoever_its_neighbours_are():
    batch, views = pictures(), every_view()
    before = batch.pixels.clone()
    drawn = views.draw(batch.extents, seed=1)
    whole = views.apply(batch, drawn)
    assert torch.equal(views(batch, seed=1), whole)
    assert torch.equal(batch.pixels, before)
    for row in range(12):
        params = {n: {k: v[row : row + 1] for k, v in p.items()} for n, p in drawn.items()}
        assert torch.allclose(views.apply(one(batch, row), params)[0], whole[row], atol=1e-6)


def test_seed_decides_and_the_global_generator_does_not():
    batch, views = pictures(), every_view()
    torch.manual_seed(1)
    first = views(batch, seed=0)
    torch.manual_seed(2)
    assert torch.equal(views(batch, seed=0), first)
    assert not torch.equal(views(batch, seed=1), first)


def test_written_parameters_replay_exactly():
    batch, views = pictures(), every_view()
    drawn = views.draw(batch.extents, seed=4)
    text = json.dumps(to_json(drawn))
    assert torch.equal(views.apply(batch, from_json(json.loads(text))), views.apply(batch, drawn))


def test_leaving_out_a_view_keeps_the_others_draws():
    extents = pictures().extents
    full = every_view().draw(extents, seed=3)
    for name in full:
        fewer = every_view(**{name: {"probability": 0}}).draw(extents, seed=3)
        assert set(fewer) == set(full) - {name}
        for other, params in fewer.items():
            assert all(torch.equal(value, full[other][key]) for key, value in params.items())


def test_without_any_view_it_is_what_is_embedded():
    batch = pictures()
    assert torch.equal(every_view(0)(batch, seed=0), plain(batch, SIZE))


def test_an_image_that_is_not_cut_stands_in_its_square():
    batch = pictures(40)
    views = ImageViewsConfig(
        size=SIZE, crop={"probability": 0.5}, flip={"probability": 0}, affine={"probability": 0},
        jitter={"probability": 0}, blur={"probability": 0},
    ).build()  # fmt: skip
    drawn = views.draw(batch.extents, seed=0)
    found, expected = views.apply(batch, drawn), plain(batch, SIZE)
    coin = drawn["crop"][APPLIED]
    assert 10 < coin.sum() < 30
    assert torch.allclose(found[~coin], expected[~coin], atol=1e-6)
    assert (found[coin] != expected[coin]).flatten(1).any(1).all()


def test_coins_of_different_views_are_independent():
    drawn = every_view().draw(torch.tensor([[8, 8]]).repeat(4000, 1), seed=0)
    coins = torch.stack([value[APPLIED].float() for value in drawn.values()])
    assert (torch.corrcoef(coins) - torch.eye(5)).abs().max() < 0.06
    assert coins.mean(dim=1).sub(0.5).abs().max() < 0.03


def test_parameters_are_uniform_over_what_is_published():
    drawn = ImageViewsConfig(size=224).build().draw(torch.full((4000, 2), 256), seed=0)
    intervals = {
        ("affine", "angle"): (-20, 20),
        ("affine", "translate"): (-0.1, 0.1),
        ("affine", "scale"): (0.95, 1.05),
        ("jitter", "brightness"): (0.6, 1.4),
        ("jitter", "contrast"): (0.6, 1.4),
        ("blur", "sigma"): (0.1, 3.0),
    }
    for (view, key), (low, high) in intervals.items():
        values = (drawn[view][key].double().flatten() - low) / (high - low)
        assert -1e-6 <= values.min() < 0.002
        assert 0.998 < values.max() <= 1 + 1e-6
        assert values.mean() == pytest.approx(0.5, abs=0.02)
        assert values.std() == pytest.approx(12**-0.5, abs=0.01)


def test_blur_is_as_wide_for_the_image_at_every_size():
    extents = torch.full((50, 2), 256)
    large, small = (
        ImageViewsConfig(size=size).build().draw(extents, seed=2)["blur"]["sigma"]
        for size in (224, 56)
    )
    assert torch.allclose(small * 4, large)
    fixed = ImageViewsConfig(size=56, blur={"reference_size": 56}).build()
    assert torch.equal(fixed.draw(extents, seed=2)["blur"]["sigma"], large)


def test_parts_do_not_matter(monkeypatch):
    batch, views = pictures(), every_view()
    whole = views(batch, seed=0)
    monkeypatch.setattr("medssl.views.image_functional.PIXELS_AT_ONCE", 5 * SIZE**2)
    assert torch.allclose(views(batch, seed=0), whole, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_device_does_not_matter():
    batch, views = pictures(64), every_view()
    there = Pictures(batch.pixels.cuda(), batch.extents.cuda())
    assert torch.allclose(views(there, seed=0).cpu(), views(batch, seed=0), atol=2e-3)
