"""Label rules of a source: from which cells and comments labels come, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, field_validator, model_validator

from medssl.config import StrictModel


def text_keys(value: Any) -> Any:
    """Keys as text: YAML reads a bare 1 as a number, and raw tables hold text."""
    if isinstance(value, dict):
        return {str(key): text_keys(inner) for key, inner in value.items()}
    return value


def as_text(value: Any) -> Any:
    """Keys and values as text, for the same reason."""
    if isinstance(value, dict):
        return {str(key): as_text(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, int | float) else value


def _listed(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


Replacements = Annotated[dict[str, dict[str, str]], BeforeValidator(as_text)]
Translations = Annotated[dict[str, dict[str, str | float]], BeforeValidator(text_keys)]


class ContainsRule(StrictModel):
    """A yes-or-no label from a cell or comment that lists several things: 1 or 0."""

    column: str | None = Field(default=None, description="the table's column with the list")
    comment: str | None = Field(default=None, description="the comment with the list")
    any_of: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        min_length=1,
        description="1 if one of these is in the list, as it is written there; a name with * at "
        "its end stands for all that begin like it",
    )
    separator: str = Field(default=",", min_length=1, description="what stands between two items")
    blank: Literal["negative", "absent"] = Field(
        description="what an empty cell means: 0, or that nothing is known"
    )

    @model_validator(mode="after")
    def _check_place(self) -> ContainsRule:
        if (self.column is None) == (self.comment is None):
            msg = "contains needs either column or comment: where the list stands"
            raise ValueError(msg)
        return self

    def value(self, raw: str) -> float | None:
        r"""1 or 0; None when nothing is known.

        >>> rule = ContainsRule(column="Dx", any_of="Ischemia*", separator="\n", blank="absent")
        >>> rule.value("Scar\nIschemia: apical"), rule.value("Scar"), rule.value("")
        (1.0, 0.0, None)
        """
        if not raw.strip():
            return 0.0 if self.blank == "negative" else None
        items = {item.strip() for item in raw.split(self.separator)}
        return float(any(_names(wanted, item) for wanted in self.any_of for item in items))


def _names(wanted: str, item: str) -> bool:
    return item.startswith(wanted[:-1]) if wanted.endswith("*") else item == wanted


class LabelRule(StrictModel):
    """Where labels come from: a table, or the comments of headers and sidecars."""

    level: Literal["participant", "session", "record"] = Field(
        default="participant", description="whose labels these are"
    )
    table: str | None = Field(
        default=None, description="csv, tsv, xlsx or parquet, relative to the folder"
    )
    key: str | None = Field(
        default=None,
        description="its column with participants (of sessions too), or with names of files",
    )
    session: str | None = Field(
        default=None, description="level session: its column with sessions, as the rule reads them"
    )
    header_row: NonNegativeInt = Field(
        default=1, description="row with the column names, from 1; 0: none, they are called 1, 2, …"
    )
    strip_zeros: bool = Field(
        default=False, description="leading zeros of the key mean nothing: 007 is 7"
    )
    columns: dict[str, str] = Field(default_factory=dict, description="label → column")
    comments: dict[str, str] = Field(default_factory=dict, description="label → comment")
    pattern: str | None = Field(
        default=None,
        description="regular expression searched in each comment; its groups (?P<label>…) of the "
        "first comment that matches are labels",
    )
    contains: dict[str, ContainsRule] = Field(
        default_factory=dict, description="label → what a list of several things must hold"
    )
    replace: Replacements = Field(
        default_factory=dict,
        description="label → raw value → raw value, before all else; others stay as they are",
    )
    values: Translations = Field(
        default_factory=dict,
        description="label → raw value → value; a raw value that is not listed becomes empty",
    )
    infinite: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(),
        description="labels in which inf and -inf are numbers: above or below what can be measured",
    )
    version: str | None = Field(
        default=None, coerce_numbers_to_str=True, description="version of these labels"
    )

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        try:
            if pattern is not None and not re.compile(pattern).groupindex:
                msg = "the pattern needs a group (?P<label>…) for each label"
                raise ValueError(msg)
        except re.error as error:
            msg = f"not a regular expression: {error}"
            raise ValueError(msg) from error
        return pattern

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that this rule gives."""
        groups = re.compile(self.pattern).groupindex if self.pattern is not None else {}
        return tuple(dict.fromkeys([*self.columns, *self.comments, *groups, *self.contains]))

    @property
    def from_comments(self) -> bool:
        """Whether the labels stand in comments, and not in a table."""
        return self.table is None

    @property
    def table_columns(self) -> tuple[str, ...]:
        """Columns that its table must have, beside the keys."""
        lists = [rule.column for rule in self.contains.values() if rule.column is not None]
        return tuple(dict.fromkeys([*self.columns.values(), *lists]))

    def raw_of_row(self, row: Mapping[str, str]) -> dict[str, str]:
        """Label → raw value in a row of its table."""
        columns = dict(self.columns)
        columns |= {name: rule.column or "" for name, rule in self.contains.items()}
        return {label: row.get(column, "") for label, column in columns.items()}

    def raw_of_comments(self, comments: Sequence[str], pairs: Mapping[str, str]) -> dict[str, str]:
        """Label → raw value in the comments of a recording.

        Args:
            comments: The comments as they stand.
            pairs: Those of the form `key: value`.
        """
        keys = dict(self.comments)
        keys |= {name: rule.comment or "" for name, rule in self.contains.items()}
        raw = {label: pairs.get(key, "") for label, key in keys.items()}
        if self.pattern is not None:
            found = (re.search(self.pattern, comment) for comment in comments)
            match = next((match for match in found if match), None)
            groups = match.groupdict("") if match else {}
            raw |= {name: groups.get(name, "") for name in re.compile(self.pattern).groupindex}
        return raw

    def joined(self, key: str) -> str:
        """A key of the table, or what it is compared with, as it is compared.

        >>> rule = LabelRule(table="t", key="id", columns={"age": "age"}, strip_zeros=True)
        >>> rule.joined("007"), rule.joined("000")
        ('7', '0')
        """
        return (key.lstrip("0") or "0") if self.strip_zeros and key else key

    @model_validator(mode="after")
    def _check_choice(self) -> LabelRule:
        lists = self.contains.values()
        in_table = bool(self.columns) or any(rule.column is not None for rule in lists)
        in_comments = bool(self.comments or self.pattern) or any(rule.comment for rule in lists)
        if (in_table or self.table or self.key) and not (in_table and self.table and self.key):
            msg = "a label table needs table, key and columns"
            raise ValueError(msg)
        if in_table == in_comments:
            msg = "give either table, key and columns, or comments (or pattern): one rule a place"
            raise ValueError(msg)
        if (self.session is not None) != (in_table and self.level == "session"):
            msg = "a table of sessions needs session: its column; nothing else has one"
            raise ValueError(msg)
        if self.strip_zeros and not in_table:
            msg = "strip_zeros is about the key of a table, and there is no table"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_names(self) -> LabelRule:
        given = [*self.columns, *self.comments, *self.contains]
        if self.pattern is not None:
            given += re.compile(self.pattern).groupindex
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            msg = f"{twice} are given twice: one place a label in one rule"
            raise ValueError(msg)
        reserved = {name for name in given if name in {"participant", "added", "record"}}
        reserved |= {name for name in given if name.startswith("has_")}
        if reserved:
            msg = f"{sorted(reserved)} are column names of the store: choose other label names"
            raise ValueError(msg)
        settings: dict[str, Iterable[str]] = {
            "values": self.values, "replace": self.replace, "infinite": self.infinite,
        }  # fmt: skip
        for setting, names in settings.items():
            unknown = sorted(set(names) - set(given))
            if unknown:
                msg = f"{setting} are given for {unknown}, which are not labels of this source"
                raise ValueError(msg)
        if set(self.values) & set(self.contains):
            msg = "values do not go with contains, which gives 1 or 0: use replace"
            raise ValueError(msg)
        return self
