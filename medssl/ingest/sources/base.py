"""What every source of waveforms needs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
    field_validator,
    model_validator,
)

from medssl.config import StrictModel
from medssl.errors import IngestError
from medssl.filters import Filter
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.rules import (
    ManifestRule,
    ParticipantRule,
    SessionRule,
    SidecarRule,
    SiteRule,
)
from medssl.ingest.segment_rules import SegmentRule
from medssl.ingest.waveforms.units import KNOWN_UNITS, canonical_unit
from medssl.samples import PREFIX, sample_path
from medssl.types import Kind, Modality

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _listed(value: Any) -> Any:
    """One value where a list is expected means a list of one."""
    return (value,) if isinstance(value, str | dict) else value


def _rules(value: Any) -> Any:
    """Label rules: none, one, or a list of them."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _level(value: Any) -> str:
    level = value.get("level") if isinstance(value, dict) else getattr(value, "level", None)
    return "segment" if level == "segment" else "rule"


AnyLabelRule = Annotated[
    Annotated[LabelRule, Tag("rule")] | Annotated[SegmentRule, Tag("segment")],
    Discriminator(_level),
]


def _named(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


class ChannelConfig(StrictModel):
    """One channel to take.

    Without a header row, a number in `source` is a column counted from 0, and any other name
    stands for the column at its own place in the list.
    """

    source: str = Field(description="its name in the files, or a list of accepted names")
    also: tuple[str, ...] = Field(
        default=(), description="further accepted names; the first that a file has is taken"
    )
    name: str | None = Field(default=None, description="its name in the store; by default the same")

    @model_validator(mode="before")
    @classmethod
    def _split_names(cls, values: Any) -> Any:
        """A list in `source` is the name and its alternatives."""
        listed = isinstance(values, dict) and isinstance(values.get("source"), list | tuple)
        if not listed or not values["source"]:
            return values
        first, *others = values["source"]
        return {**values, "source": first, "also": (*others, *values.get("also", ()))}

    @model_validator(mode="after")
    def _check_names(self) -> ChannelConfig:
        if self.also and self.name is None:
            msg = "a channel with several source names needs name: what the store calls it"
            raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is accepted in the files, the preferred one first."""
        return (self.source, *self.also)

    @property
    def stored(self) -> str:
        """Its name in the store."""
        return self.source if self.name is None else self.name


class BaseSource(StrictModel):
    """What every source of waveforms needs."""

    default_include: ClassVar[tuple[str, ...]] = ()

    name: Name
    path: str = Field(
        description="a folder, or sample:NAME; ${NAME} stands for an environment variable"
    )
    include: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="which files are recordings; ** matches any number of folders"
    )
    modality: Modality
    rate: PositiveFloat = Field(description="samples per second in the store (Hz)")
    rate_in: PositiveFloat | None = Field(
        default=None,
        description="samples per second in the files (Hz); files that say another rate are refused",
    )
    segment_seconds: PositiveFloat
    overlap_seconds: NonNegativeFloat = 0.0
    filter: Filter | None = Field(
        default=None,
        description="what is taken out before resampling, such as {low: 0.5, high: 40}",
    )
    channels: Annotated[
        tuple[Annotated[ChannelConfig, BeforeValidator(_named)], ...], BeforeValidator(_listed)
    ] = Field(description="channels to take, in order")
    units: str | None = Field(
        default=None, description="unit in the store; files in others are refused"
    )
    participant: ParticipantRule | None = Field(
        default=None, description="needed unless a manifest has a column with participants"
    )
    session: SessionRule | None = None
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
    device: str | None = None
    check_leads: bool = Field(
        default=True,
        description="ECG: refuse files whose limb leads break Einthoven's and Goldberger's laws, "
        "or whose samples are far too large or small for their units",
    )

    @field_validator("modality")
    @classmethod
    def _check_modality(cls, modality: Modality) -> Modality:
        if modality.kind is not Kind.WAVEFORM:
            msg = f"{modality} is not a waveform"
            raise ValueError(msg)
        return modality

    @field_validator("units")
    @classmethod
    def _check_units(cls, units: str | None) -> str | None:
        if units is None:
            return None
        unit = canonical_unit(units)
        if unit is None:
            msg = f"unknown unit; known: {', '.join(KNOWN_UNITS)}"
            raise ValueError(msg)
        return unit

    @model_validator(mode="after")
    def _check_participants(self) -> BaseSource:
        listed = self.manifest is not None and self.manifest.participant is not None
        if self.participant is None and not listed:
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
    def _check_segments(self) -> BaseSource:
        if self.overlap_seconds >= self.segment_seconds:
            msg = "overlap_seconds must be shorter than segment_seconds"
            raise ValueError(msg)
        if self.segment_length < 2 or self.step < 1:
            msg = "segment_seconds times rate must give at least 2 samples"
            raise ValueError(msg)
        if not self.channels:
            msg = "name at least one channel to take"
            raise ValueError(msg)
        names = [channel.stored for channel in self.channels]
        if len(set(names)) != len(names):
            msg = "two channels have the same name: give one of them another name"
            raise ValueError(msg)
        return self

    @property
    def segment_length(self) -> int:
        """Samples in one segment."""
        return round(self.segment_seconds * self.rate)

    @property
    def step(self) -> int:
        """Samples between the starts of neighbouring segments."""
        return round((self.segment_seconds - self.overlap_seconds) * self.rate)

    @property
    def overlap(self) -> float | None:
        """Seconds that neighbouring segments share, in whole samples; None when they share none."""
        return (self.segment_length - self.step) / self.rate or None

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
