"""Grey values of image files as displayed."""

from __future__ import annotations

import numpy as np

from medssl.ingest.radiographs.display import (
    inverted,
    level_counts,
    mapped,
    percentile_limits,
    stretched,
    windowed,
)
from medssl.ingest.radiographs.image_modes import Plane
from medssl.ingest.radiographs.picture import Picture
from medssl.ingest.radiographs.settings import DisplaySettings


def shown(plane: Plane, settings: DisplaySettings, steps: list[str]) -> Picture:
    """Values whose range is known: the full range, unless a window or percentiles are asked for."""
    assert plane.white is not None
    levels = np.arange(2 ** (8 * plane.values.dtype.itemsize), dtype=np.float64)
    limits = None
    if settings.voi == "percentile":
        counts = level_counts(plane.values, len(levels))
        limits = percentile_limits(levels, counts, settings.percentiles)
    if limits is not None:
        grey = stretched(levels, low=limits[0], high=limits[1])
        steps.append(_percentiles(settings))
    elif settings.own_window is not None:
        grey = windowed(levels, centre=settings.own_window[0], width=settings.own_window[1])
        steps.append(_window(settings))
    else:
        grey = stretched(levels, low=0, high=plane.white)
        steps.append("full range")
    if plane.inverted:
        grey = inverted(grey)
        steps.append("inverted white is zero")
    return Picture(mapped(plane.values, grey), tuple(steps), plane.bits)


def shown_without_range(plane: Plane, settings: DisplaySettings, steps: list[str]) -> Picture:
    """Values whose range nobody tells: percentiles, or the window asked for; NaN is black."""
    finite = np.isfinite(plane.values)
    known = plane.values[finite]
    if settings.own_window is not None:
        centre, width = settings.own_window
        limits = (centre - width / 2, centre + (width - 2) / 2)  # LINEAR: c - 0.5 ± (w - 1) / 2
        steps.append(_window(settings))
    elif known.size == 0 or known.min() == known.max():
        limits = (0.0, np.inf)
        steps.append("one value")
    else:
        low, high = (float(end) for end in np.percentile(known, settings.percentiles))
        limits = (low, high) if low < high else (float(known.min()), float(known.max()))
        steps.append(_percentiles(settings))
    with np.errstate(invalid="ignore", over="ignore"):
        pixels = np.clip((plane.values - limits[0]) / (limits[1] - limits[0]), 0, 1)
    if plane.inverted:
        pixels = 1 - pixels
        steps.append("inverted white is zero")
    if not finite.all():
        pixels = np.where(finite, pixels, 0)
        steps.append("values that are no number black")
    return Picture(pixels.astype(np.float32), tuple(steps), plane.bits)


def _percentiles(settings: DisplaySettings) -> str:
    low, high = settings.percentiles
    return f"percentiles {low:g} to {high:g}"


def _window(settings: DisplaySettings) -> str:
    centre, width = settings.own_window or (0.0, 0.0)
    return f"window {centre:g}/{width:g} linear"
