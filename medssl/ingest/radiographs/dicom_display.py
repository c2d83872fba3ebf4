"""From stored values and a DICOM header to grey values as displayed, with the steps told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.dicom_file import (
    integer_of,
    number_of,
    numbers_of,
    text_of,
    values_of,
)
from medssl.ingest.radiographs.dicom_header import PixelHeader
from medssl.ingest.radiographs.display import (
    WindowFunction,
    inverted,
    is_window,
    level_counts,
    looked_up,
    mapped,
    percentile_limits,
    rescaled,
    stretched,
    windowed,
)
from medssl.ingest.radiographs.look_up import read_look_up
from medssl.ingest.radiographs.picture import Picture
from medssl.ingest.radiographs.settings import DisplaySettings

if TYPE_CHECKING:
    from pydicom import Dataset


class Levels(NamedTuple):
    """Every value that a pixel may have, by its bits read as an unsigned number.

    Args:
        values: After the steps so far.
        low: The smallest value that these steps can give.
        high: The largest.
        counts: Pixels that hold each, padding left out.
    """

    values: Float64[np.ndarray, " levels"]
    low: float
    high: float
    counts: Int64[np.ndarray, " levels"]


def displayed(
    stored: np.ndarray[Any, np.dtype[Any]], header: PixelHeader, settings: DisplaySettings
) -> Picture:
    """Show stored grey values: modality, VOI, inversion, each as the header or the settings say.

    A grey value is a function of the stored value alone, so all steps are taken once for each
    stored value and pixels are looked up in the result.

    Args:
        stored: Integers, shape (rows, columns).
        header: Of the file.
        settings: Which VOI transform is taken.

    Raises:
        Unreadable: UNREADABLE_HEADER: a table or number that display needs is damaged.
    """
    steps: list[str] = []
    codes = _codes(stored, header.bits)
    counts = level_counts(codes, 2**header.bits)
    values = np.arange(2**header.bits, dtype=np.float64)
    if header.signed:
        values[2 ** (header.bits - 1) :] -= 2**header.bits
    padding = _padding(header, values) & (counts > 0)
    counts = np.where(padding, 0, counts)
    levels = Levels(values, float(values.min()), float(values.max()), counts)
    levels = _modality(levels, header.dataset, steps)
    grey = _voi(levels, header.dataset, settings, steps)
    if _inverts(header, steps):
        grey = inverted(grey)
    if padding.any():
        grey = np.where(padding, 0, grey)
        steps.append("padding black")
    return Picture(mapped(codes, grey), tuple(steps), header.bits)


def _codes(stored: np.ndarray[Any, np.dtype[Any]], bits: int) -> UInt[np.ndarray, "rows columns"]:
    """The stored bits, read as unsigned numbers."""
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    unsigned = native.view(f"u{native.dtype.itemsize}")
    codes: UInt[np.ndarray, "rows columns"] = unsigned & unsigned.dtype.type(2**bits - 1)
    return codes


def _padding(
    header: PixelHeader, values: Float64[np.ndarray, " levels"]
) -> Bool[np.ndarray, " levels"]:
    """Which stored values stand for no measurement (PS3.3 C.7.5.1.1.2)."""
    value = integer_of(header.dataset, "PixelPaddingValue")
    if value is None:
        return np.zeros(len(values), dtype=bool)
    limit = integer_of(header.dataset, "PixelPaddingRangeLimit")
    ends = [value, value if limit is None else limit]
    if header.signed:  # often written without a sign
        ends = [end - 2**header.allocated if end >= 2 ** (header.allocated - 1) else end
                for end in ends]  # fmt: skip
    return (values >= min(ends)) & (values <= max(ends))


def _modality(levels: Levels, dataset: Dataset, steps: list[str]) -> Levels:
    """The table of the modality, or slope and intercept."""
    tables = values_of(dataset, "ModalityLUTSequence")
    if tables:
        table = read_look_up(tables[0], lowest=levels.low)
        steps.append("modality LUT")
        return levels._replace(values=looked_up(levels.values, table), low=0.0, high=table.high)
    slope, intercept = number_of(dataset, "RescaleSlope"), number_of(dataset, "RescaleIntercept")
    if slope is None and intercept is None:
        return levels
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    values = rescaled(levels.values, slope=slope, intercept=intercept)
    if not np.isfinite(values).all():
        raise Unreadable(Reason.UNREADABLE_HEADER, "a rescale slope or intercept beyond all bounds")
    steps.append(f"rescale {slope:g} {intercept:g}")
    return levels._replace(values=values, low=float(values.min()), high=float(values.max()))


def _voi(
    levels: Levels, dataset: Dataset, settings: DisplaySettings, steps: list[str]
) -> Float64[np.ndarray, " levels"]:
    """Grey values in [0, 1] by the first transform that the settings allow and the file has."""
    if settings.voi == "none":
        return _full_range(levels, steps)
    if settings.voi in {"header", "lut"}:
        tables = values_of(dataset, "VOILUTSequence")
        if tables:
            number = min(settings.window, len(tables) - 1)
            table = read_look_up(tables[number], lowest=levels.low)
            steps.append("VOI LUT" + _of(number, len(tables)))
            return stretched(looked_up(levels.values, table), low=0.0, high=table.high)
    if settings.own_window is not None:
        centre, width = settings.own_window
        steps.append(f"window {centre:g}/{width:g} linear")
        return windowed(levels.values, centre=centre, width=width)
    if settings.voi in {"header", "window"}:
        grey = _header_window(levels, dataset, settings, steps)
        if grey is not None:
            return grey
    limits = percentile_limits(levels.values, levels.counts, settings.percentiles)
    if limits is None:
        steps.append("one value")
        return _full_range(levels, steps)
    low, high = settings.percentiles
    steps.append(f"percentiles {low:g} to {high:g}")
    return stretched(levels.values, low=limits[0], high=limits[1])


def _header_window(
    levels: Levels, dataset: Dataset, settings: DisplaySettings, steps: list[str]
) -> Float64[np.ndarray, " levels"] | None:
    """Grey values through the header's window; None where it has none that can be used."""
    centres, widths = numbers_of(dataset, "WindowCenter"), numbers_of(dataset, "WindowWidth")
    windows = list(zip(centres, widths, strict=False))
    if not windows:
        return None
    number = min(settings.window, len(windows) - 1)
    centre, width = windows[number]
    function = (text_of(dataset, "VOILUTFunction") or "LINEAR").upper()
    if not is_window(centre, width, function):
        steps.append("unusable window ignored")
        return None
    name = function.lower().replace("_", " ")
    steps.append(f"window {centre:g}/{width:g} {name}" + _of(number, len(windows)))
    told = cast(WindowFunction, function)
    return windowed(levels.values, centre=centre, width=width, function=told)


def _full_range(levels: Levels, steps: list[str]) -> Float64[np.ndarray, " levels"]:
    steps.append("full range")
    if levels.low == levels.high:  # a slope of 0
        return np.zeros_like(levels.values)
    return stretched(levels.values, low=levels.low, high=levels.high)


def _inverts(header: PixelHeader, steps: list[str]) -> bool:
    """Whether white stands for small values.

    A presentation LUT shape says it for good (PS3.3 C.8.11.3.1.2): INVERSE goes with MONOCHROME1
    and is the same inversion, not another one.
    """
    shape = (text_of(header.dataset, "PresentationLUTShape") or "").upper()
    if shape == "INVERSE":
        steps.append("inverted presentation LUT")
        return True
    if header.photometric == "MONOCHROME1" and shape != "IDENTITY":
        steps.append("inverted MONOCHROME1")
        return True
    return False


def _of(number: int, count: int) -> str:
    """Which of several."""
    return f", {number + 1} of {count}" if count > 1 else ""
