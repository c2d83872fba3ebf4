"""Delimited text as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from medssl.ingest.sources.base import BaseSource


class TextSource(BaseSource):
    """Delimited text: one recording a file."""

    default_include: ClassVar[tuple[str, ...]] = ("**/*.txt", "**/*.csv", "**/*.tsv")

    format: Literal["text"]
    rate_in: PositiveFloat | None = Field(
        default=None, description="samples per second in the files (Hz)"
    )
    time_column: str | None = Field(
        default=None, description="column with seconds, instead of rate_in"
    )
    delimiter: Literal["auto", "tab", "comma", "semicolon", "space"] = "auto"
    header: bool = Field(default=False, description="whether the first row (or column) holds names")
    layout: Literal["row", "columns"] = Field(default="columns", description="what a channel is")

    @model_validator(mode="after")
    def _check_text(self) -> TextSource:
        if (self.rate_in is None) == (self.time_column is None):
            msg = (
                "text files do not say their rate: add rate_in: (samples per second, Hz) "
                "or time_column: (name of the column with seconds), not both"
            )
            raise ValueError(msg)
        if self.time_column is not None and self.layout == "row":
            msg = "a time_column needs layout: columns"
            raise ValueError(msg)
        if self.units is None:
            msg = "text files do not say their units: add units: (such as mV, or counts)"
            raise ValueError(msg)
        if self.session is not None and self.session.comment is not None:
            msg = "text files have no header comments: give session a pattern or from_parent"
            raise ValueError(msg)
        if any(rule.comments for rule in self.labels):
            msg = "text files have no header comments: give labels a table, key and columns"
            raise ValueError(msg)
        return self
