"""Everything that was found and chosen: what the report says and the pipeline file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medssl.initialise.answers import Answers
from medssl.initialise.labels import LabelPlan
from medssl.initialise.participants import Told
from medssl.initialise.sessions import Rule
from medssl.initialise.signals import Signals
from medssl.initialise.sizing import Sizes
from medssl.initialise.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A pipeline to be written.

    Args:
        name: Name of the pipeline and of its source.
        root: Where its outputs go.
        output: The pipeline file.
        survey: What the folder holds.
        answers: What was answered.
        signals: What to take of the recordings.
        told: How participants are told apart.
        session: Session rule, and where it comes from.
        labels: Labels to keep, if there are any.
        sizes: Settings sized to the data.
    """

    name: str
    root: str
    output: Path
    survey: Survey
    answers: Answers
    signals: Signals
    told: Told
    session: tuple[Rule | None, str]
    labels: LabelPlan | None
    sizes: Sizes
