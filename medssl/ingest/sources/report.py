"""Reports as sources: one a file, or many in a table."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from medssl.ingest.manifest_rule import ColumnsRule
from medssl.ingest.rules import Names, TimeUnit
from medssl.ingest.sources.base import Source
from medssl.types import Kind, Modality


def _section(name: str) -> str:
    if not re.fullmatch(r"[a-z]+(?: [a-z]+)*", name):
        msg = f"{name!r} is no name of a section: use lower-case words, such as findings"
        raise ValueError(msg)
    return name


SectionName = Annotated[str, AfterValidator(_section)]


class BaseReportSource(Source):
    """What every source of reports needs."""

    kind: ClassVar[Kind] = Kind.TEXT

    modality: Modality = Modality.REPORT
    section: SectionName = Field(
        default="text", description="what a text without headers is, such as findings"
    )


class ReportSource(BaseReportSource):
    """Reports of one file each.

    `openi`: XML of the Open-I collection; comments that `labels` may name are `MeSH` and `MeSH
    automatic`, their terms divided by semicolons. `mimic`: text as MIMIC-CXR has it. `plain`: other
    text, with headers at the start of lines or none.
    """

    format: Literal["report"]
    layout: Literal["openi", "mimic", "plain"]

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs that say which files are reports."""
        return self.include or (("**/*.xml",) if self.layout == "openi" else ("**/*.txt",))

    @model_validator(mode="after")
    def _check_section(self) -> ReportSource:
        if self.section != "text" and self.layout != "plain":
            msg = f"layout {self.layout} names its own sections: remove section"
            raise ValueError(msg)
        return self


class RowsRule(ColumnsRule):
    """Which rows of a table of reports are taken, and whose they are."""

    several: Literal["refuse", "join"] = Field(
        default="refuse",
        description="rows of one study whose texts differ: refuse them all, or join them to one "
        "report, in their order; equal rows are one report",
    )


class ReportTableSource(BaseReportSource):
    """Tables with a report a row: csv, tsv, xlsx or parquet.

    A report's key, by which labels of records may name it, is its study; without studies it is
    `r` and the number of the row.
    """

    default_include: ClassVar[tuple[str, ...]] = (
        "**/*.csv", "**/*.tsv", "**/*.xlsx", "**/*.parquet",
    )  # fmt: skip

    format: Literal["report_table"]
    rows: RowsRule
    text: Names = Field(
        default=(), description="column with the text, or several to be read one after the other"
    )
    sections: dict[SectionName, str] = Field(default_factory=dict, description="section → column")

    @model_validator(mode="after")
    def _check_columns(self) -> ReportTableSource:
        if bool(self.text) is bool(self.sections):
            msg = "give either text: its column, or sections: {findings: its column, …}"
            raise ValueError(msg)
        if self.section != "text" and self.sections:
            msg = "sections have names of their own: remove section"
            raise ValueError(msg)
        if self.rows.several == "join" and not self.rows.study:
            msg = "several: join is about rows of one study: add study: its column"
            raise ValueError(msg)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it reads."""
        return tuple(dict.fromkeys((*self.rows.columns, *self.text, *self.sections.values())))

    @property
    def _lists_participants(self) -> bool:
        return self.rows.participant is not None or super()._lists_participants

    @property
    def times_in(self) -> TimeUnit | None:
        """What times are told in; None where they are not told."""
        return self.rows.time_unit if self.rows.time is not None else super().times_in

    @property
    def times_backwards(self) -> bool:
        """Whether times count from a recording to a fixed event, and not from it."""
        return self.rows.time_backwards if self.rows.time is not None else super().times_backwards

    @property
    def tells_studies(self) -> bool:
        """Whether every row has a study, or is refused."""
        return bool(self.rows.study) or super().tells_studies
