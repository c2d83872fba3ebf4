"""TIP: which table belongs to an image, and what stood in its masked cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from medssl.batches import Cells
from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import Matches, check_pairs
from medssl.objectives.rows import at_least_single, full_precision, unit_rows

LOSS = "loss"
"""Key of the total; every other key is one of its terms."""
_LEAST_CHANCE = 1e-4
"""Added to the chance of every mismatch, so that none is out of reach."""


@dataclass(frozen=True, eq=False)
class Mismatches:
    """Combinations of image and table that do not belong together, by their row in the batch.

    Args:
        images: Row of the image, shape (n,) with n ≤ 2B.
        tables: Row of the table, (n,).
    """

    images: Int[Tensor, " n"]
    tables: Int[Tensor, " n"]


@torch.no_grad()
def choose_mismatches(
    images: Float[Tensor, "batch dim"],
    tables: Float[Tensor, "batch dim"],
    matches: Matches,
    uniforms: Float[Tensor, "2 batch"],
    *,
    temperature: float = 0.1,
) -> Mismatches:
    r"""Choose a hard wrong table for each image, and a hard wrong image for each table.

    Table j is chosen for image i with a chance proportional to
    $\operatorname{softmax}_j(s_{ij} / \tau) + 10^{-4}$ over the negatives of i, and images for
    tables likewise (TIP, ECCV 2024, arXiv 2407.07582). A row without a negative has no mismatch.
    Masked tables are not chosen, as they may belong to the image.

    Args:
        images: Projections of the images, those that are contrasted.
        tables: Projections of the tables.
        matches: From `find_matches`.
        uniforms: Random numbers in [0, 1): for images in the first row, for tables in the second.
        temperature: τ.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or τ is out of range.

    >>> apart = torch.eye(2, dtype=torch.bool)
    >>> matches = Matches(apart, torch.ones_like(apart))
    >>> chosen = choose_mismatches(torch.eye(2), torch.eye(2), matches, torch.rand(2, 2))
    >>> chosen.images.tolist(), chosen.tables.tolist()
    ([0, 1, 1, 0], [1, 0, 0, 1])
    """
    check_pairs("choose_mismatches", images, tables, matches, temperature=temperature)
    if tuple(uniforms.shape) != (2, len(images)):
        msg = f"choose_mismatches: uniforms have shape {tuple(uniforms.shape)}; give (2, batch)"
        raise ObjectiveError(msg)
    negative = matches.negative
    with full_precision(images):
        logits = (unit_rows(images) @ unit_rows(tables).T).double() / temperature
        image, table = _choose(logits, negative, uniforms[0])
        back_table, back_image = _choose(logits.T, negative.T, uniforms[1])
    return Mismatches(torch.cat([image, back_image]), torch.cat([table, back_table]))


def image_tabular_matching(
    matched: Float[Tensor, "batch 2"], mismatched: Float[Tensor, "n 2"]
) -> Float[Tensor, ""]:
    r"""Cross-entropy of "belongs together" (class 1) over true and wrong combinations.

    $$L = \frac{1}{B + n} \Bigl[\sum_{i} -\log \pi_1(i, i) + \sum_{(i, j)} -\log \pi_0(i, j)\Bigr]$$

    (arXiv 2407.07582), π the softmax of a classifier that sees image and table together. Computed
    in single precision (float64 stays).

    Args:
        matched: The classifier's logits of the true combinations.
        mismatched: Those of the combinations from `choose_mismatches`; may be empty.

    Raises:
        ObjectiveError: Shapes do not fit, or the batch is empty.

    >>> image_tabular_matching(torch.zeros(4, 2), torch.zeros(8, 2))
    tensor(0.6931)
    """
    shapes = tuple(matched.shape), tuple(mismatched.shape)
    if any(len(shape) != 2 or shape[1] != 2 for shape in shapes) or len(matched) == 0:
        msg = f"image_tabular_matching: logits have shapes {shapes}; give (batch, 2) and (n, 2)"
        raise ObjectiveError(msg)
    with full_precision(matched):
        logits = at_least_single(torch.cat([matched, mismatched]))
        classes = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        classes[: len(matched)] = 1
        return cross_entropy(logits, classes)


def tabular_reconstruction(
    category_logits: Sequence[Float[Tensor, "batch categories"]],
    numbers: Float[Tensor, "batch columns"],
    cells: Cells,
    masked_categories: Bool[Tensor, "batch columns"],
    masked_numbers: Bool[Tensor, "batch columns"],
) -> Float[Tensor, ""]:
    r"""What stood in the masked cells: $\frac{1}{2} (\mathrm{CE} + \mathrm{MSE})$.

    Cross-entropy is the mean over masked cells of all categorical columns, squared error over those
    of all numerical ones (arXiv 2407.07582). Cells that are missing are not asked for. A kind
    without a cell that is asked for counts 0, with a gradient of 0. Computed in single precision
    (float64 stays).

    Args:
        category_logits: For each categorical column, logits of its categories.
        numbers: What is said of the numerical columns, standardised.
        cells: The table itself.
        masked_categories: Categorical cells that the encoder has not seen.
        masked_numbers: Numerical cells that it has not seen.

    Raises:
        ObjectiveError: Shapes do not fit.

    >>> cells = Cells(torch.tensor([[1]]), torch.tensor([[2.0, torch.nan]]))
    >>> masked = torch.tensor([[True]]), torch.tensor([[True, True]])
    >>> said = [torch.zeros(1, 4)], torch.zeros(1, 2)
    >>> tabular_reconstruction(*said, cells, *masked)  # ½ (log 4 + 4)
    tensor(2.6931)
    """
    categories, targets = cells
    _check_cells(category_logits, numbers, cells, masked_categories, masked_numbers)
    with full_precision(numbers):
        said = at_least_single(numbers)
        asked = masked_categories & (categories >= 0)
        zero = (said * 0).sum()
        surprise = zero
        for column, logits in enumerate(category_logits):
            rows = asked[:, column]
            found = cross_entropy(
                at_least_single(logits)[rows], categories[rows, column], reduction="sum"
            )
            surprise = surprise + found
        wanted = masked_numbers & ~targets.isnan()
        errors = (said - targets.nan_to_num().to(said.dtype)).masked_fill(~wanted, 0).square()
        error = errors.sum() / wanted.sum().clamp(min=1)
        return (surprise / asked.sum().clamp(min=1) + error) / 2


def tip_loss(
    contrast: Float[Tensor, ""], matching: Float[Tensor, ""], reconstruction: Float[Tensor, ""]
) -> dict[str, Float[Tensor, ""]]:
    """The mean of TIP's three terms (Du et al., ECCV 2024, arXiv 2407.07582).

    Args:
        contrast: `convirt_loss` of images and tables, with λ = ½ and τ = 0.1.
        matching: `image_tabular_matching`.
        reconstruction: `tabular_reconstruction`.

    Returns:
        The total under `"loss"`, and its terms under their names.

    >>> terms = torch.tensor([1.0, 2.0, 6.0])
    >>> tip_loss(*terms)["loss"]
    tensor(3.)
    """
    return {
        LOSS: (contrast + matching + reconstruction) / 3,
        "contrast": contrast,
        "matching": matching,
        "reconstruction": reconstruction,
    }


def _choose(
    logits: Float[Tensor, "batch batch"],
    negative: Bool[Tensor, "batch batch"],
    uniforms: Float[Tensor, " batch"],
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Anchors that have a negative, and the one that each of them gets."""
    anchors = negative.any(dim=1).nonzero()[:, 0]
    logits, negative = logits[anchors], negative[anchors]
    chances = logits.masked_fill(~negative, -torch.inf).softmax(dim=1) + _LEAST_CHANCE
    heights = chances.masked_fill(~negative, 0).cumsum(dim=1)
    wanted = uniforms.to(heights)[anchors, None] * heights[:, -1:]
    chosen = (heights <= wanted).sum(dim=1)
    # Where rounding takes a number to the very top: the last negative.
    last = negative.shape[1] - 1 - negative.flip(1).long().argmax(dim=1)
    return anchors, torch.minimum(chosen, last)


def _check_cells(
    category_logits: Sequence[Tensor],
    numbers: Tensor,
    cells: Cells,
    masked_categories: Tensor,
    masked_numbers: Tensor,
) -> None:
    rows, columns = len(numbers), len(category_logits)
    fits = (
        tuple(cells.categories.shape) == tuple(masked_categories.shape) == (rows, columns)
        and all(logits.ndim == 2 and len(logits) == rows for logits in category_logits)
        and numbers.ndim == 2
        and numbers.shape == cells.numbers.shape == masked_numbers.shape
    )
    if not fits:
        msg = (
            f"tabular_reconstruction: {columns} columns of logits and numbers of shape "
            f"{tuple(numbers.shape)} for categories of shape {tuple(cells.categories.shape)} and "
            f"numbers of shape {tuple(cells.numbers.shape)}, masks of shapes "
            f"{tuple(masked_categories.shape)} and {tuple(masked_numbers.shape)}; "
            "give all of them for every cell"
        )
        raise ObjectiveError(msg)
