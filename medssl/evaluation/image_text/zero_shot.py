"""Zero-shot scores: which sentences an image is nearest to, without any training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.special import expit, softmax

from medssl.errors import StageError
from medssl.evaluation.image_text.prompts import PromptSet
from medssl.evaluation.retrieval_search import cosine, unit_rows

TEMPERATURE: Final = 0.1
"""That of ConVIRT; give the one that the encoders were trained with."""

EmbedTexts = Callable[[Sequence[str]], np.ndarray]
"""From n sentences to float (n, d), projected into the space that images and texts share."""


class PromptVectors(NamedTuple):
    """Embedded prompts of one finding."""

    positive: np.ndarray
    """Shape (p, d)."""
    negative: np.ndarray
    """Shape (q, d)."""


def embed_prompts(
    prompts: PromptSet, findings: Iterable[str], embed_texts: EmbedTexts
) -> dict[str, PromptVectors]:
    """Embed the prompts of some findings, every sentence once.

    Args:
        prompts: Prompt set.
        findings: Names as the label table has them.
        embed_texts: Embeds sentences.
    """
    names = tuple(findings)
    sentences = prompts.sentences(names)
    vectors = np.asarray(embed_texts(sentences))
    _check(vectors, f"{len(sentences)} prompts", len(sentences))
    place = {sentence: at for at, sentence in enumerate(sentences)}
    return {
        name: PromptVectors(
            *(
                vectors[[place[sentence] for sentence in side]]
                for side in (prompts[name].positive, prompts[name].negative)
            )
        )
        for name in names
    }


def ensemble(prompts: np.ndarray) -> np.ndarray:
    """One unit vector for several phrasings: the mean of their unit vectors, scaled to length 1.

    So every phrasing has the same say, however long its embedding, and an ensemble costs no more
    than one sentence (Radford et al., "Learning transferable visual models from natural language
    supervision", ICML 2021, section 3.1.4). A mean of the softmaxes of single phrasings would
    be the alternative; it is not taken, because its value depends on the temperature also in rank.

    Args:
        prompts: Embeddings of the phrasings, shape (p, d).

    >>> ensemble(np.array([[2.0, 0.0], [0.0, 5.0]])).round(3)
    array([0.707, 0.707])
    """
    return np.asarray(unit_rows(unit_rows(prompts).mean(axis=0)[None])[0])


def zero_shot_scores(
    images: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    *,
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """Probability that an image is described by the positive rather than by the negative prompts.

    With e⁺ and e⁻ the `ensemble` of each side, v the image's unit vector and τ the temperature:
    softmax over the pair, exp(v·e⁺/τ) / (exp(v·e⁺/τ) + exp(v·e⁻/τ)) = σ((v·e⁺ − v·e⁻)/τ).

    The score of an image depends on that image alone: nothing is standardised over the batch, so
    that it is the same whoever else is scored. τ does not change how images are ranked.

    Args:
        images: Projected embeddings, shape (n, d).
        positive: Embedded prompts for the finding, shape (p, d).
        negative: Embedded prompts against it, shape (q, d).
        temperature: τ, of the training.

    Returns:
        Float64 of shape (n,), in (0, 1).

    Raises:
        StageError: The shapes do not fit, or the temperature is not positive.

    Source: Tiu et al., "Expert-level detection of pathologies from unannotated chest X-ray images",
    Nature Biomedical Engineering 2022.

    >>> v, yes, no = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0]]), np.eye(2)[1:]
    >>> zero_shot_scores(v, yes, no, temperature=1.0).round(3)
    array([0.731, 0.269])
    """
    _check_temperature(temperature)
    near = _similarities(images, (positive, negative))
    return np.asarray(expit((near[:, 0] - near[:, 1]) / temperature))


def zero_shot_classes(
    images: np.ndarray, classes: Sequence[np.ndarray], *, temperature: float = TEMPERATURE
) -> np.ndarray:
    """Probability of each of several classes that exclude each other.

    p_c = exp(v·e_c/τ) / Σ_k exp(v·e_k/τ), e_c the `ensemble` of the prompts of class c.

    Args:
        images: Projected embeddings, shape (n, d).
        classes: Embedded prompts of each class, shapes (p_c, d).
        temperature: τ, of the training.

    Returns:
        Float64 of shape (n, classes); rows sum to 1.

    Raises:
        StageError: The shapes do not fit, or the temperature is not positive.

    >>> zero_shot_classes(np.eye(2), [np.eye(2)[:1], np.eye(2)[1:]], temperature=1.0).round(3)
    array([[0.731, 0.269],
           [0.269, 0.731]])
    """
    _check_temperature(temperature)
    return np.asarray(softmax(_similarities(images, classes) / temperature, axis=1))


def zero_shot_findings(
    images: np.ndarray,
    prompts: Mapping[str, PromptVectors],
    *,
    temperature: float = TEMPERATURE,
) -> dict[str, np.ndarray]:
    """`zero_shot_scores` of every finding, by its name.

    Args:
        images: Projected embeddings, shape (n, d).
        prompts: See `embed_prompts`.
        temperature: τ, of the training.
    """
    return {
        name: zero_shot_scores(images, *pair, temperature=temperature)
        for name, pair in prompts.items()
    }


def _similarities(images: np.ndarray, classes: Sequence[np.ndarray]) -> np.ndarray:
    _check(images, "images", None)
    for place, prompts in enumerate(classes):
        _check(prompts, f"prompts of class {place}", None)
        if np.shape(prompts)[1] != np.shape(images)[1]:
            msg = (
                f"images have {np.shape(images)[1]} dimensions and prompts {np.shape(prompts)[1]}: "
                "project both into the space that they share"
            )
            raise StageError(msg)
    ensembles = np.stack([ensemble(prompts) for prompts in classes])
    return cosine(unit_rows(images), ensembles)


def _check(values: np.ndarray, what: str, count: int | None) -> None:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape or (count is not None and len(array) != count):
        msg = f"{what}: embeddings of shape {array.shape}: give one row each, at least one"
        raise StageError(msg)
    if not np.isfinite(array).all():
        msg = f"{what}: an embedding is not finite: look at the losses of the pretraining"
        raise StageError(msg)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        msg = f"the temperature is {temperature:g}: give that of the training, above 0"
        raise StageError(msg)
