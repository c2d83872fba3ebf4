"""Rules of a source: how a file's participant, session and labels are told."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from medssl.config import StrictModel


def _text_keys(value: Any) -> Any:
    # YAML reads a bare 1 as a number; raw tables hold text.
    if isinstance(value, dict):
        return {str(key): _text_keys(inner) for key, inner in value.items()}
    return value


def _compiled(pattern: str | None, group: str) -> str | None:
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
    """How a file's participant is told: one of a path pattern, its folder, or a table."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<participant>…), searched in the path"
    )
    from_parent: bool = Field(default=False, description="the name of the file's folder")
    table: str | None = Field(default=None, description="table that lists every file")
    file: str | None = Field(
        default=None, description="its column with paths relative to the folder"
    )
    column: str | None = Field(default=None, description="its column with participants")
    header_row: PositiveInt = 1

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return _compiled(pattern, "participant")

    @model_validator(mode="after")
    def _check_choice(self) -> ParticipantRule:
        if sum((self.pattern is not None, self.from_parent, self.table is not None)) != 1:
            msg = (
                "say how participants are told apart: one of pattern: '(?P<participant>…)', "
                "from_parent: true, or table, file and column"
            )
            raise ValueError(msg)
        if self.table is not None and not (self.file and self.column):
            msg = "a participant table needs file: (column of paths) and column: (participants)"
            raise ValueError(msg)
        return self


class SessionRule(StrictModel):
    """How a file's session is told; without a rule a participant has one session."""

    pattern: str | None = Field(
        None, description="regular expression with (?P<session>…), searched in the path"
    )
    from_parent: bool = Field(default=False, description="the name of the file's folder")
    comment: str | None = Field(
        default=None, description="a WFDB header comment, such as 'ECG date'"
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return _compiled(pattern, "session")

    @model_validator(mode="after")
    def _check_choice(self) -> SessionRule:
        if sum((self.pattern is not None, self.from_parent, self.comment is not None)) != 1:
            msg = "give one of pattern: '(?P<session>…)', from_parent: true, or comment"
            raise ValueError(msg)
        return self


class LabelRule(StrictModel):
    """Where labels come from: a table, or WFDB header comments."""

    level: Literal["participant", "session", "record"] = Field(
        default="participant", description="whose labels these are"
    )
    table: str | None = Field(default=None, description="csv, tsv or xlsx, relative to the folder")
    key: str | None = Field(
        default=None,
        description="its column with participants (of sessions too), or with names of files",
    )
    session: str | None = Field(
        default=None, description="level session: its column with sessions, as the rule reads them"
    )
    columns: dict[str, str] = Field(default_factory=dict, description="label → column")
    header_row: PositiveInt = Field(default=1, description="row with the column names, from 1")
    comments: dict[str, str] = Field(default_factory=dict, description="label → comment")
    values: Annotated[dict[str, dict[str, str | float]], BeforeValidator(_text_keys)] = Field(
        default_factory=dict,
        description="label → raw value → value; a raw value that is not listed becomes empty",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that this rule gives."""
        return tuple(self.columns or self.comments)

    @model_validator(mode="after")
    def _check_choice(self) -> LabelRule:
        from_table = self.table is not None and self.key is not None and bool(self.columns)
        touched = self.table is not None or self.key is not None or bool(self.columns)
        if touched and not from_table:
            msg = "a label table needs table, key and columns"
            raise ValueError(msg)
        if from_table == bool(self.comments):
            msg = "give either table, key and columns, or comments"
            raise ValueError(msg)
        if (self.session is not None) != (from_table and self.level == "session"):
            msg = "a table of sessions needs session: its column; nothing else has one"
            raise ValueError(msg)
        reserved = {name for name in self.names if name in {"participant", "added", "record"}}
        reserved |= {name for name in self.names if name.startswith("has_")}
        if reserved:
            msg = f"{sorted(reserved)} are column names of the store: choose other label names"
            raise ValueError(msg)
        unknown = sorted(set(self.values) - set(self.names))
        if unknown:
            msg = f"values are given for {unknown}, which are not labels of this source"
            raise ValueError(msg)
        return self
