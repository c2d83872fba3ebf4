"""Settings of the audits; imports nothing heavy."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from medssl.audit.findings import Severity
from medssl.config import StrictModel, nearest


class AuditConfig(StrictModel):
    """Which audits run, their thresholds, and the severity at which the stage fails."""

    fail_on: Severity | None = Field(
        default=None, description="exit code 3 from this severity on; null never fails"
    )
    skip: tuple[str, ...] = Field(default=(), description="audits to leave out, by name")
    colour_by: tuple[str, ...] = Field(
        default=("age", "sex"), description="labels that colour the projection, where present"
    )
    projection: Literal["pca", "umap", "both"] = Field(
        default="pca", description="layouts of the map; umap needs the extra of that name"
    )
    max_points: int = Field(
        default=20_000, ge=10, description="records on the map; more are thinned out evenly"
    )
    attributes: tuple[str, ...] = Field(
        default=("site", "device", "source", "view"),
        description="columns of how records were made (or labels, such as an annotator) that "
        "embeddings should not show",
    )
    demographics: tuple[str, ...] = Field(
        default=("age", "sex"), description="labels that embeddings may give away, where present"
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
        default=5_000, ge=2, description="records of a modality compared for near duplicates"
    )
    max_occluded: int = Field(
        default=200, ge=10, description="records that are encoded anew with parts taken away"
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
    thresholds: dict[str, dict[str, int | float]] = Field(
        default_factory=dict,
        description="by audit: any numeric keyword of its function, such as "
        "{batch_effect: {max_auroc: 0.8}}",
    )
    overlays: int = Field(default=4, ge=0, description="pairs of duplicates drawn")
    seed: int = 0

    @field_validator("skip")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names:
            for name in names:
                _find(name)
        return names

    @field_validator("thresholds")
    @classmethod
    def _accepted(
        cls, given: dict[str, dict[str, int | float]]
    ) -> dict[str, dict[str, int | float]]:
        for name, values in given.items():
            audit = _find(name)
            for key in values:
                if key in audit.settings:
                    msg = f"{name}: set audit.{audit.settings[key]} instead of {key}"
                    raise ValueError(msg)
                if key not in audit.thresholds():
                    hint = nearest(key, audit.thresholds())
                    msg = f"{name} has no threshold {key!r}{hint}"
                    raise ValueError(msg)
        return given


def _find(name: str) -> Any:
    # Not at the top: the registry imports every audit.
    from medssl.audit.registry import AUDITS

    known = {audit.name: audit for audit in AUDITS}
    if name not in known:
        msg = f"there is no audit {name!r}{nearest(name, list(known))}"
        raise ValueError(msg)
    return known[name]
