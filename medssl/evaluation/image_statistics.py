"""Simple statistics of the pixels as features: what an image says without any training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.baselines import FeatureTable
from medssl.store import schema
from medssl.types import Array, Rows

if TYPE_CHECKING:
    from medssl.store import Store

IMAGE_STATISTICS: Final = "image statistics"
IMAGE_SHAPE: Final = "image shape"

BATCH: Final = 256
SIDE: Final = 64
"""Every image is brought to SIDE × SIDE pixels, so that its shape shows in no statistic."""
CELLS: Final = 8
BANDS: Final = 8
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
COLUMNS: Final = (
    "mean", "sd", "skewness", "kurtosis", *(f"q{round(100 * q):02d}" for q in QUANTILES),
    "black", "white", "gradient_across", "gradient_along", "left_minus_right", "asymmetry",
    *(f"band_{i}" for i in range(BANDS)),
    *(f"cell_{row}_{column}" for row in range(CELLS) for column in range(CELLS)),
)  # fmt: skip
SHAPE_COLUMNS: Final = ("log_aspect", "rows", "columns")


def image_features(
    store: Store, rows: Rows, *, progress: Callable[[int, int], None] | None = None
) -> FeatureTable:
    """`COLUMNS` of every image, read and reduced one by one, so that memory is bounded.

    Args:
        store: Where the records are.
        rows: Row numbers of images, of any shapes.
        progress: Called with (records done, records in all).

    Raises:
        StageError: A row is no image.
    """
    parts = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH].tolist()
        parts.append(
            image_statistics(np.stack([thumbnail(store.read_record(row)) for row in part]))
        )
        if progress is not None:
            progress(start + len(part), len(rows))
    return FeatureTable(
        IMAGE_STATISTICS,
        store.column(schema.RECORD, rows),
        np.concatenate([np.empty((0, len(COLUMNS))), *parts]),
        COLUMNS,
        note=f"{len(COLUMNS)} grey moments, gradients, spectral bands and cells of a "
        f"{CELLS} x {CELLS} thumbnail",
        by="record",
    )


def image_shape_features(store: Store, rows: Rows) -> FeatureTable:
    """Aspect ratio and size of every image, from the index alone.

    A table of its own: how an image was cropped often tells where it comes from, and with it the
    label, and no encoder that sees it stretched or padded should get the credit for that.

    Args:
        store: Where the records are.
        rows: Row numbers of images.

    Raises:
        StageError: A row is no image.
    """
    shapes = store.column(schema.SHAPE, rows)
    _check_images(shapes)
    sizes = np.array([tuple(shape) for shape in shapes], dtype=np.float64).reshape(-1, 2)
    aspect = np.log(sizes[:, 1] / sizes[:, 0])
    return FeatureTable(
        IMAGE_SHAPE,
        store.column(schema.RECORD, rows),
        np.column_stack([aspect, sizes]),
        SHAPE_COLUMNS,
        note="logarithm of width over height, rows and columns as stored",
        by="record",
    )


def thumbnail(image: Array | str) -> np.ndarray:
    """An image as SIDE × SIDE grey values in [0, 1], antialiased; its proportions are lost.

    Args:
        image: As stored: uint8 or uint16 of shape (rows, columns).

    Raises:
        StageError: It is no such image.
    """
    from PIL import Image

    if isinstance(image, str) or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        msg = "image statistics are for records of images: choose rows of modality radiograph"
        raise StageError(msg)
    grey = Image.fromarray(image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max))
    sized = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=None))
    return np.asarray(np.clip(sized, 0.0, 1.0))


def image_statistics(images: np.ndarray) -> np.ndarray:
    r"""Grey moments, edges, symmetry, spectrum and a thumbnail.

    All but mean, sd, the shares of black and white and the thumbnail are those of the image with
    mean 0 and standard deviation 1, of which a constant image has zeros. Gradients are root mean
    squares of differences between neighbours; asymmetry is that of the image and its mirror image.
    Bands are log shares of power by distance from the middle of the 2-D spectrum, in octaves from
    the top.

    Args:
        images: Grey values in [0, 1], shape (batch, side, side), side a multiple of CELLS.

    Returns:
        Float64 of shape (batch, len(COLUMNS)).

    >>> left_is_white = np.repeat([[1.0, 0.0]], 32, axis=1).repeat(64, axis=0)[None]
    >>> found = image_statistics(left_is_white)[0]
    >>> [round(float(found[COLUMNS.index(name)]), 3) for name in ("mean", "left_minus_right")]
    [0.5, 2.0]
    """
    x = np.asarray(images, dtype=np.float64)
    count, side = len(x), x.shape[-1]
    mean, deviation = x.mean((1, 2)), x.std((1, 2))
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    z = (x - mean[:, None, None]) / scale[:, None, None]
    half = side // 2
    columns = [
        mean, deviation, (z**3).mean((1, 2)), (z**4).mean((1, 2)),
        *np.quantile(z, QUANTILES, axis=(1, 2)),
        (x <= 0).mean((1, 2)), (x >= 1).mean((1, 2)),
        _root_mean_square(np.diff(z, axis=2)), _root_mean_square(np.diff(z, axis=1)),
        z[:, :, :half].mean((1, 2)) - z[:, :, -half:].mean((1, 2)),
        _root_mean_square(z - z[:, :, ::-1]),
        *_bands(z),
    ]  # fmt: skip
    size = side // CELLS
    cells = x.reshape(count, CELLS, size, CELLS, size).mean((2, 4)).reshape(count, -1)
    return np.concatenate([np.stack(columns, axis=1), cells], axis=1)


def _root_mean_square(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.square(x).mean((1, 2))))


def _bands(z: np.ndarray) -> list[np.ndarray]:
    side = z.shape[-1]
    power = np.abs(np.fft.rfft2(z)) ** 2
    # Each column but the first and last stands for its mirror image, too.
    power[:, :, 1 : (side + 1) // 2] *= 2
    power[:, 0, 0] = 0.0
    total = power.sum((1, 2))
    share = power / np.where(total > 0, total, 1.0)[:, None, None]
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) / np.hypot(
        0.5, 0.5
    )
    edges = np.concatenate([[0.0], 0.5 ** np.arange(BANDS - 1, -1, -1)])
    return [
        np.log(share[:, (radius > low) & (radius <= high)].sum(1) + 1e-6)
        for low, high in pairwise(edges.tolist())
    ]


def _check_images(shapes: np.ndarray) -> None:
    if any(shape is None or len(shape) != 2 for shape in shapes):
        msg = "image shapes are those of records of images: choose rows of modality radiograph"
        raise StageError(msg)
