from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.errors import StageError
from medssl.evaluation.image_text.chexpert_8x200 import (
    METADATA,
    find_images,
    metadata_embeddings,
    run_protocol,
)
from medssl.evaluation.image_text.chexpert_lists import (
    CLASSES,
    FINDINGS,
    Protocol,
    build_protocol,
    participant_of,
)
from medssl.evaluation.image_text.chexpert_scores import (
    IMAGE_TASK,
    TEXT_TASK,
    ProtocolEmbeddings,
    score_protocol,
)
from medssl.evaluation.retrieval_tables import ENCODER

EIGHT = CLASSES["8x200"]
EACH = 60
SMALL = {"candidates": 52, "image_queries": 4}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A table of CheXpert's layout: 60 participants of each class, with that finding alone."""
    rng = np.random.default_rng(0)
    count = EACH * len(EIGHT)
    labels = pd.DataFrame(np.nan, index=range(count), columns=list(FINDINGS))
    for number in range(count):
        labels.loc[number, EIGHT[number % 8]] = 1.0
    paths = [f"CheXpert-v1.0/train/patient{i:05d}/study1/view1_frontal.jpg" for i in range(count)]
    return labels.assign(
        **{
            "Path": paths,
            "Frontal/Lateral": "Frontal",
            "AP/PA": rng.choice(["AP", "PA"], count),
            "Sex": rng.choice(["Male", "Female", "Unknown"], count),
            "Age": rng.integers(18, 91, count),
        }
    )


@pytest.fixture(scope="module")
def protocol(table: pd.DataFrame) -> Protocol:
    return build_protocol(table, **SMALL)


