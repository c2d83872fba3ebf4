"""The two legs of the benchmark, PPG and ECG: their pipelines, targets and label curves."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import Field

from medssl.bench.sources import fill_in
from medssl.config import StrictModel, merge, validate

LegName = Literal["ecg", "ppg"]
LEGS: Final[tuple[LegName, ...]] = ("ecg", "ppg")
MOMENTS: Final = "moments"
"""The third part, of simultaneous signals; see `moments.py`."""


class CurveConfig(StrictModel):
    """One label curve: a target of the leg, and the shares of participants with labels."""

    target: str
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    steps: int = 150


class LegConfig(StrictModel):
    """A leg's file.

    Args:
        title: As shown.
        metrics: The metric shown for each target.
        notes: What a reader must know of the data.
        tuned: What arms change on top, chosen by validation participants; see `tune.py`.
        curves: Label curves.
        pipeline: A pipeline as `medssl run` takes it; `{data}` stands for the data folder.
    """

    title: str
    metrics: dict[str, str]
    notes: tuple[str, ...] = ()
    tuned: dict[str, dict[str, Any]] = Field(default_factory=dict)
    curves: tuple[CurveConfig, ...] = ()
    pipeline: dict[str, Any]


@dataclass(frozen=True)
class Leg:
    """A leg whose data are there.

    Args:
        name: `"ecg"` or `"ppg"`.
        config: Its file.
    """

    name: LegName
    config: LegConfig

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The probe targets of its pipeline."""
        found: list[dict[str, Any]] = self.config.pipeline["stages"]["probe"]["targets"]
        return found

    def pipeline(self, *, name: str, root: Path, seed: int, pretrain: Any = None) -> dict[str, Any]:
        """The pipeline of one run: ingest, reduce, pretrain, embed.

        Args:
            name: Of the run; outputs that runs have in common are made once.
            root: Where outputs go.
            seed: Of weights, views and pairs; the split has one of its own.
            pretrain: What differs from the leg's pipeline.
        """
        stages = dict(self.config.pipeline["stages"])
        stages.pop("probe")
        stages["pretrain"] = merge(stages["pretrain"], pretrain or {})
        return {
            **self.config.pipeline,
            "name": name,
            "root": str(root),
            "seed": seed,
            "tracking": {"enabled": False},
            "stages": stages,
        }


def load_leg(name: LegName, data: Path) -> Leg:
    """Read a leg's file and put the data folder in.

    Args:
        name: Which leg.
        data: Folder that holds one folder for each data set.

    Raises:
        StageError: A data set of the leg is not there.
    """
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    fill_in(raw["pipeline"]["stages"]["ingest"]["sources"], data)
    return Leg(name, validate(LegConfig, raw, where=name))
