from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.views.image_crop import Crop


def crop(**changes):
    values = {"probability": 1.0, "area": (0.6, 1.0), "aspect": (1.0, 1.0), "shape": "image"}
    return Crop(**(values | changes))


def boxes(extents, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    return crop(**changes).draw(extents, generator)["box"]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**40), st.floats(0.05, 1),
    st.sampled_from([(1.0, 1.0), (0.5, 2.0), (2.0, 3.0)]),
)  # fmt: skip
def test_boxes_lie_inside_the_image(height, width, seed, least, aspect):
    extents = torch.tensor([[height, width]]).repeat(30, 1)
    found = boxes(extents, seed, area=(least, 1.0), aspect=aspect)
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] >= 1).all()
    assert (found[:, :2] + found[:, 2:] <= extents).all()


def test_boxes_take_the_share_of_the_images_own_area_and_keep_its_proportions():
    extents = torch.tensor([[400, 300]]).repeat(4000, 1)
    found = boxes(extents).double()
    share = found[:, 2] * found[:, 3] / (400 * 300)
    assert share.min() == pytest.approx(0.6, abs=0.01)
    assert share.max() == pytest.approx(1.0, abs=0.01)
    assert share.mean() == pytest.approx(0.8, abs=0.01)
    assert (found[:, 2] / found[:, 3] - 4 / 3).abs().max() < 0.01


def test_boxes_reach_every_place():
    found = boxes(torch.tensor([[10, 20]]).repeat(3000, 1), area=(0.5, 0.5))
    assert set(found[:, 0].tolist()) == set(range(4))  # 10 rows less 7
    counts = Counter(found[:, 1].tolist())
    assert set(counts) == set(range(7))  # 20 columns less 14
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_proportions_vary_as_far_as_the_box_fits():
    extents = torch.tensor([[1000, 1000]]).repeat(3000, 1)
    found = boxes(extents, area=(0.64, 0.64), aspect=(0.25, 4.0)).double()
    ratio = found[:, 3] / found[:, 2]
    assert ratio.min() == pytest.approx(0.64, abs=0.01)
    assert ratio.max() == pytest.approx(1 / 0.64, abs=0.02)
    assert ratio.log().mean() == pytest.approx(0, abs=0.03)
    assert (found[:, 2] * found[:, 3] / 1000**2 - 0.64).abs().max() < 0.002


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**40), st.floats(0.05, 1))
def test_square_boxes_stay_in_the_square_and_lose_no_more_than_they_must(
    height, width, seed, least
):
    extents = torch.tensor([[height, width]]).repeat(30, 1)
    found = boxes(extents, seed, area=(least, 1.0), shape="square")
    side = max(height, width)
    offset = (side - extents) // 2
    assert (found[:, 2] == found[:, 3]).all()
    assert (found[:, :2] + offset >= 0).all()
    assert (found[:, :2] + offset + found[:, 2:] <= side).all()
    seen = (found[:, :2] + found[:, 2:]).minimum(extents) - found[:, :2].clamp(min=0)
    assert torch.equal(seen, found[:, 2:].minimum(extents))
