"""Everything that was found and chosen for images and reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medssl.initialise.answers import Answers
from medssl.initialise.labels import LabelPlan
from medssl.initialise.radiographs.inventory import Inventory
from medssl.initialise.radiographs.labels import ImageLabels
from medssl.initialise.radiographs.relation import Relation
from medssl.initialise.radiographs.sides import Images, Reports
from medssl.initialise.radiographs.sizing import Sizes


@dataclass(slots=True, kw_only=True)
class StudyPlan:
    """A pipeline of images, reports or both, to be written.

    Args:
        name: Name of the pipeline.
        root: Where its outputs go.
        output: The pipeline file.
        inventory: What the folder holds.
        answers: What was answered.
        images: The images, if there are any.
        reports: The reports, if there are any.
        relation: Whose they are, and of which study.
        view: The rule for views, and where it comes from.
        labels: Labels of images, and what reports say.
        people: Labels of participants from a table of them.
        sizes: Settings sized to the data.
        sources: The ingest sources, as they stand in the file.
    """

    name: str
    root: str
    output: Path
    inventory: Inventory
    answers: Answers
    images: Images | None
    reports: Reports | None
    relation: Relation
    view: tuple[Any, str]
    labels: ImageLabels
    people: LabelPlan | None
    sizes: Sizes
    sources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def method(self) -> str:
        """What is learned from: images and reports, or one of them."""
        if self.images is None:
            return "masked_language"
        return "convirt" if self.reports is not None else "simclr"