def class_vectors(labels: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    """A text of a class is its unit vector, an image that vector with noise."""
    rng = np.random.default_rng(seed)
    return np.eye(8)[labels] + noise * rng.normal(size=(len(labels), 8))


def embedded(protocol: Protocol, noise: float) -> ProtocolEmbeddings:
    return ProtocolEmbeddings(
        class_vectors(protocol.labels(protocol.candidates), noise),
        class_vectors(protocol.labels(protocol.image_queries), noise, 1),
        class_vectors(protocol.labels(protocol.text_queries), 0.01, 2),
    )


def test_a_perfect_encoder_a_blind_one_and_chance(protocol: Protocol) -> None:
    blind = ProtocolEmbeddings(np.ones((416, 8)), np.ones((32, 8)), np.ones((40, 8)))
    scores = score_protocol(
        protocol, embedded(protocol, 0.0), baselines={"blind": blind}, replicates=100
    )
    for task, queries in ((IMAGE_TASK, 32), (TEXT_TASK, 40)):
        for k in (5, 10, 50):
            row = scores.retrieval.row(task, "precision", k)
            assert row.interval.value == pytest.approx(1)
            assert row.chance == pytest.approx(1 / 8)
            assert (row.n_queries, row.n_candidates) == (queries, 416)
            blank = scores.retrieval.row(task, "precision", k, features="blind")
            assert blank.interval.value == pytest.approx(1 / 8)
    assert {row.metric for row in scores.retrieval.rows} == {"precision"}
    assert scores.accuracy[ENCODER].value == 1.0
    assert scores.accuracy["blind"].value == pytest.approx(1 / 8)
    assert any("not those of this package" in note for note in scores.notes)
    assert not any("own participant" in note for note in scores.retrieval.notes)


def test_precision_equals_a_slow_count(protocol: Protocol) -> None:
    found = embedded(protocol, 1.0)
    assert found.image_queries is not None
    scores = score_protocol(protocol, found, replicates=20)
    labels = protocol.labels(protocol.candidates)
    each = []
    for query, wanted in zip(
        found.image_queries, protocol.labels(protocol.image_queries), strict=True
    ):
        cosines = found.candidates @ query / np.linalg.norm(found.candidates, axis=1)
        each.append((labels[np.argsort(-cosines)[:10]] == wanted).mean())
    value = scores.retrieval.row(IMAGE_TASK, "precision", 10).interval.value
    assert value == pytest.approx(np.mean(each))
    assert 1 / 8 < value < 1


def test_own_participants_of_read_lists_are_left_out_and_counted(protocol: Protocol) -> None:
    owner = participant_of(protocol.candidates["Edema"][0])
    queries = dict(protocol.image_queries)
    queries["Edema"] = (f"{owner}/study9/view1_frontal.jpg", *queries["Edema"][1:])
    overlapping = protocol.model_copy(update={"image_queries": queries, "seed": None})
    assert overlapping.overlap == (owner,)
    scores = score_protocol(overlapping, embedded(overlapping, 0.5), replicates=20)
    assert any("1 queries have candidates of their own" in n for n in scores.retrieval.notes)
    assert any("read from files" in note for note in scores.notes)


def test_metadata_are_vectors_of_view_sex_and_age(table: pd.DataFrame, protocol: Protocol) -> None:
    found = metadata_embeddings(table, protocol)
    assert found.candidates.shape == (416, 6)
    first = protocol.images(protocol.candidates)[0]
    row = table[table["Path"].str.endswith(first)].iloc[0]
    assert found.candidates[0, 0] == (row["AP/PA"] == "AP")
    assert found.candidates[0, 4] == pytest.approx(np.cos(np.pi / 2 * row["Age"] / 100))
    with pytest.raises(StageError, match="not in the label table"):
        metadata_embeddings(table.iloc[:10], protocol)


def test_one_call_embeds_the_listed_files_and_writes_what_it_found(
    table: pd.DataFrame, protocol: Protocol, tmp_path: Path
) -> None:
    images = tmp_path / "CheXpert-v1.0" / "train"
    for lists in (protocol.candidates, protocol.image_queries):
        for name in EIGHT:
            for image in lists[name]:
                (images / image).parent.mkdir(parents=True)
                (images / image).write_text(name)  # a file that says its class stands for pixels
    table.to_csv(tmp_path / "train.csv", index=False)
    batches: list[int] = []

    def embed_images(paths: Sequence[Path]) -> np.ndarray:
        batches.append(len(paths))
        return np.eye(8)[[EIGHT.index(path.read_text()) for path in paths]]

    def embed_texts(texts: Sequence[str]) -> np.ndarray:
        said = [texts.index(text) for text in texts]
        return np.eye(8)[np.array(said) // 5]

    def alike(paths: Sequence[Path]) -> np.ndarray:
        return np.ones((len(paths), 8))

    scores = run_protocol(
        tmp_path, tmp_path / "train.csv", embed_images=embed_images, embed_texts=embed_texts,
        baselines={"untrained encoder": (alike, None)}, protocol=protocol,
        output=tmp_path / "out", replicates=20,
    )  # fmt: skip
    assert batches == [256, 160, 32]
    assert scores.retrieval.row(IMAGE_TASK, "precision", 5).interval.value == pytest.approx(1)
    assert scores.retrieval.row(TEXT_TASK, "precision", 50).interval.value == pytest.approx(1)
    assert scores.retrieval.row(TEXT_TASK, "precision", 50).resampled == "candidates"
    untrained = scores.retrieval.row(IMAGE_TASK, "precision", 5, features="untrained encoder")
    assert untrained.interval.value == pytest.approx(1 / 8)
    metadata = scores.retrieval.row(IMAGE_TASK, "precision", 5, features=METADATA)
    assert metadata.interval.value < 0.5
    assert Protocol.load(tmp_path / "out" / "protocol.json") == protocol
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert written["lists"] == protocol.digest
    assert "zero-shot accuracy" in (tmp_path / "out" / "scores.md").read_text()
    # Images alone: nothing is said of texts.
    alone = run_protocol(
        tmp_path, table, embed_images=embed_images, protocol=protocol, replicates=20
    )
    assert alone.accuracy == {}
    assert {row.task for row in alone.retrieval.rows} == {IMAGE_TASK}


def test_absent_images_and_embeddings_that_do_not_fit_are_refused(
    protocol: Protocol, tmp_path: Path
) -> None:
    (tmp_path / "patient00001" / "study1").mkdir(parents=True)
    (tmp_path / "patient00001" / "study1" / "view1_frontal.jpg").touch()
    names = ["patient00001/study1/view1_frontal.jpg", "patient00002/study1/view1_frontal.jpg"]
    assert find_images(tmp_path, names[:1]) == [tmp_path / names[0]]
    with pytest.raises(StageError, match="1 of 2 listed images are not under"):
        find_images(tmp_path, names)
    with pytest.raises(StageError, match="no folder at"):
        find_images(tmp_path / "absent", names)
    with pytest.raises(StageError, match="one row each"):
        score_protocol(protocol, ProtocolEmbeddings(np.ones((3, 8)), np.ones((32, 8))))
    with pytest.raises(StageError, match="nothing to score"):
        score_protocol(protocol, ProtocolEmbeddings(np.ones((416, 8))))
