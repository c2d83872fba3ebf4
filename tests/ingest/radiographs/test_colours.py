"""Colours as grey."""

import numpy as np
import pytest

from medssl.ingest.radiographs import colours


@pytest.mark.parametrize("bits", [8, 16])
def test_luma_in_blocks_is_luma_of_each_pixel(monkeypatch, bits):
    kind, white = (np.uint8, 255) if bits == 8 else (np.uint16, 65535)
    image = np.random.default_rng(0).integers(0, white + 1, (31, 17, 3)).astype(kind)
    monkeypatch.setattr(colours, "_ROWS", 40)
    grey = colours.luma(image, white=white)
    for row, column in ((0, 0), (1, 16), (30, 5)):
        red, green, blue = (int(one) for one in image[row, column])
        expected = (0.299 * red + 0.587 * green + 0.114 * blue) / white
        assert grey[row, column] == pytest.approx(expected, abs=1e-6)
    assert colours.luma(np.full((2, 2, 3), white, kind), white=white).max() == 1


def test_one_pixel_of_another_colour_is_a_colour():
    image = np.repeat(np.arange(12, dtype=np.uint8).reshape(3, 4, 1), 3, axis=2)
    assert colours.is_grey(image)
    for channel in range(3):
        other = image.copy()
        other[2, 3, channel] += 1
        assert not colours.is_grey(other)
