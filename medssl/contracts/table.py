"""What an encoder of table rows expects: its columns, their kinds and their scale."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from medssl.config import StrictModel
from medssl.contracts.base import Contract
from medssl.types import Kind


class NumberColumn(StrictModel):
    """A column of numbers; infinite ones are detection limits, taken as `low` or `high`."""

    name: str
    mean: float = Field(description="of the training participants' finite values")
    deviation: float = Field(gt=0, description="of the same")
    low: float = Field(description="stands for -inf: the smallest finite training value")
    high: float = Field(description="stands for inf: the largest finite training value")


class CategoryColumn(StrictModel):
    """A column of categories; one that is not listed counts as missing."""

    name: str
    categories: tuple[str, ...] = Field(min_length=1)


class TableContract(Contract):
    """One row of a table for each record, any cell of which may be missing."""

    kind: ClassVar[Kind] = Kind.TABLE

    categories: tuple[CategoryColumn, ...] = ()
    numbers: tuple[NumberColumn, ...] = ()

    @model_validator(mode="after")
    def _has_columns(self) -> TableContract:
        if not self.categories and not self.numbers:
            msg = "name at least one column"
            raise ValueError(msg)
        return self

    @property
    def noun(self) -> str:
        """What one input is."""
        return f"rows of {len(self.categories) + len(self.numbers)} columns"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """All that it says, as names and values for people."""
        return (
            ("modality", self.modality.value),
            ("categories", ", ".join(column.name for column in self.categories) or "none"),
            ("numbers", ", ".join(column.name for column in self.numbers) or "none"),
            ("normalisation", "numbers: minus the mean, over the deviation, of training rows"),
        )

    def usage(self, call: str = "embeddings = encoder.embed") -> str:
        """Lines of Python that give one raw input to a model."""
        return f"{call}(frame)  # a pandas table with these columns"

    @property
    def preparation(self) -> str:
        """What `encoder.prepare` does to a raw input, in a sentence."""
        return "Missing cells stay missing; unknown categories count as missing."
