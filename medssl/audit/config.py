"""Thresholds of the audits; imports nothing heavy."""

from __future__ import annotations

from pydantic import Field

from medssl.audit.findings import Severity
from medssl.config import StrictModel


class AuditConfig(StrictModel):
    """Thresholds of the audits, and the severity at which the stage fails."""

    fail_on: Severity | None = Field(
        default=None, description="exit code 3 from this severity on; null never fails"
    )
    colour_by: tuple[str, ...] = Field(
        default=("age", "sex"), description="labels that colour the projection, where present"
    )
    subgroups: tuple[str, ...] = Field(
        default=("sex", "age"), description="labels by which probe scores are compared"
    )
    expected_false: float = Field(
        default=0.05, gt=0, description="near duplicates expected by chance in clean data"
    )
    lag_tolerance: float = Field(
        default=0.125, ge=0, le=0.4, description="largest lag of a copy, of the segment's length"
    )
    max_records: int = Field(
        default=10_000, ge=2, description="records of a modality compared for near duplicates"
    )
    min_rank_fraction: float = Field(default=0.05, ge=0, le=1)
    max_dead_fraction: float = Field(default=0.1, ge=0, le=1)
    min_subgroup: int = Field(default=20, ge=2, description="participants a subgroup needs")
    max_auroc_gap: float = Field(default=0.1, gt=0)
    max_relative_gap: float = Field(default=0.25, gt=0, description="of the MAE of everyone")
    quality_floor: float = Field(default=0.5, ge=0, le=1)
    max_poor: float = Field(default=0.25, ge=0, le=1, description="share of poor records")
    max_missing: float = Field(default=0.2, ge=0, le=1, description="participants lacking a label")
    max_split_difference: float = Field(default=0.5, gt=0, description="standard deviations")
    overlays: int = Field(default=4, ge=0, description="pairs of duplicates drawn")
    seed: int = 0
