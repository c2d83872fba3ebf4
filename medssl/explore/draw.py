"""One record on one pair of axes: a line with units and seconds, a grey image, a slice, a text."""

from __future__ import annotations

import textwrap
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes

from medssl.explore.style import INK, PALETTE, shorten
from medssl.store import Store
from medssl.store import schema as columns
from medssl.text.headers import told_name
from medssl.text.report import Report
from medssl.types import Array, Kind, Modality

LINES: Final = 30
"""Lines of a report that are shown."""
_WRAP: Final = 90
_WINDOW: Final = (1.0, 99.0)
"""Percentiles of an image that become black and white."""


def kind_of(store: Store, row: int) -> Kind:
    """How a record is stored and read."""
    return Modality(fact(store, columns.MODALITY, row)).kind


def fact(store: Store, column: str, row: int) -> Any:
    """What the index says of one record."""
    return store.column(column, np.array([row]))[0]


def describe(store: Store, row: int) -> str:
    """One line for a title: whose record it is, its view and how good; holds a pseudonym."""
    view = fact(store, columns.VIEW, row)
    quality, start = fact(store, columns.QUALITY, row), fact(store, columns.START, row)
    device = fact(store, columns.DEVICE, row)
    parts = [
        f"row {row}",
        str(fact(store, columns.MODALITY, row)),
        f"participant {shorten(str(fact(store, columns.PARTICIPANT, row)), 14)}",
        str(view) if view else "",
        f"from {start:g} s" if start else "",
        f"quality {quality:.2f}" if np.isfinite(quality) else "",
        shorten(str(device), 24) if device else "",
    ]
    return " · ".join(part for part in parts if part)


def draw_record(axes: Axes, store: Store, row: int, *, text: bool = False) -> None:
    """Draw any record on one pair of axes; of a volume, the middle slice of its first axis.

    Args:
        axes: Where to draw.
        store: Where the record is.
        row: Row number.
        text: Show what a report says, which may name somebody, and not its sections alone.
    """
    match kind_of(store, row):
        case Kind.WAVEFORM:
            draw_waveform(axes, store, row)
        case Kind.IMAGE:
            draw_image(axes, np.asarray(store.read_record(row)))
        case Kind.VOLUME:
            draw_slice(axes, store, row, 0)
        case Kind.TEXT:
            report = str(store.read_record(row))
            draw_text(axes, report if text else outline(report))


def draw_waveform(axes: Axes, store: Store, row: int) -> None:
    """Samples over seconds; several channels one below the other, in one scale."""
    signal = np.asarray(store.read_record(row), dtype=np.float64)
    names: tuple[str, ...] = fact(store, columns.CHANNELS, row)
    units = fact(store, columns.UNITS, row) or "units unknown"
    time = np.arange(signal.shape[1]) / float(fact(store, columns.RATE, row))
    if len(signal) == 1:
        axes.plot(time, signal[0], color=PALETTE[0], lw=1.1)
        axes.set_ylabel(f"{names[0]} ({units})")
    else:
        known = np.array([np.isfinite(channel).any() for channel in signal])
        step = float(max((np.nanmax(s) - np.nanmin(s) for s in signal[known]), default=1.0)) or 1.0
        for place, channel in enumerate(signal):
            middle = np.nanmean(channel) if known[place] else 0.0
            colour = PALETTE[place % len(PALETTE)]
            axes.plot(time, channel - middle - place * step, color=colour, lw=1.0)
        axes.set_yticks(-step * np.arange(len(signal)), names)
        axes.set_ylabel(f"channels, {step:.3g} {units} apart")
    axes.set_xlim(0, max(float(time[-1]), 1e-9))
    axes.set_xlabel("time (s)")


