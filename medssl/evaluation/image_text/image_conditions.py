"""Scores of an image–text model with true, swapped and blank images: what `image_use` compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.image_text.image_use import BLANK, SWAPPED, TEXT, TRUE
from medssl.evaluation.image_text.zero_shot import TEMPERATURE, zero_shot_scores
from medssl.evaluation.retrieval_search import GRID, unit_rows
from medssl.views.seeds import derive_seed

_TRIES: Final = 200


def swap_images(participants: Sequence[str] | np.ndarray, *, seed: int = 0) -> np.ndarray:
    """A permutation that gives every row the image of another participant.

    Rows are put in a random order of participants, those of one participant together, and moved
    on by at least as many places as the largest participant has rows; every image is used once.

    Args:
        participants: Participant of each row, shape (n,).
        seed: Of the draw.

    Returns:
        Position of the image that each row gets, int64 of shape (n,).

    Raises:
        StageError: One participant has more than half of the rows.

    >>> swap_images(["a", "a", "b", "b"]).tolist() in ([2, 3, 0, 1], [3, 2, 1, 0], [2, 3, 1, 0])
    True
    """
    owners = np.unique(np.asarray(participants, dtype=np.str_), return_inverse=True)[1].reshape(-1)
    count = len(owners)
    largest = int(np.bincount(owners).max(initial=0))
    if count == 0 or 2 * largest > count:
        msg = (
            f"one participant has {largest} of {count} rows: images cannot be swapped between "
            "participants; take fewer rows of each"
        )
        raise StageError(msg)
    generator = np.random.default_rng(derive_seed(seed, "swap images"))
    order = np.lexsort((generator.random(count), generator.permutation(owners.max() + 1)[owners]))
    step = int(generator.integers(largest, count - largest + 1))
    swapped = np.empty(count, dtype=np.int64)
    swapped[order] = np.roll(order, step)
    return swapped


def zero_shot_answers(
    images: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    participants: Sequence[str] | np.ndarray,
    *,
    blank: np.ndarray | None = None,
    swaps: int = 5,
    temperature: float = TEMPERATURE,
    seed: int = 0,
) -> dict[str, list[np.ndarray]]:
    """Zero-shot scores of one finding with true, swapped and blank images.

    Args:
        images: Projected embeddings, shape (n, d).
        positive: Embedded prompts for the finding, shape (p, d).
        negative: Embedded prompts against it, shape (q, d).
        participants: Participant of each image, shape (n,).
        blank: Embeddings of blank or occluded images, shape (d,) for one, (n, d) for each its own.
        swaps: Swaps that are averaged.
        temperature: τ, of the training.
        seed: Of the swaps.
    """

    def score(seen: np.ndarray) -> np.ndarray:
        return zero_shot_scores(seen, positive, negative, temperature=temperature)

    true = score(images)
    found = {TRUE: [true], SWAPPED: [true[swap] for swap in _swaps(participants, swaps, seed)]}
    if blank is not None:
        found[BLANK] = [score(np.array(np.broadcast_to(blank, np.shape(images))))]
    return found


def choice_answers(
    images: np.ndarray,
    texts: np.ndarray,
    participants: Sequence[str] | np.ndarray,
    *,
    choices: int = 4,
    contents: Sequence[str] | np.ndarray | None = None,
    blank: np.ndarray | None = None,
    swaps: int = 5,
    seed: int = 0,
) -> tuple[dict[str, list[np.ndarray]], np.ndarray]:
    """Which of several texts belongs to the image: the own one, or those of other participants?

    The conditions keep the texts and change the image: that of another participant; a blank one;
    or none, where each text is scored by how near it is to the mean image of all *other*
    participants, that is by how usual it is.

    Args:
        images: Projected embeddings, shape (n, d).
        texts: Projected embedding of the text of each image, shape (n, d).
        participants: Participant of each pair, shape (n,).
        choices: Texts to choose from, the own one among them.
        contents: Equal for equal texts, shape (n,): equal texts are never put to choice.
        blank: Embeddings of blank or occluded images, shape (d,) for one, (n, d) for each its own.
        swaps: Swaps that are averaged.
        seed: Of swaps and choices.

    Returns:
        Answers of shape (n, choices) for `image_use`, and the number of the right choice (n,).

    Raises:
        StageError: Shapes do not fit, or too few different texts of other participants exist.
    """
    if np.shape(images) != np.shape(texts) or len(images) != len(participants):
        msg = f"{np.shape(images)} images, {np.shape(texts)} texts: give one of each per pair"
        raise StageError(msg)
    seen, said = unit_rows(images), unit_rows(texts)
    owners = np.asarray(participants, dtype=np.str_)
    offered = said[_offered(owners, contents, choices, seed)]

    def score(rows: np.ndarray) -> np.ndarray:
        # Rounded as in every search: equal texts must not be told apart by rounding errors.
        return np.asarray(np.rint(np.einsum("nd,ncd->nc", rows, offered) * GRID) / GRID)

    swapped = [score(seen[swap]) for swap in _swaps(owners, swaps, seed)]
    found = {TRUE: [score(seen)], SWAPPED: swapped, TEXT: [score(_mean_of_others(seen, owners))]}
    if blank is not None:
        found[BLANK] = [score(unit_rows(np.broadcast_to(blank, seen.shape)))]
    return found, np.zeros(len(seen), dtype=np.int64)


def _swaps(participants: Sequence[str] | np.ndarray, swaps: int, seed: int) -> list[np.ndarray]:
    return [swap_images(participants, seed=derive_seed(seed, draw)) for draw in range(swaps)]


def _offered(
    owners: np.ndarray, contents: Sequence[str] | np.ndarray | None, choices: int, seed: int
) -> np.ndarray:
    """Positions of the texts put to choice, the own one first, int64 of shape (n, choices)."""
    count = len(owners)
    keys = np.arange(count).astype(np.str_) if contents is None else np.asarray(contents)
    if keys.shape != (count,) or choices < 2:
        msg = f"{len(keys)} contents for {count} pairs, {choices} choices: one each, 2 or more"
        raise StageError(msg)
    generator = np.random.default_rng(derive_seed(seed, "choices"))
    drawn = generator.integers(0, count, size=(count, choices - 1))
    for _ in range(_TRIES):
        wrong = (owners[drawn] == owners[:, None]) | (keys[drawn] == keys[:, None])
        if not wrong.any():
            return np.concatenate([np.arange(count)[:, None], drawn], axis=1)
        drawn[wrong] = generator.integers(0, count, size=int(wrong.sum()))
    msg = "hardly any text differs from those of other participants: there is nothing to choose"
    raise StageError(msg)


def _mean_of_others(images: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Mean unit vector of all other participants' images, a participant counting once."""
    codes, counts = np.unique(owners, return_inverse=True, return_counts=True)[1:]
    codes = codes.reshape(-1)
    means = np.zeros((len(counts), images.shape[1]))
    np.add.at(means, codes, images)
    means /= counts[:, None]
    return unit_rows((means.sum(axis=0) - means)[codes])
