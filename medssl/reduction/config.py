"""Settings of dataset reduction."""

from __future__ import annotations

from pydantic import Field

from medssl.config import StrictModel


class ReduceConfig(StrictModel):
    """Which records training may see."""

    quality_floor: float = Field(
        0.0, ge=0, le=1, description="graded records below it are left out; 0 keeps all"
    )
    exact_duplicates: bool = Field(
        True, description="keep one record of those with equal content inside a participant"
    )
    across_participants: bool = Field(
        True,
        description="leave out every record whose content stands under two participants: "
        "nobody can tell whose it is",
    )
