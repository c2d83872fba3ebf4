"""The parts of a benchmark: the pipeline of each, its targets and its label curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field

from medssl.bench.sources import fill_in
from medssl.config import StrictModel, merge, validate

if TYPE_CHECKING:
    from medssl.evaluation.metrics import Metric
    from medssl.evaluation.probes import ProbeConfig
    from medssl.evaluation.targets import Target
    from medssl.store import Store


class CurveConfig(StrictModel):
    """One label curve: a target of the part, and the shares of participants with labels."""

    target: str
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    steps: int = 150


class PartConfig(StrictModel):
    """A part's file.

    Args:
        title: As shown.
        metrics: The metric shown for each target.
        notes: What a reader must know of the data.
        tuned: What arms change on top, chosen by validation participants.
        curves: Label curves.
        pipeline: As `medssl run` takes it; words in braces such as `{data}` stand for folders.
    """

    title: str
    metrics: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tuned: dict[str, dict[str, Any]] = Field(default_factory=dict)
    curves: tuple[CurveConfig, ...] = ()
    pipeline: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part whose data are there.

    Args:
        name: Of the part.
        config: Its file.
    """

    name: str
    config: PartConfig

    @property
    def steps(self) -> int:
        """Steps of pretraining, as its file says."""
        return int(self.config.pipeline["stages"]["pretrain"]["steps"])

    @property
    def probe(self) -> ProbeConfig:
        """The probes of its pipeline."""
        from medssl.evaluation.probes import ProbeConfig

        return ProbeConfig.model_validate(self.config.pipeline["stages"]["probe"])

    def target(self, name: str) -> Target:
        """A target of the probes, by name."""
        return next(target for target in self.probe.targets if target.name == name)

    def metric(self, target: Target) -> Metric:
        """The metric shown for a target."""
        from medssl.evaluation.metrics import METRICS

        wanted = self.config.metrics[target.name]
        return next(metric for metric in METRICS[target.kind] if metric.name == wanted)

    def splits(self, store: Store) -> dict[str, str]:
        """Split of every participant of its store."""
        from medssl.sampling.splits import SplitConfig, assign_splits

        split = SplitConfig.model_validate(self.config.pipeline["split"])
        return assign_splits(store.participants, split)

    def pipeline(self, *, name: str, root: Path, seed: int, pretrain: Any = None) -> dict[str, Any]:
        """The pipeline of one run, without probes.

        Args:
            name: Of the run; outputs that runs have in common are made once.
            root: Where outputs go.
            seed: Of weights, views and pairs; the split has one of its own.
            pretrain: What differs from the part's pipeline; None as a value takes a key away.
        """
        stages = dict(self.config.pipeline["stages"])
        stages.pop("probe", None)
        changed = merge(stages["pretrain"], pretrain or {})
        stages["pretrain"] = {key: value for key, value in changed.items() if value is not None}
        return {
            **self.config.pipeline,
            "name": name,
            "root": str(root),
            "seed": seed,
            "tracking": {"enabled": False},
            "stages": stages,
        }


def load_part(
    package: str, name: str, data: Path, *, made: Mapping[str, Path] | None = None
) -> Part:
    """Read a part's file and put the folders in.

    Args:
        package: Of the benchmark, which the file stands in.
        name: Which part.
        data: Folder that holds one folder for each data set.
        made: Folders that the benchmark writes itself, by the word that stands for them.

    Raises:
        StageError: A data set of the part is not there.
    """
    text = resources.files(package).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    fill_in(raw["pipeline"]["stages"]["ingest"]["sources"], data, made or {})
    return Part(name, validate(PartConfig, raw, where=name))
