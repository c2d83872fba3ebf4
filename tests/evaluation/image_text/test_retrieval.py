from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from medssl.errors import LeakageError, StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.retrieval import (
    label_retrieval,
    only_precision,
    pair_retrieval,
    sentence_retrieval,
)
from medssl.evaluation.retrieval_tables import Ranking, tabulate


def named(values: np.ndarray, people: list[str] | np.ndarray, prefix: str = "r") -> Embeddings:
    records = np.array([f"{prefix}{i:05d}" for i in range(len(values))])
    return Embeddings(records, np.asarray(people), records, values)


def column(ranking: Ranking, metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    place = ranking.columns.index((metric, k))
    return ranking.values[:, place], ranking.chance[:, place]


def slow_precision(
    query: np.ndarray, wanted: np.ndarray, own: str, found: Embeddings, labels: np.ndarray, k: int
) -> tuple[float, float]:
    others = [i for i, owner in enumerate(found.participants) if owner != own]
    cosines = {
        i: query @ found.values[i] / np.linalg.norm(query) / np.linalg.norm(found.values[i])
        for i in others
    }
    hits = {i: bool(set(np.flatnonzero(labels[i])) & set(np.flatnonzero(wanted))) for i in others}
    first = sorted(others, key=lambda i: -cosines[i])[:k]
    return sum(hits[i] for i in first) / k, sum(hits.values()) / len(others)


def test_precision_and_chance_equal_a_slow_count_over_other_participants() -> None:
    rng = np.random.default_rng(0)
    people = rng.choice(["a", "b", "c", "d"], 40)
    images = named(rng.normal(size=(40, 6)), people)
    labels = (rng.random((40, 3)) < 0.4).astype(float)
    ranking = label_retrieval(images, labels, images, labels, task="image → image", ks=[5, 10])
    asked = np.isin(images.records, ranking.queries)
    for k in (5, 10):
        values, chance = column(ranking, "precision", k)
        expected = [
            slow_precision(images.values[i], labels[i], people[i], images, labels, k)
            for i in np.flatnonzero(asked)
        ]
        np.testing.assert_allclose(values, [value for value, _ in expected])
        np.testing.assert_allclose(chance, [value for _, value in expected])
    assert ranking.unanswerable == int((~labels.any(axis=1)).sum())
    assert "40 queries have candidates of their own participant" in ranking.note


def test_texts_ask_images_and_only_ones_are_labels() -> None:
    images = named(np.eye(3), ["a", "b", "c"])
    labels = np.array([[1, 0], [-1, 1], [np.nan, 0]])
    ranking = sentence_retrieval(
        np.array([[1.0, 0.9, 0.8]]), np.array([[1, -1]]), images, labels,
        task="text → image", ks=[1, 2],
    )  # fmt: skip
    assert column(ranking, "precision", 1)[0].tolist() == [1.0]
    assert column(ranking, "precision", 2)[0].tolist() == [0.5]
    assert column(ranking, "precision", 2)[1][0] == pytest.approx(1 / 3)
    assert ranking.note == ""


def test_a_fixed_protocol_refuses_a_participant_on_both_sides() -> None:
    labels = np.ones((2, 1))
    asked, found = named(np.eye(2), ["a", "b"]), named(np.eye(2), ["b", "c"])
    with pytest.raises(LeakageError, match=r"1 participant.*: b\."):
        label_retrieval(asked, labels, found, labels, task="t", overlap="error")
    left_out = label_retrieval(asked, labels, found, labels, task="t", ks=[1])
    assert "1 queries have candidates of their own participant" in left_out.note


def test_an_encoder_of_one_embedding_scores_exactly_chance_and_a_good_one_above() -> None:
    rng = np.random.default_rng(1)
    classes = np.repeat(np.arange(4), 50)
    labels = np.eye(4)[classes]
    people = [f"p{i}" for i in range(200)]
    blind = named(np.ones((200, 3)), people)
    values, chance = column(
        label_retrieval(blind, labels, blind, labels, task="t", ks=[5]), "precision", 5
    )
    np.testing.assert_allclose(values, chance)
    assert chance[0] == pytest.approx(49 / 199)
    good = named(labels + 0.3 * rng.normal(size=labels.shape), people)
    ranking = only_precision(label_retrieval(good, labels, good, labels, task="t"))
    assert [k for _, k in ranking.columns] == [5, 10, 50]
    row = tabulate([ranking], replicates=200).row("t", "precision", 10)
    assert row.above_chance
    assert row.interval.n_participants == 200


def test_memory_is_bounded() -> None:
    rng = np.random.default_rng(2)
    images = named(rng.normal(size=(4000, 8)).astype(np.float32), [f"p{i}" for i in range(4000)])
    labels = np.eye(8)[rng.integers(0, 8, 4000)]
    tracemalloc.start()
    label_retrieval(images.take(np.arange(1500)), labels[:1500], images, labels, task="t", ks=[5])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All 1,500 × 4,000 cosines are 48 MB, and ranking them takes several such arrays.
    assert peak < 60e6


def test_true_pairs_are_found_and_own_other_studies_not_ranked() -> None:
    rng = np.random.default_rng(3)
    base = np.repeat(rng.normal(size=(30, 16)), 2, axis=0) + 0.2 * rng.normal(size=(60, 16))
    people = np.repeat([f"p{i:02d}" for i in range(30)], 2)
    links = [f"s{i}" for i in range(60)]
    images, texts = (
        named(base + 0.02 * rng.normal(size=base.shape), people, kind) for kind in ("i", "t")
    )
    for ranking in pair_retrieval(images, texts, image_links=links, text_links=links):
        values, chance = column(ranking, "hit", 1)
        assert values.mean() == 1.0
        np.testing.assert_allclose(chance, 1 / 59)  # 58 of other participants and the own one
        assert ranking.note == ""


def test_equal_reports_are_one_candidate_and_their_images_hits() -> None:
    # Participants a, b and c have the report "normal"; d has another, and a also a second study.
    texts = named(
        np.array([[1.0, 0], [1.0, 0], [1.0, 0], [0.0, 1], [0.9, 0.5]]), ["a", "b", "c", "d", "a"],
        "t",
    )  # fmt: skip
    contents = ["normal", "normal", "normal", "effusion", "old"]
    links = ["s1", "s2", "s3", "s4", "s5"]
    images = named(np.array([[0.0, 1], [1, 0], [1, 0.1], [1, 0.05]]), ["d", "b", "c", "e"], "i")
    there, back = pair_retrieval(
        images, texts, image_links=["s4", "s2", "s3", None], text_links=links, contents=contents,
        ks=[1, 2],
    )  # fmt: skip
    assert there.queries.tolist() == ["i00000", "i00001", "i00002"]  # e has no report
    values, chance = column(there, "hit", 1)
    assert values.tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_allclose(chance, 1 / 3)  # normal, effusion, old
    # a's own report has no image, yet the images of b and c are right answers to it.
    assert back.queries.tolist() == ["t00000", "t00001", "t00002", "t00003"]
    values, _ = column(back, "precision", 2)
    # Nearest to "normal" are b, then e (whose report is unknown), then c.
    assert values.tolist() == [0.5, 0.5, 0.5, 0.5]
    np.testing.assert_allclose(column(back, "recall", 2)[1], [2 / 4] * 4)
    assert "5 texts, of which 3 differ" in there.note


def test_without_contents_an_equal_report_is_a_miss() -> None:
    texts = named(np.array([[1.0, 0], [1.0, 0]]), ["a", "b"], "t")
    images = named(np.array([[1.0, 0], [1.0, 0.1]]), ["a", "b"], "i")
    links = ["s1", "s2"]
    there, _ = pair_retrieval(images, texts, image_links=links, text_links=links, ks=[1])
    assert column(there, "hit", 1)[0].tolist() == [0.5, 0.5]  # a tie of two
    there, _ = pair_retrieval(
        images, texts, image_links=links, text_links=links, contents=["same", "same"], ks=[1]
    )
    assert column(there, "hit", 1)[0].tolist() == [1.0, 1.0]


def test_an_own_text_of_another_study_is_a_candidate_only_if_others_have_it() -> None:
    texts = named(np.eye(3), ["a", "a", "b"], "t")
    images = named(np.eye(3)[[1]], ["a"], "i")
    both = {"image_links": ["s1"], "text_links": ["s1", "s2", "s3"], "ks": [1]}
    # The image is nearest to the own text of study s2: not ranked when nobody else has it.
    there, _ = pair_retrieval(images, texts, contents=["x", "y", "z"], **both)  # type: ignore[arg-type]
    assert column(there, "recall", 1)[1].tolist() == [0.5]
    there, _ = pair_retrieval(images, texts, contents=["x", "y", "y"], **both)  # type: ignore[arg-type]
    assert column(there, "hit", 1)[0].tolist() == [0.0]


def test_a_link_of_two_participants_and_wrong_lengths_are_refused() -> None:
    images, texts = named(np.eye(2), ["a", "b"], "i"), named(np.eye(2), ["a", "a"], "t")
    with pytest.raises(StageError, match="two participants"):
        pair_retrieval(images, texts, image_links=["s1", "s2"], text_links=["s1", "s2"])
    with pytest.raises(StageError, match="3 contents for 2 texts"):
        pair_retrieval(
            images, texts, image_links=["s1", None], text_links=["s1", None], contents=list("abc")
        )
    with pytest.raises(StageError, match="2 and 3 dimensions"):
        label_retrieval(images, np.ones((2, 1)), named(np.eye(3), list("xyz")), np.ones((3, 1)),
                        task="t")  # fmt: skip
    with pytest.raises(StageError, match="labels of shape"):
        label_retrieval(images, np.ones(2), images, np.ones((2, 1)), task="t")
