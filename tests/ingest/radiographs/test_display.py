"""Display functions against pydicom's own, and against loops written from the standard."""

from math import tanh

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_rescale, apply_voi, apply_windowing

from medssl.ingest.radiographs import display
from medssl.ingest.radiographs.display import LookUp

VALUES = np.arange(4096, dtype=np.float64)


def header(**elements) -> Dataset:
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.BitsStored = 12
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def test_rescaled_is_pydicom_s():
    dataset = header(RescaleSlope="1.5", RescaleIntercept="-1024.25")
    expected = apply_rescale(VALUES.astype(np.uint16), dataset)
    np.testing.assert_array_equal(display.rescaled(VALUES, slope=1.5, intercept=-1024.25), expected)


def window_loop(values, centre, width, function):
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.2 and C.11.2.1.3.1, value by value, for y from 0 to 1."""
    grey = []
    for x in values:
        if function == "SIGMOID":
            grey.append((1 + tanh(2 * (x - centre) / width)) / 2)  # the same, without overflow
        elif function == "LINEAR_EXACT":
            if x <= centre - width / 2:
                grey.append(0)
            elif x > centre + width / 2:
                grey.append(1)
            else:
                grey.append((x - centre) / width + 0.5)
        elif x <= centre - 0.5 - (width - 1) / 2:
            grey.append(0)
        elif x > centre - 0.5 + (width - 1) / 2:
            grey.append(1)
        else:
            grey.append((x - (centre - 0.5)) / (width - 1) + 0.5)
    return np.array(grey)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(
    ("centre", "width"), [(2048, 4096), (40, 400), (1000.5, 1), (1000, 1), (4000, 700.5)]
)
def test_windows_are_pydicom_s_and_the_standard_s(centre, width, function):
    ours = display.windowed(VALUES, centre=centre, width=width, function=function)
    np.testing.assert_allclose(ours, window_loop(VALUES, centre, width, function), atol=1e-12)
    dataset = header(WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    with np.errstate(all="ignore"):
        expected = apply_windowing(VALUES.astype(np.uint16), dataset) / 4095
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_a_sigmoid_far_outside_its_window_is_flat_and_finite():
    with np.errstate(all="raise"):
        grey = display.windowed(np.array([-1e9, 1e9]), centre=0, width=1e-3, function="SIGMOID")
    np.testing.assert_allclose(grey, [0, 1], atol=1e-300)


@pytest.mark.parametrize(
    ("centre", "width", "function", "usable"),
    [
        (40, 400, "LINEAR", True),
        (40, 1, "LINEAR", True),
        (40, 0.5, "LINEAR", False),
        (40, 0.5, "LINEAR_EXACT", True),
        (40, 0, "LINEAR_EXACT", False),
        (40, -1, "SIGMOID", False),
        (float("nan"), 400, "LINEAR", False),
        (40, float("inf"), "LINEAR", False),
        (40, 400, "LOGARITHMIC", False),
    ],
)
def test_windows_that_no_standard_allows(centre, width, function, usable):
    assert display.is_window(centre, width, function) is usable


@pytest.mark.parametrize("first", [0, 100, 4000])
def test_tables_are_pydicom_s(first, look_up):
    data = np.random.default_rng(1).integers(0, 1024, 900)
    table = LookUp(data=data.astype(np.float64), first=first, bits=10)
    ours = display.looked_up(VALUES, table)
    stored = VALUES.astype(np.uint16)
    voi = apply_voi(stored, header(VOILUTSequence=[look_up(data, first=first, bits=10)]))
    np.testing.assert_array_equal(ours, voi)
    item = look_up(data, first=first, bits=16)  # pydicom takes 8 or 16 here
    item.ModalityLUTType = "US"
    modality = apply_modality_lut(stored, header(ModalityLUTSequence=[item]))
    np.testing.assert_array_equal(ours, modality)


def test_white_of_a_table_is_the_claimed_or_the_largest_output():
    assert LookUp(data=np.array([0.0, 900.0]), first=0, bits=10).high == 1023
    assert LookUp(data=np.array([0.0, 4095.0]), first=0, bits=8).high == 4095


@pytest.mark.parametrize("percentiles", [(0.5, 99.5), (0, 100), (33.3, 66.7), (50, 50.1)])
def test_percentiles_of_counts_are_numpy_s_of_pixels(percentiles):
    pixels = np.random.default_rng(2).gamma(2, 200, size=(50, 41)).astype(np.uint16)
    levels = 3.0 * np.arange(4096)[::-1]  # falling, as after a negative slope
    counts = display.level_counts(pixels, 4096)
    expected = np.percentile(levels[pixels], percentiles)
    np.testing.assert_allclose(
        display.percentile_limits(levels, counts, percentiles), expected, rtol=1e-12
    )


def test_percentile_limits_of_hardly_any_levels():
    levels = np.array([0.0, 5.0, 9.0])
    mostly = np.array([0, 100_000, 1])
    assert display.percentile_limits(levels, mostly, (0.5, 99.5)) == (5, 9)
    assert display.percentile_limits(levels, np.array([0, 7, 0]), (0.5, 99.5)) is None
    assert display.percentile_limits(levels, np.array([0, 0, 0]), (0.5, 99.5)) is None


def test_mapping_and_counting_in_blocks_is_mapping_and_counting(monkeypatch):
    codes = np.random.default_rng(3).integers(0, 256, (37, 53)).astype(np.uint8)
    table = np.random.default_rng(4).random(256)
    monkeypatch.setattr(display, "_BLOCK", 100)
    np.testing.assert_array_equal(display.mapped(codes, table), table.astype(np.float32)[codes])
    counts = display.level_counts(codes, 256)
    np.testing.assert_array_equal(counts, np.bincount(codes.ravel(), minlength=256))


def test_inversion_is_within_the_range():
    grey = np.array([0, 0.25, 1])
    np.testing.assert_array_equal(display.inverted(grey), [1, 0.75, 0])