def draw_image(axes: Axes, image: Array) -> None:
    """A grey image, or one in colour when its last axis has three channels of 8 bits.

    An image of unsigned integers is shown as it is displayed: 0 black, the largest number white.
    """
    shape = " × ".join(map(str, image.shape))
    if image.ndim == 3 and image.shape[-1] == 3 and image.dtype == np.uint8:
        axes.imshow(image)
        axes.set_title(f"{shape}, {image.dtype}")
    elif image.ndim == 2 and image.dtype.kind == "u":
        draw_grey(axes, image, (0.0, float(np.iinfo(image.dtype).max)))
        axes.set_title(f"{shape}, {image.dtype}, as stored")
    else:
        plane = image if image.ndim == 2 else image[0]
        window = grey_window(plane)
        draw_grey(axes, plane, window)
        first = "" if image.ndim == 2 else ", the first is shown"
        axes.set_title(f"{shape}, {image.dtype}{first}; {window_text(window)}")
    axes.set_xlabel("column (pixels)")
    axes.set_ylabel("row (pixels)")


def read_middle(store: Store, row: int, axis: int) -> Array:
    """The middle slice of a volume across one of its last three axes, reading only its bytes.

    Of a volume with more axes (echoes, channels), the first entry.
    """
    shape: tuple[int, ...] = fact(store, columns.SHAPE, row)
    more = len(shape) - 3
    cut = [slice(0, 1)] * more + [slice(None)] * 3
    middle = shape[more + axis] // 2
    cut[more + axis] = slice(middle, middle + 1)
    return store.read_slice(row, *cut).reshape([shape[more + i] for i in range(3) if i != axis])


def draw_slice(
    axes: Axes, store: Store, row: int, axis: int, window: tuple[float, float] | None = None
) -> None:
    """The middle slice across one axis, in voxels.

    Axes are numbered as stored: the index says nothing of their directions in the body.
    """
    length = fact(store, columns.SHAPE, row)[-3 + axis]
    plane = read_middle(store, row, axis)
    draw_grey(axes, plane, grey_window(plane) if window is None else window)
    down, across = (i for i in range(3) if i != axis)
    axes.set_title(f"axis {axis}: {length // 2} of {length}")
    axes.set_xlabel(f"axis {across} (voxels)")
    axes.set_ylabel(f"axis {down} (voxels)")


def grey_window(*planes: Array) -> tuple[float, float]:
    """What becomes black and white: the 1 % and 99 % quantiles of finite values.

    >>> grey_window(np.arange(101.0))
    (1.0, 99.0)
    """
    values = np.concatenate([np.asarray(plane, dtype=np.float64).reshape(-1) for plane in planes])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, _WINDOW))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def window_text(window: tuple[float, float]) -> str:
    """For a title.

    >>> window_text((-68.0, 4792.61))
    'black -68, white 4793'
    """
    return "black {:.4g}, white {:.4g}".format(*window)


def draw_grey(axes: Axes, plane: Array, window: tuple[float, float]) -> None:
    """A grey picture inside a window."""
    values = np.asarray(plane, dtype=np.float64)
    axes.imshow(values, cmap="gray", vmin=window[0], vmax=window[1])


def outline(report: str) -> str:
    r"""The sections of a report and how long they are, without what they say.

    A header that is none of ours may name somebody, and is told as `other`.

    >>> outline("INDICATION: Cough for 2 weeks.\nIMPRESSION: Normal.")
    'indication: 4 words\nimpression: 1 word'
    >>> outline("DR SMITH: Called.")
    'other: 1 word'
    """
    sections = Report.from_text(report).sections if report.strip() else ()
    sizes = [(told_name(section.name), len(section.text.split())) for section in sections]
    return "\n".join(f"{name}: {size} word{'s' * (size != 1)}" for name, size in sizes)


def draw_text(axes: Axes, text: str) -> None:
    """The first lines of a text."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, _WRAP) or [""]]
    shown = lines[:LINES]
    if len(lines) > len(shown):
        shown.append(f"… and {len(lines) - LINES} more lines")
    axes.set_axis_off()
    # A dollar sign in a report is no formula.
    axes.text(
        0, 1, "\n".join(shown), va="top", family="monospace", color=INK, parse_math=False,
        transform=axes.transAxes,
    )  # fmt: skip
