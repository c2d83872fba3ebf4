"""What every source of waveforms needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    field_validator,
    model_validator,
)

from medssl.config import StrictModel
from medssl.errors import IngestError
from medssl.ingest.rules import LabelRule, ParticipantRule, SessionRule
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


def _named(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


class ChannelConfig(StrictModel):
    """One channel to take.

    Without a header row, a number in `source` is a column counted from 0, and any other name
    stands for the column at its own place in the list.
    """

    source: str = Field(description="its name in the files")
    name: str | None = Field(default=None, description="its name in the store; by default the same")

    @property
    def stored(self) -> str:
        """Its name in the store."""
        return self.source if self.name is None else self.name


class BaseSource(StrictModel):
    """What every source of waveforms needs."""

    default_include: ClassVar[tuple[str, ...]] = ()

    name: Name
    path: str = Field(description="a folder, or sample:NAME")
    include: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="which files are recordings; ** matches any number of folders"
    )
    modality: Modality
    rate: PositiveFloat = Field(description="samples per second in the store (Hz)")
    segment_seconds: PositiveFloat
    overlap_seconds: NonNegativeFloat = 0.0
    channels: Annotated[
        tuple[Annotated[ChannelConfig, BeforeValidator(_named)], ...], BeforeValidator(_listed)
    ] = Field(description="channels to take, in order")
    units: str | None = Field(
        default=None, description="unit in the store; files in others are refused"
    )
    participant: ParticipantRule
    session: SessionRule | None = None
    labels: Annotated[tuple[LabelRule, ...], BeforeValidator(_rules)] = Field(
        default=(), description="one rule, or a list of them"
    )
    licence: str | None = Field(default=None, description="licence of the data, for model cards")
    cohort: str | None = Field(
        None,
        description="sources with the same cohort share participants; default: the name; "
        "sources whose participants are called alike need it",
    )
    site: str | None = None
    device: str | None = None

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
            IngestError: There is no such folder or sample.
        """
        if self.path.startswith(PREFIX):
            return sample_path(self.path.removeprefix(PREFIX)).resolve()
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            msg = f"source {self.name}: no folder at {folder}; correct path"
            raise IngestError(msg)
        return folder.resolve()
