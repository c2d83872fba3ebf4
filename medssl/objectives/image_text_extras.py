"""What CLIP-rocket adds to CLIP: strong views, smoothed targets, and terms without negatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.barlow_twins import barlow_twins_loss
from medssl.objectives.byol import LOSS, byol_loss
from medssl.objectives.cross_modal import (
    Matches,
    check_pairs,
    check_share,
    weighted_cross_entropy,
)
from medssl.objectives.rows import full_precision, unit_rows
from medssl.objectives.swav import swav_loss


def smoothed_contrast(
    images: Sequence[Float[Tensor, "batch dim"]],
    texts: Sequence[Float[Tensor, "batch dim"]],
    matches: Matches,
    *,
    temperature: float | Tensor = 0.1,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    r"""CLIP over all combinations of an image view with a text view, with smoothed targets.

    $$L = \operatorname{mean}_{u, v} \tfrac{1}{2}
      \bigl[\mathrm{CE}(x^u y^{v\top} / \tau, T) + \mathrm{CE}(y^v x^{u\top} / \tau, T')\bigr],
      \qquad T_{ij} = (1 - \alpha) \frac{1[j \in P_i]}{|P_i|} + \alpha \frac{1[j \in C_i]}{|C_i|}$$

    the local term of Fini et al., TMLR 2023 (arXiv 2305.08675): A strong views of each side give A²
    combinations, with projectors and a temperature of their own, α = 0.1. One view of each and
    α = 0 is CLIP. Rows are normalised here; computed in single precision (float64 stays). Across
    ranks, gather rows and codes first.

    Args:
        images: Projections of each view of the images.
        texts: Projections of each view of the texts.
        matches: From `find_matches`.
        temperature: τ.
        smoothing: α.

    Raises:
        ObjectiveError: A side has no view, shapes differ, the batch is empty, or α or τ is out of
            range.

    >>> apart = torch.eye(8, dtype=torch.bool)
    >>> rows, matches = torch.ones(8, 4), Matches(apart, torch.ones_like(apart))
    >>> smoothed_contrast([rows, rows], [rows, rows], matches)
    tensor(2.0794)
    """
    name = "smoothed_contrast"
    if not images or not texts:
        msg = f"{name}: {len(images)} image and {len(texts)} text views; give one or more of each"
        raise ObjectiveError(msg)
    check_share(name, smoothing=smoothing)
    for x in images:
        for y in texts:
            check_pairs(name, x, y, matches, temperature=temperature)
    compared = matches.compared
    with full_precision(images[0]):
        rows = _smoothed(matches.positive, compared, smoothing)
        columns = _smoothed(matches.positive.T, compared.T, smoothing)
        terms = []
        unit_texts = [unit_rows(y) for y in texts]
        for x in map(unit_rows, images):
            for y in unit_texts:
                logits = x @ y.T / temperature
                terms.append(weighted_cross_entropy(logits, rows, compared).mean())
                terms.append(weighted_cross_entropy(logits.T, columns, compared.T).mean())
        return torch.stack(terms).mean()


def combine(general: Float[Tensor, ""], local: Float[Tensor, ""], views: int) -> Float[Tensor, ""]:
    r"""$(L_g + A \cdot L_l) / (1 + A)$: the term of weak views and that of A strong ones.

    Args:
        general: L_g, such as `convirt_loss` with λ = ½.
        local: L_l, from `smoothed_contrast`.
        views: A; 0 leaves the local term out.

    Raises:
        ObjectiveError: A is negative.

    >>> combine(torch.tensor(1.0), torch.tensor(4.0), 2)
    tensor(3.)
    """
    if views < 0:
        msg = f"combine: {views} strong views; give 0 or more"
        raise ObjectiveError(msg)
    return general if views == 0 else (general + views * local) / (1 + views)


def cross_correlation(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    *,
    redundancy_weight: float = 0.005,
) -> Float[Tensor, ""]:
    r"""$\sum_k (1 - C_{kk})^2 + 0.005 \sum_{k \ne l} C_{kl}^2$, of image and text features.

    `barlow_twins_loss` across modalities: C are the correlations of image features with text
    features over the batch, so rows are standardised by feature, not normalised. Nothing is
    contrasted, so there are no matches. The paper's weight of this term is 0.025.

    Args:
        images: Projections of the images.
        texts: Projections of the texts.
        redundancy_weight: Of the terms off the diagonal.

    Raises:
        ObjectiveError: Shapes differ, or fewer than two rows.
    """
    return barlow_twins_loss(images, texts, redundancy_weight=redundancy_weight)


def predictor_regression(
    predicted_texts: Float[Tensor, "batch dim"],
    predicted_images: Float[Tensor, "batch dim"],
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
) -> Float[Tensor, ""]:
    r"""$2 - 2 \cos(p, \mathrm{sg}\, v)$, mean over both directions: `byol_loss` across modalities.

    Args:
        predicted_texts: A predictor's output for the images' projections.
        predicted_images: Another's for the texts'.
        images: Projections of the images, the targets; no gradient.
        texts: Projections of the texts.

    Raises:
        ObjectiveError: Shapes differ, or the batch is empty.

    >>> rows = torch.eye(3)
    >>> predictor_regression(rows, -rows, rows, rows)
    tensor(2.)
    """
    return byol_loss(predicted_texts, predicted_images, images, texts)[LOSS] / 2


def swapped_assignment(
    images: Float[Tensor, "batch clusters"],
    texts: Float[Tensor, "batch clusters"],
    *,
    temperature: float = 0.1,
    epsilon: float = 0.05,
) -> Float[Tensor, ""]:
    """The cluster of an image is predicted from its text and back: `swav_loss` across modalities.

    The paper's weight of this term is 0.2.

    Args:
        images: Logits of the images for the shared `Prototypes`.
        texts: Logits of the texts.
        temperature: Of the predictions.
        epsilon: Of the codes; the paper's is 0.05.

    Raises:
        ObjectiveError: Shapes differ, the batch is empty, or a setting is out of range.
    """
    return swav_loss([images, texts], temperature=temperature, epsilon=epsilon)


def _smoothed(
    positive: Bool[Tensor, "batch batch"], compared: Bool[Tensor, "batch batch"], smoothing: float
) -> Float[Tensor, "batch batch"]:
    pairs = positive.double() / positive.sum(dim=1, keepdim=True)
    everything = compared.double() / compared.sum(dim=1, keepdim=True)
    return (1 - smoothing) * pairs + smoothing * everything
