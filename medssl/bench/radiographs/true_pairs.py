"""True pairs: does an image of somebody new find what was written about it, and back?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.image_conditions import choice_answers
from medssl.evaluation.image_text.image_use import ImageUse, image_use
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.retrieval import pair_retrieval
from medssl.evaluation.retrieval_tables import Ranking, RetrievalTable, tabulate
from medssl.sampling.studies import Studies
from medssl.store import Store
from medssl.store.schema import PARTICIPANT, RECORD, SESSION, STUDY
from medssl.text.reading import chosen_text, text_digest
from medssl.types import Array, Rows

KS: Final = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class TruePairs:
    """Images of test participants with their texts.

    Args:
        store: Where they are.
        pairs: Each image and its report.
    """

    store: Store
    pairs: Studies

    @property
    def reports(self) -> Rows:
        """Each report once."""
        return np.unique(self.pairs.reports)

    def links(self, rows: Rows) -> np.ndarray:
        """Study of each row, named with its participant."""
        people, studies = (self.store.column(name, rows) for name in (PARTICIPANT, STUDY))
        return np.array([f"{p}/{s}" for p, s in zip(people, studies, strict=True)])

    def embedded(self, rows: Rows, values: Array) -> Embeddings:
        """Values with the names of the rows."""
        records, people, sessions = (
            self.store.column(name, rows) for name in (RECORD, PARTICIPANT, SESSION)
        )
        return Embeddings(records, people, sessions, values)

    def contents(self, model: ImageTextModel, rows: Rows) -> np.ndarray:
        """Equal for reports that read alike."""
        policy = model.text.inputs.contract.policy  # type: ignore[attr-defined]
        texts = [chosen_text(str(self.store.read_record(int(row))), policy) for row in rows]
        return np.array([str(text_digest(text or "")) for text in texts])


def score_pairs(held: TruePairs, models: Sequence[ImageTextModel]) -> RetrievalTable:
    """Retrieval of true pairs both ways, mean over seeds, beside its exact chance."""
    several = []
    for model in models:
        images = held.embedded(held.pairs.images, model.project_rows(held.store, held.pairs.images))
        texts = held.embedded(held.reports, model.project_reports(held.store, held.reports))
        several.append(
            pair_retrieval(
                images, texts, image_links=held.links(held.pairs.images),
                text_links=held.links(held.reports), contents=held.contents(model, held.reports),
                ks=KS,
            )
        )  # fmt: skip
    return tabulate(
        [_mean(list(seeds)) for seeds in zip(*several, strict=True)], method="percentile"
    )


def _mean(seeds: Sequence[Ranking]) -> Ranking:
    """Mean over seeds of what each query scored."""
    return replace(seeds[0], values=np.mean([one.values for one in seeds], axis=0))


def needs_the_image(held: TruePairs, model: ImageTextModel) -> ImageUse:
    """Whether choosing the own text among four depends on whose image is shown."""
    images = model.project_rows(held.store, held.pairs.images)
    texts = model.project_reports(held.store, held.pairs.reports)
    people = held.pairs.participants.astype(np.str_)
    nothing = model.project_blank()
    answers, truth = choice_answers(
        images, texts, people, contents=held.contents(model, held.pairs.reports), blank=nothing
    )
    return image_use(answers, truth, people, method="percentile")
