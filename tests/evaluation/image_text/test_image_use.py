from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medssl.errors import StageError
from medssl.evaluation.image_text.image_use import BLANK, SWAPPED, TEXT, TRUE, image_use

COUNT = 400
PEOPLE = np.repeat([f"p{i:03d}" for i in range(COUNT // 2)], 2)


def yes_or_no(image: float, text: float, *, seed: int = 0) -> tuple[dict, np.ndarray]:
    """Scores that follow the image and the text as told; the truth follows both."""
    rng = np.random.default_rng(seed)
    seen, read = rng.normal(size=(2, COUNT))
    truth = (seen + read > 0).astype(int)
    other = np.roll(seen, 2)  # of another participant
    answers = {
        TRUE: [image * seen + text * read],
        SWAPPED: [image * other + text * read],
        TEXT: [text * read],
    }
    return answers, truth


def test_a_score_that_needs_the_image_says_so() -> None:
    answers, truth = yes_or_no(1.0, 1.0)
    found = image_use(answers, truth, PEOPLE, replicates=200)
    assert found.verdict == "depends"
    assert found.sentence.startswith("The score depends on the image")
    assert found.metric == "AUROC"
    for name, draws in answers.items():
        assert found.scores[name].value == pytest.approx(roc_auc_score(truth, draws[0]))
    gain = found.differences[TEXT]
    assert gain.value == pytest.approx(found.scores[TRUE].value - found.scores[TEXT].value)
    assert gain.low > 0.05
    assert gain.n_participants == COUNT // 2


def test_a_score_that_reads_only_the_text_says_so() -> None:
    answers, truth = yes_or_no(0.0, 1.0)
    found = image_use(answers, truth, PEOPLE, replicates=200)
    assert found.scores[TRUE].value > 0.7  # good, and blind
    assert found.verdict == "does not depend"
    assert "does not depend on the image" in found.sentence
    assert SWAPPED in found.sentence
    assert TEXT in found.sentence


def test_too_few_participants_prove_nothing_either_way() -> None:
    answers, truth = yes_or_no(0.25, 1.0)
    few = {name: [draw[:20] for draw in draws] for name, draws in answers.items()}
    found = image_use(few, truth[:20], PEOPLE[:20], replicates=200)
    assert found.verdict == "unclear"
    assert "of these 10 participants" in found.sentence
    assert image_use(answers, truth, PEOPLE, replicates=200).verdict == "depends"
    # Equal answers of few participants have an interval from 0 to 0, and show nothing.
    same = {TRUE: few[TRUE], BLANK: few[TRUE]}
    assert image_use(same, truth[:20], PEOPLE[:20], replicates=50).verdict == "unclear"


def test_choices_are_judged_by_accuracy_with_ties_shared_and_draws_averaged() -> None:
    truth = np.array([0, 1, 2, 0])
    right = np.eye(3)[truth]
    answers = {
        TRUE: [right],
        SWAPPED: [np.roll(right, 1, axis=1), right],
        BLANK: [np.zeros((4, 3))],
    }
    found = image_use(answers, truth, list("abcd"), replicates=50)
    assert found.metric == "accuracy"
    assert found.scores[TRUE].value == 1.0
    assert found.scores[SWAPPED].value == 0.5
    assert found.scores[BLANK].value == pytest.approx(found.chance) == pytest.approx(1 / 3)
    assert "| blank image | 0.333" in found.to_markdown()
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_chance_with_true_images_is_named() -> None:
    rng = np.random.default_rng(5)
    answers = {TRUE: [rng.normal(size=COUNT)], BLANK: [np.zeros(COUNT)]}
    found = image_use(answers, rng.integers(0, 2, COUNT), PEOPLE, replicates=200)
    assert found.verdict != "depends"
    assert "not above chance" in found.sentence
    # A score that is surely below chance gains nothing from the image, and says what is wrong.
    answers, truth = yes_or_no(1.0, 0.0)
    upside_down = image_use(answers, 1 - truth, PEOPLE, replicates=200)
    assert upside_down.verdict == "does not depend"
    assert "as much or more" in upside_down.sentence
    assert "below chance: it points the wrong way" in upside_down.sentence


def test_conditions_that_do_not_fit_are_refused() -> None:
    answers, truth = yes_or_no(1.0, 1.0)
    with pytest.raises(StageError, match="at least one to compare"):
        image_use({TRUE: answers[TRUE]}, truth, PEOPLE)
    with pytest.raises(StageError, match="same shape"):
        image_use({TRUE: answers[TRUE], BLANK: [np.zeros(3)]}, truth, PEOPLE)
    with pytest.raises(StageError, match="400 answers"):
        image_use(answers, truth, PEOPLE[:-1])
