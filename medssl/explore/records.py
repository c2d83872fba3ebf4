"""Pictures of records as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from medssl.errors import StageError
from medssl.explore.draw import (
    LINES,
    describe,
    draw_record,
    draw_slice,
    draw_waveform,
    fact,
    grey_window,
    kind_of,
    read_middle,
    window_text,
)
from medssl.explore.style import WIDTH, Picture, canvas
from medssl.store import Store
from medssl.store import schema as columns
from medssl.types import Kind, Rows

_MOST: Final = 24
"""Records of one picture."""


def record_plot(store: Store, row: int, *, text: bool = False) -> Picture:
    """One record: a line with units and seconds, a grey image, three slices, or a report.

    Of a report the sections and their lengths are shown: what it says may name somebody.

    A volume shows the middle slice across each of its axes, in voxels: the index says nothing of
    the size of a voxel or its directions.

    Args:
        store: Where the record is.
        row: Row number.
        text: Show what a report says.
    """
    if kind_of(store, row) is Kind.VOLUME:
        return _volume_plot(store, row)
    with canvas(height=_height(store, row, text)) as figure:
        figure.suptitle(describe(store, row), x=0.01, ha="left")
        draw_record(figure.subplots(), store, row, text=text)
        return figure


def _height(store: Store, row: int, text: bool) -> float:
    """Inches; an image keeps its proportions."""
    match kind_of(store, row):
        case Kind.WAVEFORM:
            return 1.85 + 0.35 * len(fact(store, columns.CHANNELS, row))
        case Kind.IMAGE:
            shape: tuple[int, ...] = fact(store, columns.SHAPE, row)
            colour = len(shape) == 3 and shape[-1] == 3
            down, across = shape[:2] if colour else shape[-2:]
            return float(np.clip(0.85 * WIDTH * down / across, 1.0, 6.0)) + 1.2
        case _:
            return 0.19 * LINES if text else 1.6


def _volume_plot(store: Store, row: int) -> Picture:
    shape: tuple[int, ...] = fact(store, columns.SHAPE, row)
    sizes = shape[-3:]
    planes = [read_middle(store, row, axis) for axis in range(3)]
    window = grey_window(*planes)
    first = f", the first of {shape[0]} is shown" if len(shape) > 3 else ""
    text = f"{' × '.join(map(str, shape))}, {planes[0].dtype}{first}; {window_text(window)}"
    widths = [plane.shape[1] for plane in planes]
    tallest = max(sizes[0], sizes[1]) * 0.9 * WIDTH / sum(widths)
    height = float(np.clip(tallest, 1.2, 6.0)) + 1.4
    with canvas(height=height) as figure:
        figure.suptitle(f"{describe(store, row)}\n{text}", x=0.01, ha="left")
        panels = figure.subplots(1, 3, width_ratios=widths)
        for axis, axes in enumerate(panels):
            draw_slice(axes, store, row, axis, window)
        return figure


def waveform_plot(store: Store, rows: Rows | Sequence[int]) -> Picture:
    """Waveforms one below the other, each with its units, over the seconds of its segment.

    Args:
        store: Where the records are.
        rows: Row numbers of at most 24 waveforms.

    Raises:
        StageError: A row is no waveform, or there are none or too many.
    """
    wanted = [int(row) for row in np.asarray(rows).reshape(-1)]
    if not 0 < len(wanted) <= _MOST:
        msg = f"{len(wanted)} waveforms to draw: choose 1 to {_MOST} rows"
        raise StageError(msg)
    other = next((row for row in wanted if kind_of(store, row) is not Kind.WAVEFORM), None)
    if other is not None:
        msg = f"row {other} is no waveform: draw it with record_plot"
        raise StageError(msg)
    heights = [1.5 + 0.25 * (len(fact(store, columns.CHANNELS, row)) - 1) for row in wanted]
    with canvas(width=WIDTH, height=0.4 + sum(heights)) as figure:
        grid = figure.subplots(
            len(wanted), 1, squeeze=False, sharex=True, height_ratios=heights
        )[:, 0]  # fmt: skip
        for axes, row in zip(grid, wanted, strict=True):
            draw_waveform(axes, store, row)
            axes.set_title(describe(store, row))
            axes.label_outer()
        figure.align_ylabels()
        grid[0].set_xlim(0, max(line.get_xdata()[-1] for axes in grid for line in axes.lines))
        return figure
