from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from medssl.errors import StageError
from medssl.evaluation.image_text.similarity_map import (
    draw_map,
    map_on_image,
    project_places,
    similarity_map,
)

GRID = 14


def bright_square(rows: int, columns: int, top: int, left: int, side: int) -> np.ndarray:
    image = np.full((rows, columns), 40, dtype=np.uint8)
    image[top : top + side, left : left + side] = 230
    return image


def brightness(image: np.ndarray) -> torch.Tensor:
    """An encoder of two features, bright and dark, on the image in the middle of a square."""
    rows, columns = image.shape
    edge = max(rows, columns)
    square = torch.zeros(1, 1, edge, edge)
    top, left = (edge - rows) // 2, (edge - columns) // 2
    square[0, 0, top : top + rows, left : left + columns] = torch.from_numpy(image / 255.0)
    pooled = nn.functional.adaptive_avg_pool2d(square, (GRID, GRID))
    return torch.cat([pooled, 1 - pooled], dim=1)


@pytest.mark.parametrize(
    ("rows", "columns", "top", "left"),
    [(280, 420, 40, 300), (420, 280, 300, 40), (280, 280, 10, 20)],
)
def test_the_place_that_a_sentence_names_is_found_on_the_original_image(
    rows: int, columns: int, top: int, left: int
) -> None:
    image = bright_square(rows, columns, top, left, 90)
    projected = project_places(brightness(image), nn.Identity().eval())[0]
    found = similarity_map(projected, np.array([1.0, -0.3]))
    # The record is the image at half its size; the map is asked for at the size of the original.
    whole = map_on_image(found, (rows, columns), extents=(rows // 2, columns // 2))
    truth = image == 230
    assert whole.shape == image.shape
    assert truth[np.unravel_index(whole.argmax(), whole.shape)]
    bright = whole > (whole.max() + whole.min()) / 2
    assert (bright & truth).sum() / (bright | truth).sum() > 0.6


def test_cosines_equal_a_loop_over_places() -> None:
    rng = np.random.default_rng(0)
    places, text = rng.normal(size=(5, 3, 4)), rng.normal(size=5)
    found = similarity_map(torch.tensor(places), text)
    for i in range(3):
        for j in range(4):
            p = places[:, i, j]
            expected = p @ text / np.linalg.norm(p) / np.linalg.norm(text)
            assert found[i, j] == pytest.approx(expected)


def test_each_place_is_projected_as_an_image_that_looks_like_it_everywhere() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 6, 3, 4)
    head = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 5)).eval()
    found = project_places(features, head)
    everywhere = features[:, :, 1:2, 2:3].expand(-1, -1, 3, 4).mean(dim=(2, 3))
    torch.testing.assert_close(found[:, :, 1, 2], head(everywhere).detach())
    # Places add up to the image for a linear head, and not for this one.
    linear = nn.Linear(6, 5).eval()
    whole = features.mean(dim=(2, 3))
    torch.testing.assert_close(project_places(features, linear).mean(dim=(2, 3)), linear(whole))
    assert not torch.allclose(found.mean(dim=(2, 3)), head(whole))


def test_a_map_is_bilinear_between_centres_as_torch_has_it() -> None:
    found = torch.rand(1, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    expected = nn.functional.interpolate(found, (28, 28), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(
        map_on_image(found[0, 0].numpy(), (28, 28)), expected[0, 0].numpy(), atol=1e-6
    )


def test_black_borders_of_the_square_are_cut_off() -> None:
    found = np.zeros((8, 8))
    found[:2] = found[6:] = 9.0  # where the square of a wide image of 1:2 is empty
    whole = map_on_image(found, (100, 200))
    assert whole[20:80].max() == 0.0
    assert whole.shape == (100, 200)


def test_a_picture_is_written(tmp_path: Path) -> None:
    image = bright_square(60, 90, 10, 60, 20)
    found = similarity_map(brightness(image)[0], np.array([1.0, -0.3]))
    draw_map(image, found, "A bright square.", tmp_path / "map.png", extents=(60, 90))
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    picture = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"))
    assert picture.shape[1] > picture.shape[0]
    colourful = (np.ptp(picture.astype(int), axis=2) > 40).mean(axis=0)
    half = picture.shape[1] // 2
    assert colourful[:half].mean() == 0.0  # the image alone is grey
    assert colourful[half:].mean() > 0.01
    # A map of one value has no contours, and is drawn all the same.
    draw_map(image, np.zeros((4, 4)), "Nothing.", tmp_path / "flat.png", limits=(-1, 1))
    assert (tmp_path / "flat.png").stat().st_size > 1000
    # A map of one place differs by rounding alone once it is brought to the image's size.
    draw_map(image, np.full((1, 1), 0.1), "Everywhere.", tmp_path / "place.png")
    assert (tmp_path / "place.png").stat().st_size > 1000


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"call head.eval\(\)"):
        project_places(torch.ones(1, 3, 2, 2), nn.Linear(3, 3))
    with pytest.raises(StageError, match="both projected"):
        similarity_map(np.ones((3, 2, 2)), np.ones(4))
    with pytest.raises(StageError, match="grey values"):
        draw_map(np.ones((4, 4, 3)), np.ones((2, 2)), "x", tmp_path / "x.png")
