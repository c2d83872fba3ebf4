from __future__ import annotations

import numpy as np
import pytest

from medssl.audit.regions import Region, occlude, regions


@pytest.mark.parametrize("sizes", [(10,), (7, 9), (4, 5, 6)])
def test_regions_cover_everything_once(sizes: tuple[int, ...]) -> None:
    counts = tuple(min(3, size) for size in sizes)
    seen = np.zeros(sizes, dtype=int)
    for region in regions(counts):
        seen[region.slices(sizes)] += 1
    assert (seen == 1).all()


def test_the_border_is_what_touches_an_end_of_an_axis() -> None:
    cells = list(regions((4, 5)))
    assert sum(cell.border for cell in cells) == 4 * 5 - 2 * 3
    assert Region((1, 2), (4, 5)).label == "2/4 × 3/5"
    assert not Region((1, 2), (4, 5)).border


def test_a_covered_region_has_the_mean_of_its_record_and_channel() -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, 8, 8))
    region = Region((1, 0), (2, 2))
    changed = occlude(values, region)
    for record in range(3):
        for channel in range(2):
            own = changed[record, channel, 4:, :4]
            assert own == pytest.approx(values[record, channel].mean())
    np.testing.assert_array_equal(changed[:, :, :4], values[:, :, :4])


def test_the_frame_around_the_content_is_left_alone_and_counts_for_nothing() -> None:
    values = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    values[0, 0, 2:6] = 100
    values[0, 0, 2, :4] = 200
    values[1, 0, :, 3:5] = 40
    extents = np.array([(4, 8), (8, 2)])
    changed = occlude(values, Region((0, 0), (4, 2)), extents)
    assert set(changed[0, 0, 2, :4].tolist()) == {112}  # 100 and an eighth of 100
    assert not changed[0, 0, :2].any()
    assert set(changed[1, 0, :2, 3].tolist()) == {40}
    assert not changed[1, 0, :, :3].any()
    assert changed.dtype == np.uint8
