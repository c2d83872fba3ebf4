"""A pipeline file: its settings, where overrides go, what its paths are relative to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from medssl.config import StrictModel, merge, nearest
from medssl.sampling.splits import SplitConfig
from medssl.stages.base import OUTPUTS
from medssl.stages.registry import STAGES

_FILES: Final = (
    ("prompts",),
    ("encoder", "folder"),
    ("encoder", "weights"),
    ("partner", "encoder", "folder"),
    ("partner", "encoder", "weights"),
    ("method", "loss", "reference"),
)
"""Settings of stages that name a file or folder."""


class TrackingConfig(StrictModel):
    """Where runs are logged; the address itself is `$MLFLOW_TRACKING_URI`."""

    enabled: bool = True
    experiment: str = "medssl"


class PipelineConfig(StrictModel):
    """A pipeline file."""

    name: str = Field("pipeline", pattern=r"^[\w.-]+$")
    root: Path = Field(Path("medssl-runs"), description="outputs, below the working directory")
    seed: int = Field(0, ge=0)
    split: SplitConfig = SplitConfig()
    tracking: TrackingConfig = TrackingConfig()
    inputs: dict[str, Path] = Field(
        default_factory=dict, description="finished outputs from elsewhere, by stage name"
    )
    stages: dict[str, dict[str, Any] | None] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _free_name(cls, name: str) -> str:
        if name == OUTPUTS:
            msg = f"{OUTPUTS!r} is where outputs stand: choose another name"
            raise ValueError(msg)
        return name


def find_wrong_names(raw: Mapping[str, Any]) -> list[str]:
    """Keys of a pipeline file, and stages that it names, that do not exist."""
    problems = [
        f"{key}: unknown key{nearest(str(key), [*PipelineConfig.model_fields, *STAGES])}"
        for key in raw
        if key not in PipelineConfig.model_fields
    ]
    for place in ("stages", "inputs"):
        named = raw.get(place)
        problems += [
            f"{place}.{name}: unknown stage{nearest(str(name), list(STAGES))}"
            for name in (named if isinstance(named, Mapping) else ())
            if name not in STAGES
        ]
    return problems


def place_overrides(overrides: dict[str, Any], only: str | None) -> dict[str, Any]:
    """Put `stage.key` below `stages`; without a stage, a key belongs to the only stage."""
    placed: dict[str, Any] = {}
    for key, value in overrides.items():
        if key in STAGES:
            placed = merge(placed, {"stages": {key: value}})
        elif only is not None and key not in PipelineConfig.model_fields:
            placed = merge(placed, {"stages": {only: {key: value}}})
        else:
            placed = merge(placed, {key: value})
    return placed


def resolve_paths(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Paths of sources, prompts and weights are meant relative to the pipeline file.

    Variables are expanded later.
    """
    resolved = dict(values)
    for place in _FILES:
        resolved = _resolved_at(resolved, place, base)
    sources = resolved.get("sources")
    if isinstance(sources, list):
        resolved["sources"] = [
            {**s, "path": str(base / Path(s["path"]).expanduser())}
            if isinstance(s, Mapping)
            and isinstance(s.get("path"), str)
            and not s["path"].startswith(("sample:", "${"))
            else s
            for s in sources
        ]
    return resolved


def _resolved_at(values: Mapping[str, Any], place: Sequence[str], base: Path) -> dict[str, Any]:
    """Settings in which the path at a place, if there is one, starts at a folder."""
    name, *rest = place
    found = values.get(name)
    if rest and isinstance(found, Mapping):
        return {**values, name: _resolved_at(found, rest, base)}
    if not rest and isinstance(found, str) and not found.startswith("${"):
        return {**values, name: str(base / Path(found).expanduser())}
    return dict(values)
