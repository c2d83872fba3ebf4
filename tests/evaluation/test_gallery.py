"""Written sentences ask: the participants of what they find are resampled."""

from __future__ import annotations

import numpy as np
import pytest

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.gallery import Gallery
from medssl.evaluation.image_text.retrieval import label_retrieval, sentence_retrieval
from medssl.evaluation.retrieval_tables import Ranking, tabulate
from medssl.evaluation.statistics import bootstrap

KS = (1, 3, 10)


def named(values: np.ndarray, people: np.ndarray | None = None, prefix: str = "r") -> Embeddings:
    names = np.array([f"{prefix}{place:05d}" for place in range(len(values))])
    return Embeddings(names, names if people is None else people, names, values)


def precision(ranking: Ranking) -> list[float]:
    places = [ranking.columns.index(("precision", k)) for k in KS]
    return [float(ranking.values[:, place].mean()) for place in places]


def case(seed: int, n: int = 90, *, levels: int | None = None) -> tuple:
    """Sentences, their labels, images of 12 participants, and labels; with few levels, ties."""
    rng = np.random.default_rng(seed)
    people = np.array([f"p{one:02d}" for one in np.sort(rng.integers(12, size=n))])
    asked, found = rng.normal(size=(7, 4)), rng.normal(size=(n, 4))
    if levels is not None:
        asked, found = np.sign(asked), rng.integers(1, levels, size=(n, 4)).astype(float)
    wanted, labels = np.eye(3)[rng.integers(3, size=7)], np.eye(3)[rng.integers(3, size=n)]
    labels[people == "p03"] = [1, 0, 1]
    return asked, wanted, named(found, people), labels


@pytest.mark.parametrize("levels", [None, 2, 3])
def test_a_weight_is_so_many_copies_of_an_image(levels):
    asked, wanted, images, labels = case(0, levels=levels)
    ranking = sentence_retrieval(asked, wanted, images, labels, task="t", ks=KS)
    (gallery,) = ranking.galleries
    everyone = np.ones((1, len(images)))
    found = [float(gallery.precision(k)(everyone)[0]) for k in KS]
    assert found == pytest.approx(precision(ranking))
    assert gallery.chance()(everyone)[0] == pytest.approx(ranking.chance[:, 0].mean())
    rng = np.random.default_rng(1)
    for _ in range(5):
        drawn = rng.permutation(np.unique(images.participants))[:9]
        times = {name: int(count) for name, count in zip(drawn, rng.integers(1, 4, 9), strict=True)}
        weights = np.array([times.get(name, 0) for name in images.participants.tolist()])
        copies = np.repeat(np.arange(len(images)), weights)
        repeated = label_retrieval(
            named(asked, prefix="q"), wanted, named(images.values[copies]), labels[copies],
            task="t", ks=KS,
        )  # fmt: skip
        assert repeated.unanswerable == 0
        found = [float(gallery.precision(k)(weights[None].astype(float))[0]) for k in KS]
        assert found == pytest.approx(precision(repeated))
        share = gallery.chance()(weights[None].astype(float))[0]
        assert share == pytest.approx(repeated.chance[:, 0].mean())


def test_intervals_resample_the_participants_of_the_images():
    asked, wanted, images, labels = case(2)
    ranking = sentence_retrieval(asked, wanted, images, labels, task="text → image", ks=KS)
    table = tabulate([ranking], baselines={"other": [ranking, ranking]}, replicates=200, seed=3)
    row = table.row("text → image", "precision", 3)
    expected = bootstrap(
        ranking.galleries[0].precision(3), images.participants, replicates=200, seed=3
    )
    assert (row.interval.low, row.interval.high) == (expected.low, expected.high)
    assert (row.n_queries, row.n_participants, row.resampled) == (7, 12, "candidates")
    assert row.lift.value == pytest.approx(row.interval.value - row.chance)
    other = table.row("text → image", "precision", 3, features="other")
    assert (other.difference.value, other.difference.low, other.difference.high) == (0, 0, 0)
    assert any("resample the participants of the candidates" in note for note in table.notes)


def test_what_finds_by_label_is_above_chance_and_noise_is_not():
    rng = np.random.default_rng(4)
    wanted = np.eye(3)[np.arange(9) % 3]
    labels = np.eye(3)[rng.integers(3, size=200)]
    people = np.array([f"p{one:02d}" for one in rng.integers(40, size=200)])
    for noise, above in ((0.5, True), (1e6, False)):
        images = named(labels + noise * rng.normal(size=(200, 3)), people)
        ranking = sentence_retrieval(wanted, wanted, images, labels, task="t", ks=(10,))
        row = tabulate([ranking], replicates=300).row("t", "precision", 10)
        assert row.above_chance == above


def test_a_replicate_beyond_what_is_kept_is_no_number():
    n = 400
    similarity, shared = -np.arange(n, dtype=float)[None], np.ones((1, n), dtype=bool)
    people = np.arange(n).astype(str)
    gallery = Gallery.rank(lambda part: similarity[part], lambda part: shared[part], 1, people, 2)
    assert gallery.nearest.shape == (1, 80)
    far = np.r_[np.zeros(80), np.ones(n - 80)]
    found = gallery.precision(2)(np.stack([np.ones(n), far]))
    assert found[0] == 1
    assert np.isnan(found[1])


def test_one_embedding_for_everybody_scores_chance_and_keeps_the_tie_whole():
    n = 300
    shared = np.arange(n)[None] % 3 == 0
    gallery = Gallery.rank(
        lambda part: np.zeros((1, n))[part], lambda part: shared[part], 1, np.arange(n).astype(str),
        2,
    )  # fmt: skip
    assert gallery.nearest.shape == (1, n)
    weights = np.random.default_rng(0).integers(0, 3, size=(4, n)).astype(float)
    assert gallery.precision(2)(weights) == pytest.approx(gallery.chance()(weights))
