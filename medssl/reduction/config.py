"""Settings of dataset reduction."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, field_validator, model_validator

from medssl.config import StrictModel
from medssl.ingest.radiographs.views import require_view


class Range(StrictModel):
    """Values that are kept, both ends included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check_ends(self) -> Range:
        if self.min is None and self.max is None:
            msg = "give min, max or both"
            raise ValueError(msg)
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = f"min {self.min:g} is above max {self.max:g}: exchange them"
            raise ValueError(msg)
        return self


class QualityRanges(StrictModel):
    """Which values of each component of signal quality are kept."""

    template: Range | None = Field(None, description="how alike the beats are; 1 is best")
    skewness: Range | None = Field(None, description="third moment; above 0 in a clean PPG")
    kurtosis: Range | None = Field(
        None, description="fourth moment; 3 in noise, more in a clean ECG, less in a clean PPG"
    )
    flat: Range | None = Field(None, description="share of samples that do not change")
    clipped: Range | None = Field(None, description="share of samples held at an extreme")
    missing: Range | None = Field(None, description="share of samples that were interpolated")

    def given(self) -> Iterator[tuple[str, Range]]:
        """Components with a range, by name, in order."""
        for name in type(self).model_fields:
            found = getattr(self, name)
            if found is not None:
                yield name, found


class ReduceConfig(StrictModel):
    """Which records training may see."""

    quality_floor: float = Field(
        0.0, ge=0, le=1, description="graded records below it are left out; 0 keeps all"
    )
    quality: QualityRanges = Field(
        default_factory=QualityRanges,
        description="ranges of quality components; records outside one are left out, records "
        "without a grade are kept and counted",
    )
    views: tuple[str, ...] = Field(
        (),
        description="images of these views alone, such as [PA, AP, AP supine, frontal]; images of "
        "another view, and of none, are left out; empty keeps all",
    )
    exact_duplicates: bool = Field(
        True, description="keep one record of those with equal content inside a participant"
    )
    across_participants: bool = Field(
        True,
        description="leave out every record whose content stands under two participants: "
        "nobody can tell whose it is",
    )

    @field_validator("views")
    @classmethod
    def _known_views(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(require_view(view) for view in views)
