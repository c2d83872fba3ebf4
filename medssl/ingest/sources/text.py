"""Delimited text as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from medssl.ingest.sources.timed import TimedSource


class TextSource(TimedSource):
    """Delimited text: one recording a file."""

    default_include: ClassVar[tuple[str, ...]] = ("**/*.txt", "**/*.csv", "**/*.tsv")

    format: Literal["text"]
    delimiter: Literal["auto", "tab", "comma", "semicolon", "space"] = "auto"
    header: bool = Field(default=False, description="whether the first row (or column) holds names")
    layout: Literal["row", "columns"] = Field(default="columns", description="what a channel is")

    @model_validator(mode="after")
    def _check_text(self) -> TextSource:
        if self.rate_in is None and self.time_column is None:
            msg = (
                "text files do not say their rate: add rate_in: (samples per second, Hz) "
                "or time_column: (name of the column with times)"
            )
            raise ValueError(msg)
        if self.time_column is not None and self.layout == "row":
            msg = "a time_column needs layout: columns"
            raise ValueError(msg)
        if self.units is None:
            msg = "text files do not say their units: add units: (such as mV, or counts)"
            raise ValueError(msg)
        if self.sidecar is None and self.asks_comments:
            msg = (
                "text files have no header comments: name a sidecar, or give a pattern for paths, "
                "or a table"
            )
            raise ValueError(msg)
        return self
