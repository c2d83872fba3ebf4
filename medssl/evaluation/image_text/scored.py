"""What an image–text model is scored on: images, their findings, the reports of their studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.labels import finding_labels
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.prompts import PromptSet
from medssl.evaluation.image_text.zero_shot import PromptVectors, embed_prompts
from medssl.sampling.studies import Studies, match_studies
from medssl.store import Store
from medssl.store.schema import PARTICIPANT, RECORD, SESSION
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_text, text_digest
from medssl.types import Array, Rows


@dataclass(frozen=True, eq=False)
class Scored:
    """Images and reports that are scored, and what is asked of them.

    Args:
        store: Where they are.
        images: Rows of the images, each once.
        labels: 1, 0 or NaN by finding, one line an image.
        prompts: What is said of the findings.
        pairs: Images beside the report of their study; None where no image has one.
        notes: What was left out.
    """

    store: Store
    images: Rows
    labels: pd.DataFrame
    prompts: PromptSet
    pairs: Studies | None
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings with labels."""
        return tuple(map(str, self.labels.columns))

    @property
    def reports(self) -> Rows:
        """Rows of the reports of pairs, each once."""
        empty: Rows = np.empty(0, dtype=np.int64)
        return empty if self.pairs is None else np.unique(self.pairs.reports)

    @property
    def participants(self) -> np.ndarray:
        """Participant of each image."""
        return self.store.column(PARTICIPANT, self.images).astype(np.str_)

    def contents(self, policy: TextPolicy) -> np.ndarray:
        """Equal for reports of which a policy reads the same words, shape (reports,)."""
        texts = (str(self.store.read_record(int(row))) for row in self.reports)
        return np.array([str(text_digest(chosen_text(text, policy) or "")) for text in texts])

    def embedded(self, rows: Rows, values: Array, metadata: Mapping[str, str]) -> Embeddings:
        """Values with the names of their records."""
        records, people, sessions = (
            self.store.column(name, rows) for name in (RECORD, PARTICIPANT, SESSION)
        )
        return Embeddings(records, people, sessions, values, dict(metadata))


@dataclass(frozen=True, eq=False)
class Projections:
    """What one model makes of what is scored.

    Args:
        images: Unit rows of the images, shape (images, d).
        reports: Those of the reports, shape (reports, d).
        prompts: Embedded prompts by finding.
    """

    images: Array
    reports: Array
    prompts: Mapping[str, PromptVectors]


def gather(
    store: Store,
    images: Rows,
    *,
    columns: Mapping[str, str],
    prompts: PromptSet,
    reports: Rows | None,
) -> Scored:
    """Look up labels and reports of images.

    Args:
        store: Where they are.
        images: Rows of the images.
        columns: Finding → label column.
        prompts: What is said of the findings.
        reports: Rows of reports that can be read; None: pairs are not asked for.

    Raises:
        ConfigError: A label column is absent or not one of 1 and 0.
        StageError: There is nothing to score.
    """
    notes: list[str] = []
    labels, lent = finding_labels(store, images, columns)
    if lent:
        notes.append(
            "No image has a label of its own; it is that of the other records of its study: "
            f"{', '.join(lent)}."
        )
    empty = [name for name in labels.columns if not {0.0, 1.0} <= set(labels[name].dropna())]
    if empty:
        notes.append(f"Left out, for want of images with and without it: {', '.join(empty)}.")
        labels = labels.drop(columns=empty)
    pairs = None
    if reports is not None:
        try:
            pairs = match_studies(store, images, reports)
            notes += _alone(pairs.alone)
        except StageError:
            notes.append("No scored image has a report of its study: pairs are not looked for.")
    if labels.empty and pairs is None:
        msg = (
            "zero_shot: no image has a label of a finding or a report: name findings, or ingest "
            "reports of the same studies"
        )
        raise StageError(msg)
    return Scored(store, images, labels, prompts, pairs, tuple(notes))


def _alone(alone: tuple[int, int]) -> list[str]:
    images, reports = alone
    if not images and not reports:
        return []
    return [f"In no pair: {images} images without a report, {reports} reports without an image."]


def project(model: ImageTextModel, scored: Scored) -> Projections:
    """Project images, reports and prompts by one model."""
    images = model.project_rows(scored.store, scored.images)
    reports: Array = np.empty((0, images.shape[1]), dtype=np.float32)
    if scored.pairs is not None:
        reports = model.project_reports(scored.store, scored.reports)
    found: dict[str, PromptVectors] = {}
    if scored.findings:
        found = embed_prompts(scored.prompts, scored.findings, model.project_texts)
    return Projections(images, reports, found)


def places(wanted: Rows, among: Rows) -> np.ndarray:
    """Position of each of some rows in sorted or unsorted unique rows.

    >>> places(np.array([7, 3, 7]), np.array([3, 5, 7])).tolist()
    [2, 0, 2]
    """
    return np.asarray(pd.Index(among).get_indexer(pd.Index(wanted)))


def one_label_each(count: Sequence[int]) -> np.ndarray:
    """Labels of queries of which each has one: shape (queries, labels).

    >>> one_label_each([1, 2]).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    return np.repeat(np.eye(len(count)), count, axis=0)
