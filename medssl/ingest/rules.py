"""Rules of a source: how participant, session, study, view, time, site and device are told."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, field_validator, model_validator

from medssl.config import StrictModel
from medssl.ingest.label_rules import as_text

TextMap = Annotated[dict[str, str], BeforeValidator(as_text)]


def listed(value: Any) -> Any:
    """One value where a list is expected means a list of one."""
    return (value,) if isinstance(value, str | dict) else value


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]

TimeUnit = Literal["days", "hours", "datetime", "order"]
"""What times are told in; only differences between those of one participant are stored, in days.
`order` stands for numbers that only say what came first: neighbours lie a day apart."""


def compiled(pattern: str | None, group: str) -> str | None:
    """A pattern that is a regular expression with a named group, or None.

    Raises:
        ValueError: It is not.
    """
    if pattern is None:
        return None
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        msg = f"not a regular expression: {error}"
        raise ValueError(msg) from error
    if group not in groups:
        msg = f"the pattern needs a group (?P<{group}>…) around the {group}"
        raise ValueError(msg)
    return pattern


class ParticipantRule(StrictModel):
    """How a file's participant is told: a path pattern, its folder, a table, or a comment."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<participant>…), searched in the path"
    )
    from_parent: bool = Field(default=False, description="the name of the file's folder")
    comment: str | None = Field(
        default=None, description="a comment of the header or sidecar, such as 'Patient ID'"
    )
    header: bool = Field(default=False, description="DICOM: the header's PatientID")
    each_recording: bool = Field(
        default=False,
        description="nobody knows who is who: each recording counts as a participant of its own, "
        "and the report says so",
    )
    table: str | None = Field(default=None, description="table that lists every file")
    file: str | None = Field(
        default=None, description="its column with paths relative to the folder"
    )
    column: str | None = Field(default=None, description="its column with participants")
    header_row: NonNegativeInt = 1
    aliases: TextMap = Field(
        default_factory=dict, description="another name of a participant → the name to use"
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return compiled(pattern, "participant")

    @model_validator(mode="after")
    def _check_choice(self) -> ParticipantRule:
        ways = (
            self.pattern, self.from_parent, self.comment, self.header, self.each_recording,
            self.table,
        )  # fmt: skip
        if sum(bool(way) for way in ways) != 1:
            msg = (
                "say how participants are told apart: one of pattern: '(?P<participant>…)', "
                "from_parent: true, comment: NAME, header: true, each_recording: true, or table, "
                "file and column"
            )
            raise ValueError(msg)
        if self.table is not None and not (self.file and self.column):
            msg = "a participant table needs file: (column of paths) and column: (participants)"
            raise ValueError(msg)
        chained = sorted(set(self.aliases.values()) & set(self.aliases))
        if chained:
            msg = f"aliases name {chained} on both sides: give each name the one to use"
            raise ValueError(msg)
        return self


class SessionRule(StrictModel):
    """How a file's session is told; without a rule a participant has one session."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<session>…), searched in the path"
    )
    from_parent: bool = Field(default=False, description="the name of the file's folder")
    comment: str | None = Field(
        default=None, description="a comment of the header or sidecar, such as 'ECG date'"
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return compiled(pattern, "session")

    @model_validator(mode="after")
    def _check_choice(self) -> SessionRule:
        if sum((self.pattern is not None, self.from_parent, self.comment is not None)) != 1:
            msg = "give one of pattern: '(?P<session>…)', from_parent: true, or comment"
            raise ValueError(msg)
        return self


class StudyRule(StrictModel):
    """How a file's study is told: one imaging examination, with its images and its report.

    Its name must belong to one participant only: where visits are counted from 1 for everyone, let
    the pattern take the participant too.
    """

    pattern: str | None = Field(
        None, description="regular expression with (?P<study>…), searched in the path"
    )
    from_parent: bool = Field(default=False, description="the path of the file's folder")
    header: bool = Field(default=False, description="DICOM: the header's StudyInstanceUID")
    each_recording: bool = Field(default=False, description="each file is a study of its own")

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return compiled(pattern, "study")

    @model_validator(mode="after")
    def _check_choice(self) -> StudyRule:
        if sum(map(bool, (self.pattern, self.from_parent, self.header, self.each_recording))) != 1:
            msg = (
                "give one of pattern: '(?P<study>…)', from_parent: true, header: true, or "
                "each_recording: true"
            )
            raise ValueError(msg)
        return self


def _check_either(pattern: str | None, *, header: bool, group: str) -> None:
    """Refuse a rule with both or neither of two ways.

    Raises:
        ValueError: Names them.
    """
    if (pattern is None) is not header:
        msg = f"give either pattern: '(?P<{group}>…)' or header: true"
        raise ValueError(msg)


class ViewRule(StrictModel):
    """How the view of an image is told by its path or header."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<view>…), searched in the path"
    )
    header: bool = Field(default=False, description="DICOM: the header's ViewPosition")

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return compiled(pattern, "view")

    @model_validator(mode="after")
    def _check_choice(self) -> ViewRule:
        _check_either(self.pattern, header=self.header, group="view")
        return self


class TimeRule(StrictModel):
    """When a file was made, as its path or header tells it."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<time>…), searched in the path"
    )
    header: bool = Field(default=False, description="DICOM: the header's study date and time")
    unit: TimeUnit = Field(
        default="days",
        description="days, hours, datetime (ISO 8601), or order, where only the order is known",
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return compiled(pattern, "time")

    @model_validator(mode="after")
    def _check_choice(self) -> TimeRule:
        _check_either(self.pattern, header=self.header, group="time")
        if self.header and self.unit != "datetime":
            msg = "headers tell dates: add unit: datetime"
            raise ValueError(msg)
        return self


class SiteRule(StrictModel):
    """How a file's site is told by its path or header."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<site>…), searched in the path"
    )
    header: bool = Field(default=False, description="DICOM: the header's InstitutionName")
    values: TextMap = Field(
        default_factory=dict, description="what is found → site; others are left empty"
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return compiled(pattern, "site")

    @model_validator(mode="after")
    def _check_choice(self) -> SiteRule:
        _check_either(self.pattern, header=self.header, group="site")
        return self


class DeviceRule(StrictModel):
    """The device, as a header tells it."""

    header: Literal[True] = Field(description="DICOM: the header's manufacturer and model")


class SidecarRule(StrictModel):
    """A text file beside each recording whose `key: value` lines become its comments."""

    pattern: str = Field(description="regular expression, searched in the recording's path")
    replace: str = Field(description="what it is replaced by, which gives the sidecar's path")

    @model_validator(mode="after")
    def _check_pattern(self) -> SidecarRule:
        try:
            re.sub(self.pattern, self.replace, "")  # also looks at the groups that replace names
        except (re.error, IndexError) as error:
            msg = f"pattern and replace are no regular expression and its replacement: {error}"
            raise ValueError(msg) from error
        return self

    def path_of(self, path: str) -> str | None:
        r"""The sidecar's path for a recording's; None when the pattern is not in it.

        >>> SidecarRule(pattern=r"_Signals\.csv$", replace="_Fix.txt").path_of("a/01_Signals.csv")
        'a/01_Fix.txt'
        """
        if not re.search(self.pattern, path):
            return None
        sidecar = re.sub(self.pattern, self.replace, path)
        return sidecar if sidecar != path else None
