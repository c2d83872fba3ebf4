"""Image views against torchvision and Pillow, which compute them one image at a time."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from medssl.batches import Pictures
from medssl.views import image_functional as functional


def pictures(*extents, edge=40, bits=8, seed=0):
    """Noise, which no resampling flatters, centred in black."""
    generator = np.random.default_rng(seed)
    kind, top = (np.uint8, 256) if bits == 8 else (np.int32, 65_536)
    pixels = np.zeros((len(extents), 1, edge, edge), dtype=kind)
    for row, (height, width) in enumerate(extents):
        y, x = (edge - height) // 2, (edge - width) // 2
        pixels[row, 0, y : y + height, x : x + width] = generator.integers(
            top, size=(height, width)
        )
    return Pictures(torch.from_numpy(pixels), torch.tensor(extents))


def resized(grey, size):
    """By Pillow, in floats."""
    image = Image.fromarray(np.asarray(grey, dtype=np.float32))
    return torch.from_numpy(np.array(image.resize((size, size), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("size", [7, 24, 40, 64])
@pytest.mark.parametrize("bits", [8, 16])
def test_plain_is_the_square_resized_as_pillow_does(size, bits):
    given = pictures((40, 31), (22, 40), bits=bits)
    found = functional.plain(given, size)
    assert found.dtype == torch.float32
    assert found.shape == (2, 1, size, size)
    for row in range(2):
        square = given.pixels[row, 0].numpy() / (255 if bits == 8 else 65_535)
        assert torch.allclose(found[row, 0], resized(square, size), atol=1e-5)


def test_white_is_one_and_black_is_zero():
    for bits, top in ((8, 255), (16, 65_535)):
        given = pictures((40, 40), bits=bits)
        given.pixels[0, 0, :20], given.pixels[0, 0, 20:] = 0, top
        out = functional.plain(given, 4)
        assert out[0, 0, 0].eq(0).all()
        assert out[0, 0, -1].eq(1).all()


def test_plain_does_not_depend_on_the_parts_it_is_worked_on(monkeypatch):
    given = pictures(*[(40, 30)] * 5)
    whole = functional.plain(given, 17)
    monkeypatch.setattr(functional, "PIXELS_AT_ONCE", 2 * 40**2)
    assert torch.equal(functional.plain(given, 17), whole)


@pytest.mark.parametrize("size", [9, 50])
def test_crop_is_cut_then_resized_as_pillow_does(size):
    given = pictures((40, 31), (22, 40), (22, 40))
    # The last box begins in the black above its image.
    boxes = torch.tensor([[3, 5, 30, 20], [0, 0, 22, 40], [-4, 2, 20, 30]])
    found = functional.crop(given, boxes, size)
    for row, (top, left, height, width) in enumerate(boxes.tolist()):
        y, x = ((40 - given.extents[row]) // 2).tolist()
        part = given.pixels[row, 0, y + top : y + top + height, x + left : x + left + width]
        assert part.shape == (height, width)
        assert torch.allclose(found[row, 0], resized(part.numpy() / 255, size), atol=1e-5)


def test_crop_inside_an_image_never_shows_the_black_around_it():
    given = pictures((20, 30))
    given.pixels[given.pixels > 0] = 255
    given.pixels[0, 0, 10:30, 5:35] = 255
    assert functional.crop(given, torch.tensor([[0, 0, 20, 30]]), 64).eq(1).all()
    assert functional.plain(given, 64).eq(0).any()


@pytest.mark.parametrize("shape", [(40, 40), (24, 33)])
def test_affine_is_torchvisions(shape):
    x = torch.rand(4, 1, *shape)
    angle = torch.tensor([20.0, -13.0, 0.0, 180.0])
    translate = torch.tensor([[0.1, -0.05], [0.0, 0.07], [-0.1, 0.1], [0.0, 0.0]])
    scale = torch.tensor([0.95, 1.05, 1.0, 1.3])
    found = functional.affine(x, angle=angle, translate=translate, scale=scale)
    for row in range(4):
        shift = [translate[row, 0].item() * shape[1], translate[row, 1].item() * shape[0]]
        expected = reference.affine(
            x[row], angle[row].item(), shift, scale[row].item(), [0.0, 0.0],
            InterpolationMode.BILINEAR,
        )  # fmt: skip
        assert torch.allclose(found[row], expected, atol=1e-4)


def test_affine_that_does_nothing_changes_nothing_and_black_comes_in_from_outside():
    x = torch.rand(1, 1, 10, 10) / 2 + 0.5
    still = {"angle": torch.zeros(1), "scale": torch.ones(1)}
    none = functional.affine(x, translate=torch.zeros(1, 2), **still)
    assert torch.allclose(none, x, atol=1e-5)
    right = functional.affine(x, translate=torch.tensor([[0.2, 0.0]]), **still)
    assert right[..., :2].abs().max() < 1e-5
    assert torch.allclose(right[..., 2:], x[..., :-2], atol=1e-5)


def test_brightness_and_contrast_are_torchvisions():
    x = torch.rand(5, 1, 12, 17)
    ratio = torch.tensor([0.6, 0.9, 1.0, 1.2, 1.4])
    bright = functional.adjust_brightness(x, ratio=ratio)
    contrast = functional.adjust_contrast(x, ratio=ratio)
    for row in range(5):
        factor = ratio[row].item()
        assert torch.allclose(bright[row], reference.adjust_brightness(x[row], factor), atol=1e-6)
        assert torch.allclose(contrast[row], reference.adjust_contrast(x[row], factor), atol=1e-6)


def test_blur_is_torchvisions():
    x = torch.rand(3, 1, 30, 26)
    sigma = torch.tensor([0.1, 1.7, 3.0])
    found = functional.gaussian_blur(x, sigma=sigma, radius=9)
    for row in range(3):
        expected = reference.gaussian_blur(x[row], [19, 19], [sigma[row].item()] * 2)
        assert torch.allclose(found[row], expected, atol=1e-5)
    assert torch.allclose(found[0], x[0], atol=1e-6)
    assert torch.equal(functional.gaussian_blur(x, sigma=sigma, radius=0), x)


def test_half_precision_around_them_does_not_reach_the_pixels():
    """Training runs in autocast; bfloat16 tells only 256 grey values of [0.5, 1] apart."""
    x = torch.rand(2, 1, 16, 16)
    given = pictures((40, 31), (22, 40))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        blurred = functional.gaussian_blur(x, sigma=torch.ones(2), radius=3)
        small = functional.plain(given, 16)
        turned = functional.affine(
            x, angle=torch.full((2,), 5.0), translate=torch.zeros(2, 2), scale=torch.ones(2)
        )
    assert torch.equal(blurred, functional.gaussian_blur(x, sigma=torch.ones(2), radius=3))
    assert torch.equal(small, functional.plain(given, 16))
    assert turned.dtype == torch.float32
