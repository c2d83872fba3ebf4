"""Where in an image a sentence is found: similarity of every place, drawn on the image."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor, nn

from medssl.errors import StageError
from medssl.evaluation.retrieval_search import unit_rows
from medssl.files import replacing

_COLOURS: Final = "magma"
_INK: Final = "#1e293b"
_FLAT: Final = 1e-6
"""Cosines closer than this differ by rounding: a map of one place has no contours."""
_MARGIN: Final = 0.01
"""What the colours of such a map span around its value."""


def project_places(features: Tensor, head: nn.Module) -> Tensor:
    """Each place of a feature map through the projection head, as if it were the whole image.

    The embedding of an `ImageEncoder` is the mean over places, h = 1/P Σ_p f_p, and the head g
    projects it. For a linear head the mean of g(f_p) is g(h): the places add up to the image. The
    usual head is not linear, and they do not: g(f_p) is what the model would say of an image that
    looked like place p everywhere. A map shows where such an image would be called similar, not
    how much a place adds to the similarity of the whole image.

    Args:
        features: Shape (batch, features, rows, columns), of `ImageEncoder.feature_map`.
        head: Projection head, in evaluation mode.

    Returns:
        Shape (batch, d, rows, columns).

    Raises:
        StageError: The head is in training mode.

    >>> project_places(torch.ones(1, 4, 2, 3), nn.Linear(4, 5).eval()).shape
    torch.Size([1, 5, 2, 3])
    """
    if head.training:
        msg = "the head is in training mode: call head.eval() first"
        raise StageError(msg)
    batch, width, rows, columns = features.shape
    with torch.no_grad():
        places = head(features.permute(0, 2, 3, 1).reshape(-1, width))
    return torch.as_tensor(places.reshape(batch, rows, columns, -1).permute(0, 3, 1, 2))


def similarity_map(projected: np.ndarray | Tensor, text: np.ndarray | Tensor) -> np.ndarray:
    """Cosine of every place with a sentence.

    s_p = g(f_p)·u / (‖g(f_p)‖ ‖u‖), u the projected embedding of the sentence.

    Args:
        projected: One image's places, projected, shape (d, rows, columns).
        text: Projected embedding of the sentence, shape (d,).

    Returns:
        Float64 of shape (rows, columns), in [−1, 1].

    Raises:
        StageError: The shapes do not fit.

    >>> places = np.array([[[1.0, 0.0]], [[0.0, 2.0]]])
    >>> similarity_map(places, np.array([0.0, 3.0])).tolist()
    [[0.0, 1.0]]
    """
    places, sentence = _array(projected), _array(text)
    if places.ndim != 3 or sentence.shape != places.shape[:1]:
        msg = (
            f"places of shape {places.shape} and a sentence of shape {sentence.shape}: "
            "give (d, rows, columns) and (d,), both projected"
        )
        raise StageError(msg)
    width, rows, columns = places.shape
    cosines = unit_rows(places.reshape(width, -1).T) @ unit_rows(sentence[None])[0]
    return np.asarray(cosines.reshape(rows, columns))


def map_on_image(
    found: np.ndarray, shape: tuple[int, int], *, extents: tuple[int, int] | None = None
) -> np.ndarray:
    """A map of the encoder's square, brought to the rectangle of the original image.

    The encoder saw a square in whose centre the image stood. Its content, `extents` of `edge` =
    max(extents), begins at ⌊(edge − extent)/2⌋. The centre of pixel p of n lies at
    top + (p + ½)·extent/n of the square, that is at place ·/edge·rows − ½ of the map; between
    places the map is bilinear, outside the outermost centres constant.

    Args:
        found: Map of the square, shape (rows, columns).
        shape: Rows and columns of the original image, or of the record.
        extents: Rows and columns of the image inside its square (`Pictures.extents`); None to take
            the proportions of `shape`.

    Returns:
        Float64 of the given shape.

    >>> map_on_image(np.array([[0.0, 1.0]]).repeat(2, axis=0), (2, 4)).round(2).tolist()
    [[0.0, 0.25, 0.75, 1.0], [0.0, 0.25, 0.75, 1.0]]
    """
    inside = shape if extents is None else extents
    edge = max(inside)
    centres = []
    for pixels, extent, places in zip(shape, inside, found.shape, strict=True):
        start = (edge - extent) // 2
        square = start + (np.arange(pixels) + 0.5) * extent / pixels
        centres.append(square * places / edge - 0.5)
    grid = np.meshgrid(*centres, indexing="ij")
    values = np.asarray(found, dtype=np.float64)
    return np.asarray(map_coordinates(values, grid, order=1, mode="nearest"))


def draw_map(
    image: np.ndarray,
    found: np.ndarray,
    sentence: str,
    path: str | Path,
    *,
    extents: tuple[int, int] | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Write a picture: the image, and beside it the image with the map and its contours over it.

    Args:
        image: Grey values, shape (rows, columns); 0 is black.
        found: Map of the encoder's square, of `similarity_map`.
        sentence: The title. It stands in the picture: no sentence that names somebody.
        path: PNG to write, atomically.
        extents: As in `map_on_image`.
        limits: Cosines at the ends of the colours; give the same for pictures to be compared.
            None: those of this map.

    Raises:
        StageError: The image is not one of grey values.
    """
    from matplotlib import rc_context
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    grey = np.asarray(image)
    if grey.ndim != 2 or 0 in grey.shape:
        msg = f"the image has shape {grey.shape}: give grey values of shape (rows, columns)"
        raise StageError(msg)
    rows, columns = grey.shape
    # A record's white is the largest number of its type; of other arrays, their largest value.
    white = np.iinfo(grey.dtype).max if grey.dtype.kind == "u" else max(float(grey.max()), 1e-12)
    over = map_on_image(found, (rows, columns), extents=extents)
    low, high = limits or (float(over.min()), float(over.max()))
    if high - low < _FLAT:
        low, high = low - _MARGIN, high + _MARGIN
    height = min(max(4.2 * rows / columns, 2.6), 8.0)
    with rc_context({"font.size": 9.5, "text.color": _INK, "axes.labelcolor": _INK}):
        figure = Figure(figsize=(9.6, height + 0.7), layout="constrained", facecolor="white")
        plain, mapped = figure.subplots(1, 2)
        for axes in (plain, mapped):
            axes.imshow(grey, cmap="gray", vmin=0, vmax=white)
            axes.set_axis_off()
        shades = mapped.imshow(over, cmap=_COLOURS, vmin=low, vmax=high, alpha=0.45)
        if over.max() - over.min() > _FLAT:
            steps = np.linspace(low, high, 7)[1:-1]
            mapped.contour(over, levels=steps, cmap=_COLOURS, vmin=low, vmax=high, linewidths=0.9)
        figure.colorbar(
            ScalarMappable(shades.norm, _COLOURS),  # solid, unlike the map
            ax=mapped,
            label="cosine with the sentence",
            shrink=0.85,
        )
        figure.suptitle(textwrap.fill(f"“{sentence}”", 80), fontsize=11)
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            figure.savefig(file, format="png", dpi=130, metadata={"Software": None})


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(values, Tensor):
        return np.asarray(values.detach().cpu().double().numpy())
    return np.asarray(values, dtype=np.float64)
