"""What only a model of images and texts can do: zero-shot findings, retrieval, image use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from medssl.bench.radiographs.sentences import Pool
from medssl.bench.scores import Score, score_found
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.image_conditions import zero_shot_answers
from medssl.evaluation.image_text.image_use import ImageUse, image_use
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.prompts import default_prompts
from medssl.evaluation.image_text.retrieval import (
    label_retrieval,
    only_precision,
    sentence_retrieval,
    sentences,
)
from medssl.evaluation.image_text.zero_shot import embed_prompts, zero_shot_findings
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.retrieval_tables import Ranking, RetrievalTable, tabulate
from medssl.evaluation.targets import Kind
from medssl.store import Store
from medssl.store.schema import PARTICIPANT, RECORD, SESSION
from medssl.text.findings import NIH
from medssl.types import Array, Rows

KS: Final = (5, 10, 50)
QUERIES: Final = 20
"""Sentences of each finding that ask for images."""
MACRO: Final = "14 findings"
FEWEST: Final = 5
"""Participants with a finding, and without it, that a score of it takes."""
IMAGE_TO_IMAGE: Final = "image → image"
TEXT_TO_IMAGE: Final = "text → image"
IMAGE_TO_TEXT: Final = "image → text"


@dataclass(frozen=True, eq=False)
class Held:
    """Images of participants that nothing was trained on, and what they show.

    Args:
        store: Where they are.
        rows: Their rows.
        findings: 1 where an image shows a finding, shape (rows, findings).
        names: The findings, as the label columns are called.
        queries: Sentences of reports that nothing was trained on.
        said: 1 where a sentence says a finding, shape (queries, findings).
    """

    store: Store
    rows: Rows
    findings: Array
    names: tuple[str, ...]
    queries: tuple[str, ...]
    said: Array

    @property
    def participants(self) -> np.ndarray:
        """Participant of each image."""
        return self.store.column(PARTICIPANT, self.rows).astype(np.str_)

    def embedded(self, values: Array) -> Embeddings:
        """Rows of values with the names of the images."""
        records, people, sessions = (
            self.store.column(name, self.rows) for name in (RECORD, PARTICIPANT, SESSION)
        )
        return Embeddings(records, people, sessions, values)


def hold_out(store: Store, rows: Rows, pool: Pool) -> Held:
    """Images with finding labels, and sentences that name the same findings.

    Args:
        store: Where images and labels are.
        rows: Images of test participants.
        pool: Sentences of reports held out.
    """
    labels = store.record_labels.reindex(store.column(RECORD, rows))[list(NIH)]
    known = labels.notna().all(axis=1).to_numpy()
    findings = labels[known].to_numpy(dtype=np.float64)
    queries: list[str] = []
    said: list[Array] = []
    for place, own in enumerate(NIH.values()):
        for sentence in sorted(pool.present.get(own, []))[:QUERIES]:
            queries.append(sentence)
            said.append(np.eye(len(NIH))[place])
    return Held(
        store, rows[known], findings, tuple(NIH), tuple(queries),
        np.array(said).reshape(len(queries), len(NIH)),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Projections:
    """Projections of one model.

    Args:
        images: Of the held-out images.
        queries: Of the held-out sentences.
        zero_shot: Score of each finding by prompts, by the finding's name.
    """

    images: Array
    queries: Array
    zero_shot: Mapping[str, Array]


def project(model: ImageTextModel, held: Held) -> Projections:
    """Project images, sentences and prompts."""
    images = model.project_rows(held.store, held.rows)
    prompts = embed_prompts(default_prompts(), held.names, model.project_texts)
    return Projections(
        images, model.project_texts(held.queries), zero_shot_findings(images, prompts)
    )


def score_zero_shot(held: Held, arms: Mapping[str, Sequence[Projections]]) -> list[Score]:
    """AUROC by prompts: the mean over findings for every arm, and each finding for the first.

    Args:
        held: Images and labels.
        arms: Projections of each seed; the first arm is what others are compared with.
    """
    base = next(iter(arms))
    macro = {name: _predictions(held, seeds, held.names) for name, seeds in arms.items()}
    scores = _scored(MACRO, "multilabel", "macro_auroc", macro, base)
    for place, name in enumerate(held.names):
        shows = held.findings[:, place] == 1
        if min(len(np.unique(held.participants[some])) for some in (shows, ~shows)) >= FEWEST:
            alone = {base: _predictions(held, arms[base], (name,))}
            scores += _scored(name, "binary", "auroc", alone, base)
    return scores


def _predictions(held: Held, seeds: Sequence[Projections], names: Sequence[str]) -> Predictions:
    """Zero-shot scores as predictions, a run for each seed."""
    places = [held.names.index(name) for name in names]
    scores = np.stack([np.stack([one.zero_shot[n] for n in names], axis=-1) for one in seeds])
    truth = held.findings[:, places]
    if len(places) == 1:
        scores, truth = scores[..., 0], truth[:, 0]
    return Predictions(
        kind="binary" if len(places) == 1 else "multilabel",
        participants=held.participants, truth=truth, scores=scores,
        folds=np.zeros(scores.shape[:2], dtype=np.int64), base=np.zeros_like(scores),
        n_records=len(held.rows), classes=tuple(names) if len(places) > 1 else (),
        units=held.store.column(RECORD, held.rows).astype(np.str_),
    )  # fmt: skip


def _scored(
    target: str, kind: Kind, metric_name: str, found: Mapping[str, Predictions], base: str
) -> list[Score]:
    metric = next(m for m in METRICS[kind] if m.name == metric_name)
    people = next(iter(found.values())).participants
    return score_found(
        target, metric, found, people, base=base, replicates=1000, seed=0, level=0.95,
        method="percentile", records=len(people),
    )  # fmt: skip


def score_retrieval(
    held: Held,
    arms: Mapping[str, Sequence[Projections]],
    image_only: Mapping[str, Sequence[Array]],
) -> RetrievalTable:
    """Precision@k by shared findings; queries and candidates share no participant.

    Args:
        held: Images, sentences and labels.
        arms: Projections of each seed of models with a text encoder; the first is compared with.
        image_only: Embeddings of the held-out images of other arms, for image → image alone.
    """
    found: dict[str, list[Ranking]] = {}
    for arm, seeds in arms.items():
        several = [_rankings(held, one) for one in seeds]
        found[arm] = [_mean([one[task] for one in several]) for task in range(len(several[0]))]
    for arm, tables in image_only.items():
        found[arm] = [_mean([_images(held, values) for values in tables])]
    first, *others = found
    return tabulate(
        found[first], baselines={name: found[name] for name in others}, method="percentile"
    )


def _rankings(held: Held, one: Projections) -> list[Ranking]:
    images, texts = held.embedded(one.images), sentences(one.queries)
    return [
        _images(held, one.images),
        sentence_retrieval(
            one.queries, held.said, images, held.findings, task=TEXT_TO_IMAGE, ks=KS
        ),
        only_precision(
            label_retrieval(images, held.findings, texts, held.said, task=IMAGE_TO_TEXT, ks=KS)
        ),
    ]


def _images(held: Held, values: Array) -> Ranking:
    images = held.embedded(np.asarray(values, dtype=np.float32))
    return only_precision(
        label_retrieval(images, held.findings, images, held.findings, task=IMAGE_TO_IMAGE, ks=KS)
    )


def _mean(seeds: Sequence[Ranking]) -> Ranking:
    """Mean over seeds of what each query scored; the queries are the same."""
    return replace(
        seeds[0], values=np.mean([one.values for one in seeds], axis=0),
        galleries=tuple(gallery for one in seeds for gallery in one.galleries),
    )  # fmt: skip


def needs_the_image(model: ImageTextModel, held: Held, finding: str) -> ImageUse:
    """Whether the zero-shot score of a finding depends on whose image it is."""
    place = held.names.index(finding)
    pair = embed_prompts(default_prompts(), [finding], model.project_texts)[finding]
    images = model.project_rows(held.store, held.rows)
    nothing = model.project_blank()
    answers = zero_shot_answers(
        images, pair.positive, pair.negative, held.participants, blank=nothing
    )
    return image_use(answers, held.findings[:, place], held.participants, method="percentile")
