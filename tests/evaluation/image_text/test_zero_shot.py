from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medssl.errors import StageError
from medssl.evaluation.image_text.prompts import default_prompts
from medssl.evaluation.image_text.zero_shot import (
    PromptVectors,
    embed_prompts,
    ensemble,
    zero_shot_classes,
    zero_shot_findings,
    zero_shot_scores,
)

DIM = 8


def slow_scores(
    images: np.ndarray, positive: np.ndarray, negative: np.ndarray, temperature: float
) -> list[float]:
    found = []
    for image in images:
        sides = []
        for prompts in (positive, negative):
            mean = sum(p / np.linalg.norm(p) for p in prompts) / len(prompts)
            sides.append(image @ mean / np.linalg.norm(image) / np.linalg.norm(mean))
        powers = [np.exp(side / temperature) for side in sides]
        found.append(powers[0] / sum(powers))
    return found


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_scores_are_a_softmax_over_the_pair_of_ensembles(temperature: float) -> None:
    rng = np.random.default_rng(0)
    images, positive, negative = (rng.normal(size=(n, DIM)) for n in (20, 3, 5))
    found = zero_shot_scores(images, positive, negative, temperature=temperature)
    np.testing.assert_allclose(
        found, slow_scores(images, positive, negative, temperature), rtol=1e-6
    )


def test_an_image_scores_the_same_whoever_else_is_scored() -> None:
    rng = np.random.default_rng(1)
    images, positive, negative = (rng.normal(size=(n, DIM)) for n in (20, 3, 5))
    together = zero_shot_scores(images, positive, negative)
    alone = [zero_shot_scores(image[None], positive, negative)[0] for image in images]
    np.testing.assert_array_equal(together, alone)


def test_length_of_a_prompt_has_no_say_and_two_classes_are_the_pair() -> None:
    rng = np.random.default_rng(2)
    images, positive, negative = (rng.normal(size=(n, DIM)) for n in (20, 3, 5))
    scaled = positive * np.array([[1.0], [100.0], [0.01]])
    expected = zero_shot_scores(images, positive, negative)
    np.testing.assert_allclose(zero_shot_scores(7 * images, scaled, negative), expected)
    classes = zero_shot_classes(images, [positive, negative])
    np.testing.assert_allclose(classes[:, 0], expected)
    np.testing.assert_allclose(classes.sum(axis=1), 1.0)
    assert np.linalg.norm(ensemble(positive)) == pytest.approx(1.0)


def words(sentences: Sequence[str]) -> np.ndarray:
    """A text encoder of one thought: does a sentence speak of something abnormal?"""
    normal = {"no", "clear", "normal", "free", "intact"}
    scores = [
        -1.0 if normal & set(sentence.split()) and "abnormal" not in sentence else 1.0
        for sentence in sentences
    ]
    return np.stack([scores, np.full(len(scores), 0.2)], axis=1)


def test_no_finding_has_the_right_sign() -> None:
    """Of an encoder that knows normal from abnormal, both "No Finding" and "Edema" must be right.

    With prompts "no finding" and "no no finding" made from a template, both sides would deny.
    """
    rng = np.random.default_rng(3)
    ill = np.repeat([0, 1], 50)
    images = np.stack([2.0 * ill - 1 + 0.3 * rng.normal(size=100), np.full(100, 0.2)], axis=1)
    vectors = embed_prompts(default_prompts(), ["No Finding", "Edema"], words)
    scores = zero_shot_findings(images, vectors)
    assert roc_auc_score(ill == 0, scores["No Finding"]) > 0.95
    assert roc_auc_score(ill == 1, scores["Edema"]) > 0.95


def test_prompts_are_embedded_once_and_given_back_by_finding() -> None:
    asked: list[str] = []

    def embed(sentences: Sequence[str]) -> np.ndarray:
        asked.extend(sentences)
        return np.arange(len(sentences), dtype=float)[:, None] + np.ones(3)

    prompts = default_prompts()
    found = embed_prompts(prompts, ["Pneumonia", "Infiltration"], embed)
    assert len(set(asked)) == len(asked)
    assert "the lungs are clear" in asked  # a negative prompt of both
    place = asked.index("the lungs are clear")
    for name in ("Pneumonia", "Infiltration"):
        at = prompts[name].negative.index("the lungs are clear")
        np.testing.assert_array_equal(found[name].negative[at], np.full(3, place + 1.0))


def test_what_does_not_fit_is_refused() -> None:
    pair = PromptVectors(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(StageError, match="4 dimensions and prompts 3"):
        zero_shot_scores(np.ones((5, 4)), *pair)
    with pytest.raises(StageError, match="temperature is 0"):
        zero_shot_scores(np.ones((5, 3)), *pair, temperature=0)
    with pytest.raises(StageError, match="not finite"):
        zero_shot_scores(np.full((5, 3), np.nan), *pair)
    with pytest.raises(StageError, match="prompts"):
        embed_prompts(default_prompts(), ["Edema"], lambda s: np.ones((1, 3)))
