"""The parts of the benchmark: label-matched pairs, true pairs, images with tables."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import Field

from medssl.bench.sources import fill_in
from medssl.config import StrictModel, merge, validate

PartName = Literal["labels", "pairs", "tables"]
PARTS: Final[tuple[PartName, ...]] = ("labels", "pairs", "tables")
CORPUS: Final = "{corpus}"


class CurveConfig(StrictModel):
    """One label curve: a target, and the shares of participants with labels."""

    target: str
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    steps: int = 120


class PartConfig(StrictModel):
    """A part's file.

    Args:
        title: As shown.
        metrics: The metric shown for each target.
        notes: What a reader must know of the data.
        curves: Label curves.
        pipeline: As `medssl run` takes it; `{data}` and `{corpus}` stand for folders.
    """

    title: str
    metrics: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curves: tuple[CurveConfig, ...] = ()
    pipeline: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A part whose data are there.

    Args:
        name: Of the part.
        config: Its file.
    """

    name: PartName
    config: PartConfig

    @property
    def targets(self) -> list[dict[str, Any]]:
        """The probe targets of its pipeline."""
        found: list[dict[str, Any]] = self.config.pipeline["stages"]["probe"]["targets"]
        return found

    def pipeline(self, *, name: str, root: Path, seed: int, pretrain: Any = None) -> dict[str, Any]:
        """The pipeline of one run: ingest, pretrain, embed.

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


def load_part(name: PartName, data: Path, corpus: Path) -> Part:
    """Read a part's file and put the folders in.

    Args:
        name: Which part.
        data: Folder that holds one folder for each data set.
        corpus: Folder of the tables that the benchmark writes itself.

    Raises:
        StageError: A data set of the part is not there.
    """
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    sources = raw["pipeline"]["stages"]["ingest"]["sources"]
    own = [source for source in sources if CORPUS in source["path"]]
    fill_in([source for source in sources if source not in own], data)
    for source in own:
        source["path"] = source["path"].replace(CORPUS, str(corpus.resolve()))
    return Part(name, validate(PartConfig, raw, where=name))
