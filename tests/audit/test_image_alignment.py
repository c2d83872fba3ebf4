"""Laying images on each other: against plain correlations, and planted crops and shifts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, zoom

from medssl.audit.image_alignment import SIDE, aligned_distance, central, details
from medssl.threads import torch_threads


def textures(count: int, seed: int = 0, side: int = 128) -> np.ndarray:
    """Smooth random images (count, side, side), none like another."""
    noise = np.random.default_rng(seed).normal(size=(count, side, side))
    return np.stack([gaussian_filter(image, side / 40) for image in noise])


def thumbnails(images: np.ndarray) -> torch.Tensor:
    """Brought to 64 pixels by an independent hand."""
    return torch.from_numpy(np.stack([zoom(i, 64 / np.array(i.shape), order=1) for i in images]))


def test_details_are_what_a_blur_leaves() -> None:
    x = thumbnails(textures(3)).numpy()
    found = details(torch.from_numpy(x)).numpy()[:, 0]
    small = x.reshape(3, SIDE, 2, SIDE, 2).mean((2, 4))
    for image, wanted in zip(found, small, strict=True):
        fine = wanted - gaussian_filter(wanted, 3, mode="nearest", truncate=3)
        assert np.corrcoef(image.ravel(), fine.ravel())[0, 1] == pytest.approx(1, abs=1e-4)
        assert (image.mean(), image.std()) == pytest.approx((0, 1), abs=1e-3)
    assert not details(torch.full((1, 64, 64), 0.3)).any()


def test_a_distance_is_never_larger_than_that_of_the_images_as_they_are() -> None:
    left, right = details(thumbnails(textures(8))), details(thumbnails(textures(8, seed=1)))
    plain = [
        1 - np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(left.numpy(), right.numpy(), strict=True)
    ]
    found = aligned_distance(left, right).numpy()
    assert (found <= np.array(plain) + 1e-5).all()
    assert (found > 0.3).all()  # nothing makes two different images one


@pytest.mark.parametrize(
    "frame",
    [
        (slice(4, -4), slice(4, -4)),
        (slice(5, None), slice(None, -6)),
        (slice(0, -5), slice(3, -3)),
    ],
)
def test_a_crop_comes_to_lie_on_the_whole(frame: tuple[slice, slice]) -> None:
    whole = textures(6)
    left, right = details(thumbnails(whole)), details(thumbnails(whole[(slice(None), *frame)]))
    before = 1 - (left * right).mean((1, 2, 3))
    after = aligned_distance(left, right)
    assert (before > 0.2).all()
    assert (after < before / 4).all()
    again = aligned_distance(left, 2 * right + 1)
    assert torch.allclose(again, after, atol=0.02)


def test_a_constant_image_is_far_from_everything() -> None:
    image = details(thumbnails(textures(1)))
    assert aligned_distance(image, torch.zeros_like(image)).tolist() == [2.0]


def test_a_central_cut_is_the_middle_at_full_size() -> None:
    ramp = torch.linspace(0, 1, 64).repeat(1, 64, 1)
    cut = central(ramp, 0.1)
    assert cut.shape == (1, 64, 64)
    assert float(cut.min()) == pytest.approx(0.1, abs=0.01)
    assert float(cut.max()) == pytest.approx(0.9, abs=0.01)
    assert torch.allclose(central(ramp, 0.0), ramp, atol=1e-5)


def test_the_number_of_threads_is_given_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
