"""Scores an image–text model without labels: findings by prompts, retrieval, image use, the gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from medssl.errors import StageError
from medssl.evaluation.baselines import UNTRAINED
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.image_conditions import choice_answers, zero_shot_answers
from medssl.evaluation.image_text.image_use import ImageUse, image_use
from medssl.evaluation.image_text.retrieval import (
    PAIR_KS,
    label_retrieval,
    only_metrics,
    only_precision,
    pair_retrieval,
    sentence_retrieval,
)
from medssl.evaluation.image_text.scored import Projections, Scored, one_label_each, places
from medssl.evaluation.image_text.scores import PAIRS, Gap, ImageTextScores
from medssl.evaluation.image_text.zero_shot import zero_shot_findings
from medssl.evaluation.image_text.zero_shot_table import ZeroShotTable, zero_shot_table
from medssl.evaluation.modality_gap import (
    chance_gap,
    common_participants,
    modality_gap_interval,
    separability,
)
from medssl.evaluation.retrieval_metrics import HIT, MRR
from medssl.evaluation.retrieval_tables import Ranking, RetrievalTable, tabulate
from medssl.evaluation.statistics import Method
from medssl.types import Array

IMAGE_TASK: Final = "image → image"
TEXT_TASK: Final = "sentence → image"
MINIMUM: Final = 10
"""Participants that a modality gap takes."""


@dataclass(frozen=True)
class Statistics:
    """How intervals are made.

    Args:
        replicates: Bootstrap replicates.
        level: Confidence level.
        seed: Of bootstrap, swaps and folds.
        method: How an interval is read off the replicates.
    """

    replicates: int = 1000
    level: float = 0.95
    seed: int = 0
    method: Method = "bca"

    def keywords(self) -> dict[str, Any]:
        """As functions of evaluation take them."""
        return {
            "replicates": self.replicates, "level": self.level, "seed": self.seed,
            "method": self.method,
        }  # fmt: skip


def evaluate(
    scored: Scored,
    found: Projections,
    *,
    untrained: Sequence[Projections] = (),
    contents: np.ndarray | None = None,
    blank: Array | None = None,
    ks: Sequence[int] = (5, 10, 50),
    questions: Sequence[str] | None = None,
    statistics: Statistics | None = None,
) -> ImageTextScores:
    """All that can be scored without training on labels.

    Args:
        scored: Images, labels and pairs.
        found: What the trained model makes of them.
        untrained: What models with random weights make of them, one a seed.
        contents: Equal for equal reports, one per report (`Scored.contents`).
        blank: Projection of a black image, shape (d,).
        ks: Ranks at which retrieval by finding is cut.
        questions: Findings, or `PAIRS`, for which it is asked whether the image is needed; None:
            all that have an interval.
        statistics: How intervals are made.
    """
    told = statistics or Statistics()
    notes = [*scored.notes]
    findings = by_finding = pairs = gap = None
    if scored.findings:
        findings = _findings(scored, found, untrained, told)
        by_finding = _by_finding(scored, found, untrained, ks, told)
    if scored.pairs is not None:
        pairs = _true_pairs(scored, found, untrained, contents, told)
        gap = modality_gap_of(*paired_embeddings(scored, found), told)
        if gap is None:
            notes.append(f"Modality gap: fewer than {MINIMUM} participants, too few.")
    asked = _asked(scored, findings) if questions is None else questions
    uses, unanswered = _image_use(scored, found, asked, contents, blank, told)
    return ImageTextScores(
        counts={
            "images": len(scored.images),
            "reports": len(scored.reports),
            "participants": len(np.unique(scored.participants)),
        },
        findings=findings, retrieval=by_finding, pairs=pairs, image_use=uses, gap=gap,
        notes=(*notes, *unanswered),
    )  # fmt: skip


def paired_embeddings(
    scored: Scored, found: Projections, metadata: tuple[Mapping[str, str], ...] = ({}, {})
) -> tuple[Embeddings, Embeddings]:
    """Projections of the images and of the reports of pairs, each record once.

    Raises:
        StageError: No image has a report.
    """
    if scored.pairs is None:
        msg = "no image has a report of its study: ingest both as sources of one cohort"
        raise StageError(msg)
    images = np.unique(scored.pairs.images)
    values = found.images[places(images, scored.images)]
    return (
        scored.embedded(images, values, metadata[0]),
        scored.embedded(scored.reports, found.reports, metadata[1]),
    )


def modality_gap_of(images: Embeddings, texts: Embeddings, statistics: Statistics) -> Gap | None:
    """Gap of the participants who have both; None when they are fewer than `MINIMUM`."""
    both = common_participants(images, texts)
    if len(both.names) < MINIMUM:
        return None
    level, seed = statistics.level, statistics.seed
    return Gap(
        modality_gap_interval(both, level=level, seed=seed),
        chance_gap(both, seed=seed),
        separability(both, level=level, seed=seed),
    )


def _findings(
    scored: Scored, found: Projections, untrained: Sequence[Projections], told: Statistics
) -> ZeroShotTable:
    given, *others = [zero_shot_findings(one.images, one.prompts) for one in (found, *untrained)]
    baselines = {}
    if others:
        baselines[UNTRAINED] = {
            name: np.stack([one[name] for one in others], axis=1) for name in given
        }
    return zero_shot_table(
        given, scored.labels, scored.participants, baselines=baselines, **told.keywords()
    )


def _by_finding(
    scored: Scored,
    found: Projections,
    untrained: Sequence[Projections],
    ks: Sequence[int],
    told: Statistics,
) -> RetrievalTable:
    labels = scored.labels.to_numpy()
    known = np.isfinite(labels).any(axis=1)
    cut, notes = _sensible(ks, int(known.sum()))

    def rank(one: Projections) -> list[Ranking]:
        images = scored.embedded(scored.images[known], one.images[known], {})
        asked = [one.prompts[name].positive for name in scored.findings]
        own, said = labels[known], one_label_each(list(map(len, asked)))
        return [
            only_precision(label_retrieval(images, own, images, own, task=IMAGE_TASK, ks=cut)),
            sentence_retrieval(np.concatenate(asked), said, images, own, task=TEXT_TASK, ks=cut),
        ]

    table = _tabulated(rank, found, untrained, told)
    if unsure := int(np.isnan(labels[known]).any(axis=1).sum()):
        notes.append(
            f"{unsure} images lack a label of some findings, and count as images without them."
        )
    return RetrievalTable(table.rows, (*table.notes, *notes))


def _true_pairs(
    scored: Scored,
    found: Projections,
    untrained: Sequence[Projections],
    contents: np.ndarray | None,
    told: Statistics,
) -> RetrievalTable:
    pairs = scored.pairs
    assert pairs is not None
    different = len(scored.reports) if contents is None else len(np.unique(contents))
    cut, notes = _sensible(PAIR_KS, min(different, len(np.unique(pairs.images))))

    def rank(one: Projections) -> list[Ranking]:
        images, texts = paired_embeddings(scored, one)
        codes = {row: str(code) for row, code in zip(pairs.images, pairs.codes, strict=True)}
        texts_of = {row: str(code) for row, code in zip(pairs.reports, pairs.codes, strict=True)}
        ranked = pair_retrieval(
            images, texts, contents=contents, names=("image", "report"), ks=cut,
            image_links=[codes[row] for row in np.unique(pairs.images)],
            text_links=[texts_of[row] for row in scored.reports],
        )  # fmt: skip
        return [only_metrics(ranking, (HIT, MRR)) for ranking in ranked]

    table = _tabulated(rank, found, untrained, told)
    return RetrievalTable(table.rows, (*table.notes, *notes))


def _sensible(ks: Sequence[int], candidates: int) -> tuple[tuple[int, ...], list[str]]:
    """Ranks that not every order of the candidates fills alike, and a note on the others."""
    cut = tuple(k for k in ks if k < candidates) or (min(ks),)
    left = [str(k) for k in ks if k not in cut]
    if not left:
        return cut, []
    return cut, [f"Not cut at {', '.join(left)}: there are {candidates} different candidates."]


def _tabulated(
    rank: Callable[[Projections], list[Ranking]],
    found: Projections,
    untrained: Sequence[Projections],
    told: Statistics,
) -> RetrievalTable:
    baselines = {UNTRAINED: [ranking for one in untrained for ranking in rank(one)]}
    return tabulate(rank(found), baselines=baselines, **told.keywords())


def _asked(scored: Scored, findings: ZeroShotTable | None) -> tuple[str, ...]:
    """Every question whose score has an interval."""
    names = () if findings is None else scored.findings
    rows = {name: findings.row(name) for name in names} if findings is not None else {}
    sure = tuple(name for name, row in rows.items() if np.isfinite(row.interval.low))
    return sure if scored.pairs is None else (PAIRS, *sure)


def _image_use(
    scored: Scored,
    found: Projections,
    questions: Sequence[str],
    contents: np.ndarray | None,
    blank: Array | None,
    told: Statistics,
) -> tuple[dict[str, ImageUse], list[str]]:
    uses: dict[str, ImageUse] = {}
    notes: list[str] = []
    for question in questions:
        about = "pairs" if question == PAIRS else f"the score of {question}"
        there = scored.pairs is not None if question == PAIRS else question in scored.findings
        if not there:
            notes.append(f"Image use of {about}: nothing to ask it of.")
            continue
        try:
            answer = _use_of_pairs if question == PAIRS else _use_of_finding
            uses[question] = answer(scored, found, question, contents, blank, told)
        except StageError as error:  # of too few participants, which is no reason to stop
            notes.append(f"Image use of {about} cannot be told: {error}.")
    return uses, notes


def _use_of_finding(
    scored: Scored,
    found: Projections,
    finding: str,
    contents: np.ndarray | None,
    blank: Array | None,
    told: Statistics,
) -> ImageUse:
    label = scored.labels[finding].to_numpy()
    known = np.isfinite(label)
    people = scored.participants[known]
    answers = zero_shot_answers(
        found.images[known], *found.prompts[finding], people, blank=blank, seed=told.seed
    )
    return image_use(answers, label[known].astype(np.int64), people, **told.keywords())


def _use_of_pairs(
    scored: Scored,
    found: Projections,
    question: str,
    contents: np.ndarray | None,
    blank: Array | None,
    told: Statistics,
) -> ImageUse:
    pairs = scored.pairs
    assert pairs is not None
    at = places(pairs.reports, scored.reports)
    answers, truth = choice_answers(
        found.images[places(pairs.images, scored.images)], found.reports[at],
        pairs.participants.astype(np.str_), blank=blank, seed=told.seed,
        contents=None if contents is None else contents[at],
    )  # fmt: skip
    return image_use(answers, truth, pairs.participants, **told.keywords())
