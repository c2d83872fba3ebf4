"""What every source needs: where its files are, and whose they are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from medssl.config import StrictModel
from medssl.errors import IngestError
from medssl.ingest.findings_rule import FindingsRule
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.manifest_rule import ManifestRule
from medssl.ingest.rules import (
    DeviceRule,
    Names,
    ParticipantRule,
    SessionRule,
    SidecarRule,
    SiteRule,
    StudyRule,
    TimeRule,
    TimeUnit,
)
from medssl.ingest.segment_rules import SegmentRule
from medssl.samples import PREFIX, sample_path
from medssl.types import Kind, Modality

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

FACTS: Final = ("participant", "session", "study", "view", "time", "site", "device")
"""What can be told about a recording."""


def _rules(value: Any) -> Any:
    """Label rules: none, one, or a list of them."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _which(value: Any) -> str:
    """Which kind of label rule this is."""
    told = value if isinstance(value, dict) else vars(value)
    if told.get("level") == "segment":
        return "segment"
    return "findings" if "findings" in told else "rule"


AnyLabelRule = Annotated[
    Annotated[LabelRule, Tag("rule")]
    | Annotated[SegmentRule, Tag("segment")]
    | Annotated[FindingsRule, Tag("findings")],
    Discriminator(_which),
]


class Source(StrictModel):
    """What every source needs: where its files are, and whose they are."""

    kind: ClassVar[Kind]
    """What its records are."""
    default_include: ClassVar[tuple[str, ...]] = ()
    headers: ClassVar[bool] = False
    """Whether rules may ask for what the files' own headers say."""

    name: Name
    path: str = Field(
        description="a folder, or sample:NAME; ${NAME} stands for an environment variable"
    )
    include: Names = Field(
        default=(), description="which files are recordings; ** matches any number of folders"
    )
    modality: Modality
    participant: ParticipantRule | None = Field(
        default=None, description="needed unless a manifest has a column with participants"
    )
    session: SessionRule | None = None
    study: StudyRule | None = Field(
        default=None,
        description="which examination a file belongs to; without session, sessions are studies",
    )
    time: TimeRule | None = Field(default=None, description="when it was made")
    manifest: ManifestRule | None = Field(
        default=None, description="a table that lists the recordings"
    )
    sidecar: SidecarRule | None = Field(
        default=None, description="text files with `key: value` lines beside the recordings"
    )
    labels: Annotated[tuple[AnyLabelRule, ...], BeforeValidator(_rules)] = Field(
        default=(), description="one rule, or a list of them"
    )
    licence: str | None = Field(default=None, description="licence of the data, for model cards")
    cohort: str | None = Field(
        None,
        description="sources with the same cohort share participants; default: the name; "
        "sources whose participants are called alike need it",
    )
    site: str | SiteRule | None = None
    device: str | DeviceRule | None = None

    @field_validator("modality")
    @classmethod
    def _check_modality(cls, modality: Modality) -> Modality:
        if modality.kind is not cls.kind:
            article = "an" if cls.kind is Kind.IMAGE else "a"
            msg = f"{modality} is not {article} {cls.kind}"
            raise ValueError(msg)
        return modality

    @model_validator(mode="after")
    def _check_participants(self) -> Source:
        if self.participant is None and not self._lists_participants:
            msg = (
                "say how participants are told apart: participant: {pattern: '(?P<participant>…)'} "
                "or another rule, or a manifest with a column of participants"
            )
            raise ValueError(msg)
        told_late = self.session is not None and self.session.comment is not None
        if told_late and self.manifest is not None and self.manifest.session is not None:
            msg = "session: comment and the manifest's session both tell sessions: keep one"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_places(self) -> Source:
        """Each fact has a place to be told at, and times have one place only."""
        if self.asks_headers and not self.headers:
            msg = "header: true is for DICOM files: tell participant, study and all else otherwise"
            raise ValueError(msg)
        if self.time is not None and self.manifest is not None and self.manifest.time is not None:
            msg = "time and the manifest's time both tell times: keep one"
            raise ValueError(msg)
        texts = [rule.names[0] for rule in self.finding_rules]
        if texts and self.kind is not Kind.TEXT:
            msg = (
                f"findings such as {texts[0]} are read from reports: give the rule to their source"
            )
            raise ValueError(msg)
        if self.segment_rules and self.kind is not Kind.WAVEFORM:
            msg = "labels of level segment belong to waveforms: choose another level"
            raise ValueError(msg)
        return self

    @property
    def _lists_participants(self) -> bool:
        """Whether a table of the source has a column with participants."""
        return self.manifest is not None and self.manifest.participant is not None

    @property
    def tells_studies(self) -> bool:
        """Whether every file has a study, or is refused."""
        listed = self.manifest is not None and bool(self.manifest.study)
        return self.study is not None or listed

    @property
    def asks_headers(self) -> bool:
        """Whether a rule takes what the files' headers say."""
        rules = (getattr(self, name, None) for name in FACTS)
        return any(getattr(rule, "header", False) for rule in rules)

    @property
    def asks_comments(self) -> bool:
        """Whether a rule takes comments of headers or sidecars."""
        people = any(
            rule is not None and rule.comment is not None
            for rule in (self.participant, self.session)
        )
        return people or any(rule.from_comments for rule in self.label_rules)

    @property
    def times_backwards(self) -> bool:
        """Whether times count from a recording to a fixed event, and not from it."""
        return self.manifest is not None and self.manifest.time_backwards

    @property
    def times_in(self) -> TimeUnit | None:
        """What times are told in; None where they are not told."""
        if self.time is not None:
            return self.time.unit
        told = self.manifest is not None and self.manifest.time is not None
        return self.manifest.time_unit if told and self.manifest is not None else None

    @property
    def label_rules(self) -> tuple[LabelRule, ...]:
        """Rules that give labels of participants, sessions and recordings, also the manifest's."""
        own = tuple(rule for rule in self.labels if isinstance(rule, LabelRule))
        return (*own, *(self.manifest.label_rules if self.manifest is not None else ()))

    @property
    def segment_rules(self) -> tuple[SegmentRule, ...]:
        """Rules that give labels of segments."""
        return tuple(rule for rule in self.labels if isinstance(rule, SegmentRule))

    @property
    def finding_rules(self) -> tuple[FindingsRule, ...]:
        """Rules that give labels by what reports say."""
        return tuple(rule for rule in self.labels if isinstance(rule, FindingsRule))

    @property
    def named_rules(self) -> tuple[LabelRule | FindingsRule, ...]:
        """All rules that give labels of participants, sessions and recordings."""
        return (*self.label_rules, *self.finding_rules)

    @property
    def group(self) -> str:
        """Whose participants these are: sources of one cohort share them."""
        return self.cohort or self.name

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs that say which files are recordings."""
        return self.include or self.default_include

    def folder(self) -> Path:
        """The folder of the source.

        Raises:
            IngestError: There is no such folder or sample, or a variable in the path is not set.
        """
        if self.path.startswith(PREFIX):
            return sample_path(self.path.removeprefix(PREFIX)).resolve()
        folder = Path(self._expanded()).expanduser()
        if not folder.is_dir():
            msg = f"source {self.name}: no folder at {folder}; correct path"
            raise IngestError(msg)
        return folder.resolve()

    def _expanded(self) -> str:
        for name in re.findall(r"\$\{(\w+)\}", self.path):
            if not os.environ.get(name):
                msg = (
                    f"source {self.name}: the environment variable {name} in its path is not set: "
                    f"export {name}=FOLDER, or write the folder as path"
                )
                raise IngestError(msg)
        return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], self.path)
