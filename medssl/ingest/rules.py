"""Rules of a source: which files belong together; how participant, session and site are told."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, field_validator, model_validator

from medssl.config import StrictModel
from medssl.ingest.label_rules import LabelRule, Replacements, Translations, as_text

TextMap = Annotated[dict[str, str], BeforeValidator(as_text)]


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
        ways = (self.pattern, self.from_parent, self.comment, self.each_recording, self.table)
        if sum(bool(way) for way in ways) != 1:
            msg = (
                "say how participants are told apart: one of pattern: '(?P<participant>…)', "
                "from_parent: true, comment: NAME, each_recording: true, or table, file and column"
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


class SiteRule(StrictModel):
    """How a file's site is told by its path."""

    pattern: str = Field(description="regular expression with (?P<site>…), searched in the path")
    values: TextMap = Field(
        default_factory=dict, description="what the pattern finds → site; others are left empty"
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        return compiled(pattern, "site") or ""


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


class ManifestRule(StrictModel):
    """A table that lists the recordings, and may tell whose they are.

    A path in it is relative to the source's folder or to the table's own, with or without its
    ending. Recordings that it does not list are left out with a reason, and so is a row without a
    file. Where a rule of the source tells a participant, session or site too, both must agree.
    """

    table: str = Field(description="csv, tsv, xlsx or parquet, relative to the folder")
    header_row: NonNegativeInt = 1
    file: str = Field(description="its column with paths")
    participant: str | None = Field(default=None, description="its column with participants")
    session: str | None = Field(default=None, description="its column with sessions")
    site: str | None = Field(default=None, description="its column with sites")
    device: str | None = Field(default=None, description="its column with devices")
    labels: dict[str, str] = Field(default_factory=dict, description="label → column")
    level: Literal["participant", "session", "record"] = Field(
        default="record", description="whose labels these are"
    )
    replace: Replacements = Field(default_factory=dict, description="as in labels")
    values: Translations = Field(default_factory=dict, description="as in labels")

    @model_validator(mode="after")
    def _check_labels(self) -> ManifestRule:
        missing = [
            name
            for name in {"participant": ["participant"], "session": ["participant", "session"]}.get(
                self.level, []
            )
            if self.labels and getattr(self, name) is None
        ]
        if missing:
            msg = f"labels of level {self.level} need the manifest's column(s) {missing}"
            raise ValueError(msg)
        if not self.labels and (self.replace or self.values):
            msg = "replace and values belong to labels: give labels: {name: column}"
            raise ValueError(msg)
        return self

    @property
    def label_rules(self) -> tuple[LabelRule, ...]:
        """Its labels as a rule of their own."""
        if not self.labels:
            return ()
        return (
            LabelRule(
                level=self.level,
                table=self.table,
                key=self.file if self.level == "record" else self.participant,
                session=self.session if self.level == "session" else None,
                columns=self.labels,
                header_row=self.header_row,
                replace=self.replace,
                values=self.values,
            ),
        )
