"""Which label columns of a store make a table."""

from __future__ import annotations

from pydantic import Field, model_validator

from medssl.config import StrictModel


class TableConfig(StrictModel):
    """Which label columns make a table: those named here and no others.

    What a probe is to predict later, and times that tell it, do not belong here.
    """

    columns: tuple[str, ...] = Field(
        (), description="numbers where all their training values are numbers, else categories"
    )
    categories: tuple[str, ...] = Field((), description="categories, though written as numbers")
    numbers: tuple[str, ...] = Field((), description="numbers; words among them count as missing")

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return (*self.columns, *self.categories, *self.numbers)

    @model_validator(mode="after")
    def _has_columns(self) -> TableConfig:
        if not self.names:
            msg = "name at least one column in columns, categories or numbers"
            raise ValueError(msg)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            msg = f"{twice[0]} is named twice: name a column once, where it belongs"
            raise ValueError(msg)
        return self
