"""Where in an image a score comes from: how far it falls when a cell is covered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medssl.errors import StageError


def occlusion_map(
    score: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    *,
    grid: tuple[int, int] = (8, 8),
    batch_size: int = 256,
) -> np.ndarray:
    """How much each image's score drops when one cell of a grid is covered, cell after cell.

    D(i, r, c) = f(x_i) − f(x_i with cell (r, c) filled with the mean of x_i) (Zeiler & Fergus,
    ECCV 2014). It says what the score reads, not what is there: a cell whose content another cell
    repeats drops nothing. Positive where the cell speaks for the score.

    Args:
        score: From images of the form of `images` to finite scores of shape (n,) or (n, k). It gets
            copies, at most `batch_size` at a time.
        images: Shape (n, height, width) or (n, channels, height, width); channels are covered
            together, each with its own mean.
        grid: Rows and columns of cells. Cells that do not divide the image differ by one pixel.
        batch_size: Images in one call of `score`.

    Returns:
        Float64 of shape (n, rows, columns), or (n, rows, columns, k).

    Raises:
        ValueError: The images have another shape, or fewer pixels than cells along a side.
        StageError: A score is not finite.

    >>> x = np.zeros((1, 4, 4))
    >>> x[0, 0, 3] = 16.0
    >>> occlusion_map(lambda images: images[:, 0, 3], x, grid=(2, 2))
    array([[[ 0., 15.],
            [ 0.,  0.]]])
    """
    images = np.asarray(images)
    sizes = images.shape[-2:]
    if images.ndim not in (3, 4) or any(
        not 0 < cells <= size for cells, size in zip(grid, sizes, strict=False)
    ):
        msg = f"images of shape {images.shape} cannot be covered by {grid[0]} x {grid[1]} cells"
        raise ValueError(msg)
    cells = _cells(grid, sizes)
    fill = images.mean(axis=(-2, -1), keepdims=True)
    if images.dtype.kind in "iu":
        fill = np.rint(fill)
    fill = fill.astype(images.dtype)
    before = _called(score, images, batch_size)
    after = []
    # Cell by cell of few images at a time: all at once would hold cells times the images.
    step = max(1, batch_size // len(cells))
    for start in range(0, len(images), step):
        some = slice(start, start + step)
        masks = cells[None] if images.ndim == 3 else cells[None, :, None]
        covered = np.where(masks, fill[some, None], images[some, None])
        after.append(_called(score, covered.reshape(-1, *images.shape[1:]), batch_size))
    drops = before[:, None] - np.concatenate([before[:0], *after]).reshape(
        len(images), len(cells), *before.shape[1:]
    )
    return np.asarray(drops.reshape(len(images), *grid, *before.shape[1:]))


def _cells(grid: tuple[int, int], sizes: tuple[int, ...]) -> np.ndarray:
    """One mask a cell, row by row; shape (cells, height, width)."""
    row, column = (np.arange(size) * count // size for count, size in zip(grid, sizes, strict=True))
    number = row[:, None] * grid[1] + column[None]
    return np.asarray(number == np.arange(grid[0] * grid[1])[:, None, None])


def _called(score: Callable[[np.ndarray], np.ndarray], images: np.ndarray, size: int) -> np.ndarray:
    parts = [
        np.asarray(score(images[start : start + size].copy()), dtype=np.float64)
        for start in range(0, len(images), size)
    ]
    found = np.concatenate(parts) if parts else np.empty(0)
    if len(found) != len(images):
        msg = f"the score gave {len(found)} values for {len(images)} images: give one for each"
        raise ValueError(msg)
    if not np.isfinite(found).all():
        msg = "occlusion: a score is not finite: look at the model on these inputs"
        raise StageError(msg)
    return found
