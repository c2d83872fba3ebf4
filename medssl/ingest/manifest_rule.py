"""Tables that list recordings or reports: which of their columns tell what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, model_validator

from medssl.config import StrictModel
from medssl.ingest.label_rules import LabelRule, Replacements, Translations
from medssl.ingest.rules import Names, TimeUnit


def _texts(value: Any) -> Any:
    """Column → accepted texts, of one text or several; YAML reads a bare 1 as a number."""
    if not isinstance(value, dict):
        return value
    lists = {name: v if isinstance(v, list | tuple) else (v,) for name, v in value.items()}
    return {str(name): tuple(map(str, texts)) for name, texts in lists.items()}


class ColumnsRule(StrictModel):
    """Columns of a table that tell whose a row is."""

    header_row: NonNegativeInt = Field(
        default=1, description="row with the column names, from 1; 0: none, they are called 1, 2, …"
    )
    where: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_texts)] = Field(
        default_factory=dict, description="column → text or texts: other rows count as absent"
    )
    participant: str | None = Field(default=None, description="its column with participants")
    session: str | None = Field(default=None, description="its column with sessions")
    study: Names = Field(
        default=(),
        description="its column with studies, or several that together name one, such as "
        "[participant, visit]",
    )
    time: str | None = Field(default=None, description="its column with times")
    time_unit: TimeUnit = Field(
        default="days",
        description="days, hours, datetime (ISO 8601), or order, where only the order is known",
    )
    time_backwards: bool = Field(
        default=False,
        description="times count from the row to a fixed event, so that later rows have smaller "
        "ones",
    )
    site: str | None = Field(default=None, description="its column with sites")
    device: str | None = Field(default=None, description="its column with devices")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it names."""
        named = (self.participant, self.session, self.time, self.site, self.device)
        return (*(name for name in named if name is not None), *self.study, *self.where)

    def takes(self, row: Mapping[str, str]) -> bool:
        """Whether a row is one of those that `where` asks for."""
        return all(row.get(column, "") in texts for column, texts in self.where.items())

    def told(self, row: Mapping[str, str]) -> dict[str, str]:
        """What a row says, by the words of medssl; empty text where it says nothing."""
        names = {name: getattr(self, name) for name in ("participant", "session", "site", "device")}
        told = {name: row.get(column or "", "") for name, column in names.items()}
        parts = [row.get(column, "") for column in self.study]
        # A name of several parts is whole or none.
        told["study"] = "/".join(parts) if all(parts) else ""
        told["time"] = row.get(self.time or "", "")
        return told


class ManifestRule(ColumnsRule):
    """A table that lists the recordings, and may tell whose they are.

    A path in it is relative to the source's folder or to the table's own, with or without its
    ending. Recordings that it does not list are left out with a reason, and so is a row without a
    file. Where a rule of the source tells a participant, session or site too, both must agree.
    """

    table: str = Field(description="csv, tsv, xlsx or parquet, relative to the folder")
    file: str = Field(description="its column with paths")
    view: str | None = Field(default=None, description="its column with views, such as PA")
    labels: dict[str, str] = Field(default_factory=dict, description="label → column")
    level: Literal["participant", "session", "record"] = Field(
        default="record", description="whose labels these are"
    )
    replace: Replacements = Field(default_factory=dict, description="as in labels")
    values: Translations = Field(default_factory=dict, description="as in labels")
    infinite: Names = Field(default=(), description="as in labels")

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
        if not self.labels and (self.replace or self.values or self.infinite):
            msg = "replace, values and infinite belong to labels: give labels: {name: column}"
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
                infinite=self.infinite,
            ),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it names, those of labels too."""
        view = () if self.view is None else (self.view,)
        return (self.file, *super().columns, *view, *self.labels.values())

    def told(self, row: Mapping[str, str]) -> dict[str, str]:
        """What a row says, by the words of medssl; empty text where it says nothing."""
        return super().told(row) | {"view": row.get(self.view or "", "")}
