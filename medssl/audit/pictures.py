"""Pictures of images on the audit page: pairs that are one, and where scores are read."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from medssl.audit.figures import SCALE
from medssl.audit.findings import Figure
from medssl.audit.svg import INK, canvas, render
from medssl.types import Array

LARGEST: Final = 256
"""Pixels along the longer side of a picture; more would only make the page heavy."""


def image_pair(left: Array, right: Array, *, names: tuple[str, str], name: str) -> Figure:
    """Two images side by side, as stored: 0 black, the largest number of their type white.

    Args:
        left: Shape (rows, columns), uint8 or uint16.
        right: The other one, of any shape and type.
        names: Their participants.
        name: Unique on the page.
    """
    with canvas(height=2.3, columns=2) as (figure, axes):
        for own, image, who in zip(axes, (left, right), names, strict=True):
            _draw(own, image)
            own.set_title(who)
            own.set_xlabel(f"{image.shape[0]} × {image.shape[1]}")
        return render(
            figure,
            name=name,
            title="One image, two participants",
            alt=f"An image of participant {names[0]} beside one of {names[1]}.",
            caption=f"{names[0]} and {names[1]}, as stored (rows × columns).",
            identifies=True,
        )


def heat_map(mean: np.ndarray, movement: np.ndarray, *, target: str, name: str) -> Figure:
    """How far a score moves when a cell is covered, over the mean image.

    Args:
        mean: Mean of the images, stretched to one shape; grey values in [0, 1].
        movement: Mean movement of each cell, shape (rows, columns).
        target: What is scored.
        name: Unique on the page.
    """
    with canvas(height=2.4, columns=2) as (figure, axes):
        for own in axes:
            own.imshow(mean, cmap="gray", vmin=0, vmax=1, extent=(0, 1, 1, 0))
            _bare(own)
        laid = axes[1].imshow(
            movement, cmap=SCALE, vmin=0, alpha=0.65, extent=(0, 1, 1, 0), interpolation="nearest"
        )
        bar = figure.colorbar(laid, ax=axes[1], shrink=0.8, pad=0.03)
        bar.set_label("movement", color=INK)
        row, column = np.unravel_index(int(movement.argmax()), movement.shape)
        rows, columns = movement.shape
        most = f"row {row + 1} of {rows}, column {column + 1} of {columns}"
        return render(
            figure,
            name=name,
            title=f"Where {target} is read",
            alt=f"The mean image, and over it how far the score of {target} moves when a cell is "
            f"covered; most in {most}.",
            caption=f"Mean of the audited images, each stretched to one shape. Movement of the "
            f"score of {target} when a cell gets the mean of its image, 1 being the difference "
            f"between participants; most in {most}. Lungs, and no corners, should be bright.",
        )


def _draw(axes: Axes, image: Array) -> None:
    step = max(1, -(-max(image.shape) // LARGEST))
    axes.imshow(image[::step, ::step], cmap="gray", vmin=0, vmax=np.iinfo(image.dtype).max)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
