from __future__ import annotations

import numpy as np
import pytest

from medssl.audit.image_occlusion import occlusion_map
from medssl.errors import StageError


def one_cell_at_a_time(score, images, grid):
    """With slices, one image and one cell at a time."""
    height, width = images.shape[-2:]
    found = []
    for image in images:
        before = score(image[None])[0]
        drops = np.empty((*grid, *np.shape(before)))
        for row in range(grid[0]):
            for column in range(grid[1]):
                rows = slice(-(-height * row // grid[0]), -(-height * (row + 1) // grid[0]))
                columns = slice(-(-width * column // grid[1]), -(-width * (column + 1) // grid[1]))
                covered = image.copy()
                covered[..., rows, columns] = image.mean(axis=(-2, -1), keepdims=True)
                drops[row, column] = before - score(covered[None])[0]
        found.append(drops)
    return np.stack(found)


def two_scores(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1).astype(np.float64)
    return np.stack([flat.std(axis=1), (flat * np.arange(flat.shape[1])).sum(axis=1)], axis=1)


@pytest.mark.parametrize("shape", [(5, 16, 12), (3, 2, 13, 17)])
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_it_is_one_cell_after_the_other(shape: tuple[int, ...], batch_size: int) -> None:
    images = np.random.default_rng(0).normal(size=shape)
    found = occlusion_map(two_scores, images, grid=(4, 3), batch_size=batch_size)
    expected = one_cell_at_a_time(two_scores, images, (4, 3))
    assert found.shape == (shape[0], 4, 3, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_the_map_points_at_what_the_score_reads() -> None:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 50, size=(6, 32, 32), dtype=np.uint8)
    places = [(0, 0), (1, 3), (3, 3), (2, 1), (0, 2), (3, 0)]
    for image, (row, column) in zip(images, places, strict=True):
        image[8 * row + 2 : 8 * row + 6, 8 * column + 2 : 8 * column + 6] = 250
    given = images.copy()
    found = occlusion_map(lambda x: (x > 200).mean(axis=(1, 2)), images, grid=(4, 4))
    assert [np.unravel_index(drop.argmax(), (4, 4)) for drop in found] == places
    assert ((found > 0).sum(axis=(1, 2)) == 1).all()
    np.testing.assert_array_equal(images, given)


def test_whole_numbers_stay_whole_numbers() -> None:
    types = set()

    def score(x: np.ndarray) -> np.ndarray:
        types.add(x.dtype)
        return x.astype(float).sum(axis=(1, 2))

    image = np.array([[[0, 255], [255, 255]]], dtype=np.uint8)  # mean 191.25
    found = occlusion_map(score, image, grid=(2, 2))
    assert types == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(found[0], [[-191, 64], [64, 64]])


def test_a_constant_score_drops_nowhere() -> None:
    images = np.random.default_rng(2).normal(size=(3, 8, 8))
    assert not occlusion_map(lambda x: np.ones(len(x)), images, grid=(2, 2)).any()


def test_the_score_is_asked_in_batches() -> None:
    sizes = []

    def score(x: np.ndarray) -> np.ndarray:
        sizes.append(len(x))
        return x.sum(axis=(1, 2))

    occlusion_map(score, np.zeros((10, 8, 8)), grid=(4, 4), batch_size=20)
    assert max(sizes) <= 20
    assert sum(sizes) == 10 + 10 * 16


def test_scores_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(StageError, match="not finite"):
        occlusion_map(lambda x: np.full(len(x), np.nan), np.zeros((2, 8, 8)))


@pytest.mark.parametrize(
    ("shape", "grid"), [((4, 8), (2, 2)), ((2, 8, 8), (9, 2)), ((2, 8, 8), (0, 2))]
)
def test_images_that_cannot_be_covered_are_refused(
    shape: tuple[int, ...], grid: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="cannot be covered"):
        occlusion_map(lambda x: np.zeros(len(x)), np.zeros(shape), grid=grid)


def test_a_score_for_each_image_is_asked_for() -> None:
    with pytest.raises(ValueError, match="gave 1 values for 2 images"):
        occlusion_map(lambda x: np.zeros(1), np.zeros((2, 8, 8)))
