"""Stored size: exact sides, antialiasing against a loop, rounding."""

import numpy as np
import pytest

from medssl.ingest.radiographs.fit import fit


@pytest.mark.parametrize(
    ("shape", "edge", "expected"),
    [
        ((200, 100), 64, (64, 32)),
        ((100, 200), 64, (32, 64)),
        ((100, 100), 64, (64, 64)),
        ((30, 20), 60, (60, 40)),  # enlarged
        ((1000, 1), 64, (64, 1)),  # never to nothing
        ((1, 1000), 64, (1, 64)),
        ((5, 2), 5, (5, 2)),
        ((4, 1), 2, (2, 1)),  # half a pixel is rounded up
        ((1760, 1760), 1, (1, 1)),
        ((3, 7), 224, (96, 224)),
    ],
)
def test_the_longer_side_is_the_edge(shape, edge, expected):
    stored = fit(np.random.default_rng(0).random(shape, dtype=np.float32), edge=edge, bits=8)
    assert stored.shape == expected
    assert stored.dtype == np.uint8


def triangle(source: np.ndarray, size: int) -> np.ndarray:
    """One axis, resampled by a triangle as wide as the reduction: weights of each output sample."""
    scale = len(source) / size
    width = max(scale, 1)
    out = []
    for place in range(size):
        centre = (place + 0.5) * scale
        low, high = max(int(centre - width + 0.5), 0), min(int(centre + width + 0.5), len(source))
        weights = [max(0, 1 - abs(at + 0.5 - centre) / width) for at in range(low, high)]
        out.append(np.tensordot(weights, source[low:high], axes=1) / sum(weights))
    return np.array(out)


@pytest.mark.parametrize(("shape", "edge"), [((90, 61), 32), ((20, 31), 64), ((128, 128), 100)])
def test_resampling_is_an_antialiased_triangle(shape, edge):
    pixels = np.random.default_rng(1).random(shape, dtype=np.float32)
    stored = fit(pixels, edge=edge, bits=16)
    rows, columns = stored.shape
    slow = triangle(triangle(pixels.astype(np.float64), rows).T, columns).T
    assert np.abs(stored / 65535 - slow).max() < 2e-5


def test_rounding_is_half_up_and_covers_the_range():
    pixels = np.array([[0, 0.5, 1, 127.5 / 255, 126.4 / 255]], dtype=np.float32)
    np.testing.assert_array_equal(fit(pixels, edge=5, bits=8), [[0, 128, 255, 128, 126]])
    np.testing.assert_array_equal(fit(pixels[:, :3], edge=3, bits=16), [[0, 32768, 65535]])


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_of_the_stored_size_and_depth_survive(bits):
    kind = np.uint8 if bits == 8 else np.uint16
    held = np.random.default_rng(2).integers(0, 2**bits, (40, 64)).astype(kind)
    pixels = (held / (2**bits - 1)).astype(np.float32)
    np.testing.assert_array_equal(fit(pixels, edge=64, bits=bits), held)


def test_a_fine_pattern_becomes_grey_rather_than_stripes():
    stripes = np.tile(np.array([0, 1], dtype=np.float32), (256, 128))
    stored = fit(stripes, edge=32, bits=8)
    assert np.abs(stored[2:-2, 2:-2].astype(int) - 128).max() <= 2
