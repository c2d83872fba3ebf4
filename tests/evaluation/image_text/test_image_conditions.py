from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import StageError
from medssl.evaluation.image_text.image_conditions import (
    choice_answers,
    swap_images,
    zero_shot_answers,
)
from medssl.evaluation.image_text.image_use import BLANK, SWAPPED, TEXT, TRUE, image_use

DIM = 12


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(0, 5))
def test_every_row_gets_the_image_of_another_participant(owners: list[int], seed: int) -> None:
    people = np.array([f"p{i}" for i in owners])
    if 2 * max(owners.count(i) for i in owners) > len(owners):
        with pytest.raises(StageError, match="cannot be swapped"):
            swap_images(people, seed=seed)
        return
    swapped = swap_images(people, seed=seed)
    assert sorted(swapped.tolist()) == list(range(len(owners)))
    assert (people[swapped] != people).all()
    np.testing.assert_array_equal(swapped, swap_images(people, seed=seed))


def test_swaps_differ_by_seed() -> None:
    people = [f"p{i}" for i in range(50)]
    assert swap_images(people, seed=0).tolist() != swap_images(people, seed=1).tolist()


def pairs(shared: float, *, count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(count, DIM))
    images, texts = (shared * both + rng.normal(size=both.shape) for _ in range(2))
    return images, texts


def test_paired_embeddings_depend_on_the_image_and_unpaired_ones_do_not() -> None:
    people = [f"p{i // 2}" for i in range(200)]
    blank = np.ones(DIM)
    answers, truth = choice_answers(*pairs(2.0), people, blank=blank)
    assert set(answers) == {TRUE, SWAPPED, TEXT, BLANK}
    found = image_use(answers, truth, people, replicates=200)
    assert found.chance == 0.25
    assert found.verdict == "depends"
    # Studies of one participant are unlike here, so the swapped image knows nothing.
    assert found.scores[SWAPPED].value == pytest.approx(0.25, abs=0.07)
    answers, truth = choice_answers(*pairs(0.0), people, blank=blank)
    assert image_use(answers, truth, people, replicates=200).verdict != "depends"


def test_a_model_that_knows_only_how_usual_a_text_is_is_found_out() -> None:
    """All images alike: whichever is shown, the most usual text is chosen."""
    rng = np.random.default_rng(1)
    people = [f"p{i}" for i in range(300)]
    images = np.ones((300, DIM)) + 1e-3 * rng.normal(size=(300, DIM))
    texts = rng.normal(size=(300, DIM)) + rng.random((300, 1)) * np.ones(DIM)
    found = image_use(*choice_answers(images, texts, people), people, replicates=200)
    assert found.verdict == "does not depend"
    assert found.scores[TEXT].value == pytest.approx(found.scores[TRUE].value, abs=0.03)


def test_the_own_text_stands_among_different_texts_of_other_participants() -> None:
    count = 60
    people = [f"p{i // 3}" for i in range(count)]
    contents = [f"text {i % 7}" for i in range(count)]
    # One dimension per content, so that a score of 1 shows that an equal text was offered.
    texts = np.eye(7)[np.arange(count) % 7]
    answers, truth = choice_answers(texts, texts, people, contents=contents, choices=5)
    scores = answers[TRUE][0]
    assert scores.shape == (count, 5)
    assert (truth == 0).all()
    np.testing.assert_allclose(scores[:, 0], 1.0)
    np.testing.assert_allclose(scores[:, 1:], 0.0)


def test_zero_shot_conditions() -> None:
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], 100)
    people = [f"p{i}" for i in range(200)]
    images = np.stack([2.0 * label - 1, np.ones(200)], axis=1) + 0.3 * rng.normal(size=(200, 2))
    answers = zero_shot_answers(
        images, np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]), people, blank=np.ones(2), swaps=3
    )
    assert len(answers[SWAPPED]) == 3
    found = image_use(answers, label, people, replicates=100)
    assert found.verdict == "depends"
    assert found.scores[BLANK].value == 0.5
    assert found.scores[SWAPPED].value == pytest.approx(0.5, abs=0.06)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(StageError, match="nothing to choose"):
        choice_answers(np.eye(4), np.eye(4), list("abcd"), contents=["same"] * 4)
    with pytest.raises(StageError, match="one of each per pair"):
        choice_answers(np.eye(4), np.eye(3), list("abcd"))
