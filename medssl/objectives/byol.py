"""BYOL: predict the teacher's projection of the other view; no negatives."""

from __future__ import annotations

from jaxtyping import Float
from lightly.loss.negative_cosine_similarity import NegativeCosineSimilarity
from torch import Tensor

from medssl.objectives.rows import at_least_single, check_rows, full_precision

LOSS = "loss"
"""Key of the total; every other key is one of its terms."""


def byol_loss(
    prediction_a: Float[Tensor, "batch dim"],
    prediction_b: Float[Tensor, "batch dim"],
    teacher_a: Float[Tensor, "batch dim"],
    teacher_b: Float[Tensor, "batch dim"],
) -> dict[str, Float[Tensor, ""]]:
    r"""The loss of Grill et al., NeurIPS 2020 (arXiv 2006.07733), and its terms.

    With predictions q and teacher projections t,

    $$L = \mathrm{mean}_i \bigl[2 - 2 \cos(q_i^a, \mathrm{sg}\, t_i^b)\bigr]
      + \mathrm{mean}_i \bigl[2 - 2 \cos(q_i^b, \mathrm{sg}\, t_i^a)\bigr],$$

    between 0 and 8; 4 where nothing is predicted. The cosine is lightly's. Computed in single
    precision (float64 stays).

    Args:
        prediction_a: The predictor's output for the student's view a.
        prediction_b: The same for view b.
        teacher_a: Teacher projections of view a.
        teacher_b: Teacher projections of view b.

    Returns:
        The total under `"loss"`, and its two terms, named by what is predicted: `"predicts_b"`,
        `"predicts_a"`.

    Raises:
        ObjectiveError: Shapes differ, or the batch is empty.

    >>> import torch
    >>> rows = torch.eye(3)
    >>> byol_loss(rows, rows, rows, -rows)["loss"]
    tensor(4.)
    """
    check_rows("byol_loss", prediction_a, prediction_b, teacher_a, teacher_b, participants=None)
    cosine = NegativeCosineSimilarity()
    with full_precision(prediction_a):
        q_a, q_b = at_least_single(prediction_a), at_least_single(prediction_b)
        t_a, t_b = (at_least_single(rows.detach()) for rows in (teacher_a, teacher_b))
        predicts_b, predicts_a = 2 + 2 * cosine(q_a, t_b), 2 + 2 * cosine(q_b, t_a)
    return {
        LOSS: predicts_b + predicts_a,
        "predicts_b": predicts_b,
        "predicts_a": predicts_a,
    }
