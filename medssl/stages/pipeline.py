"""Run the stages of a pipeline file in order, skipping what is already there."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medssl.config import (
    StrictModel,
    find_problems,
    join_problems,
    merge,
    parse_overrides,
    read_yaml,
)
from medssl.errors import ConfigError, StageError
from medssl.files import publish_folder, read_json, write_json
from medssl.sampling.splits import assign_splits
from medssl.stages.base import (
    MANIFEST,
    Context,
    Manifest,
    Progress,
    current_link,
    explain_difference,
    key_parts,
    list_outputs,
    output_folder,
    stage_key,
)
from medssl.stages.ingest import store_folder
from medssl.stages.partial import RUN_FILE, left_runs, only_one, without_remains
from medssl.stages.registry import STAGES
from medssl.stages.settings import (
    PipelineConfig,
    find_wrong_names,
    place_overrides,
    resolve_paths,
)
from medssl.store import Store
from medssl.store.schema import MANIFEST as STORE_MANIFEST
from medssl.tracking import Run, Tracker

logger = logging.getLogger(__name__)

INGEST = "ingest"
SPLITS = "splits.json"


@dataclass(frozen=True)
class Step:
    """What happens, or happened, to one stage."""

    stage: str
    action: str
    """`"run"` or `"skip"`."""
    why: str
    folder: Path | None = None
    summary: Mapping[str, Any] | None = None
    seconds: float = 0.0


StageProgress = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress bar for a stage."""


class Pipeline:
    """A checked pipeline file: every stage's configuration is known to be valid.

    Args:
        path: The YAML file.
        overrides: `key=value` items; `stage.key=value` reaches a stage.
        only: Run this stage alone, with what the others left.

    Raises:
        ConfigError: Lists every problem of the whole file at once.
    """

    def __init__(
        self, path: Path, overrides: Iterable[str] = (), *, only: str | None = None
    ) -> None:
        raw = merge(read_yaml(path), place_overrides(parse_overrides(overrides), only))
        if only is not None:
            stages = raw.setdefault("stages", {})
            if isinstance(stages, dict):
                stages.setdefault(only, {})
        problems = find_wrong_names(raw)
        raw = {key: value for key, value in raw.items() if key in PipelineConfig.model_fields}
        problems += find_problems(PipelineConfig, raw, where="")
        stages = raw.get("stages") or {}
        self.configs: dict[str, StrictModel] = {}
        for name, values in stages.items() if isinstance(stages, Mapping) else ():
            if name not in STAGES or not isinstance(values, Mapping | None):
                continue  # reported above, with its place
            resolved = resolve_paths(values or {}, path.resolve().parent)
            model = STAGES[name].config
            found = find_problems(model, resolved, where=str(name))
            problems += found
            if not found:
                self.configs[name] = model.model_validate(resolved)
        if problems:
            msg = f"{path}: {join_problems(problems)}"
            raise ConfigError(msg)
        self.config = PipelineConfig.model_validate(raw)
        self.root = self.config.root.expanduser().resolve()
        self.only = only
        self._assigned: dict[str, str] = {}
        self._check_inputs()

    def _check_inputs(self) -> None:
        if not self.configs:
            msg = f"the pipeline has no stages: add some of {', '.join(STAGES)} under stages"
            raise ConfigError(msg)
        order = [name for name in STAGES if name in self.configs]
        for name in order:
            for needed in STAGES[name].needs:
                if needed not in self.configs and needed not in self.config.inputs:
                    msg = (
                        f"stage {name} needs {needed}: add it to the stages, or name a finished "
                        f"output under inputs.{needed}"
                    )
                    raise ConfigError(msg)

    def plan(self) -> list[Step]:
        """Say for each stage whether it would run, and why; nothing is run or written."""
        digests: dict[str, str] = {}
        steps: list[Step] = []
        changed: str | None = None
        for name in self._order():
            unknown = [n for n in self._reads(name) if n not in digests and n in self.configs]
            if changed is not None and unknown:
                steps.append(Step(name, "run", f"its input {unknown[0]} would be made anew"))
                continue
            step, manifest = self._look(name, digests)
            steps.append(step)
            if manifest is None:
                changed = name
            else:
                digests[name] = manifest.digest
                if name == INGEST:
                    self._assign(_must(step.folder), keep=False)
        return steps

    def run(
        self, *, force: Iterable[str] = (), progress: StageProgress | None = None
    ) -> list[Step]:
        """Run what must be run, each stage as an MLflow run below one parent.

        Args:
            force: Stages to run although nothing changed.
            progress: Opens a progress bar for a stage.
        """
        forced = set(force)
        tracker = Tracker(
            experiment=self.config.tracking.experiment, enabled=self.config.tracking.enabled
        )
        name = self.only or self.config.name
        steps: list[Step] = []
        folders: dict[str, Path] = {}
        digests: dict[str, str] = {}
        with tracker.run(name, tags={"medssl.pipeline": self.config.name}) as parent:
            parent.params({"seed": self.config.seed, "split": self.config.split.model_dump()})
            for stage in self._order():
                step, manifest = self._look(stage, digests)
                if self.only not in (None, stage):
                    if manifest is None:
                        msg = f"stage {self.only} needs {stage}, which must run first: {step.why}"
                        raise StageError(msg)
                elif manifest is None or stage in forced:
                    run = parent if self.only else None
                    step = self._run_stage(
                        stage, digests, folders, tracker, parent, run, progress,
                        step.why if manifest is None else "forced",
                    )  # fmt: skip
                    manifest = Manifest.read(_must(step.folder))
                    steps.append(step)
                else:
                    parent.tags({f"medssl.skipped.{stage}": manifest.run_id or "yes"})
                    steps.append(step)
                folder = _must(step.folder)
                folders[stage], digests[stage] = folder, manifest.digest
                if stage == INGEST:
                    self._assign(folder, keep=True)
                if stage not in self.config.inputs:
                    link = current_link(self.root, self.config.name, stage)
                    _point(link, folder)
                    if steps and steps[-1].stage == stage:
                        steps[-1] = replace(steps[-1], folder=link)
        return steps

    def _order(self) -> list[str]:
        wanted = [n for n in STAGES if n in self.configs or n in self.config.inputs]
        if self.only is None:
            return wanted
        needed = {self.only}
        for name in reversed(wanted):
            if name in needed:
                needed |= set(self._reads(name))
        return [name for name in wanted if name in needed]

    def _reads(self, name: str) -> tuple[str, ...]:
        if name in self.config.inputs:
            return ()
        stage = STAGES[name]
        given = {*self.configs, *self.config.inputs}
        return tuple(n for n in (*stage.needs, *stage.uses) if n in given)

    def _look(self, name: str, digests: Mapping[str, str]) -> tuple[Step, Manifest | None]:
        """What is there of a stage; the manifest is None when it must run."""
        if name in self.config.inputs:
            folder = self.config.inputs[name].expanduser().resolve()
            manifest = _read_store(folder) if name == INGEST else None
            manifest = manifest or Manifest.read(folder)
            return Step(name, "skip", "given under inputs", folder, manifest.summary), manifest
        parts = self._parts(name, digests)
        folder = output_folder(self.root, name, stage_key(parts))
        if not (folder / MANIFEST).is_file():
            return Step(name, "run", self._why(name, parts), folder), None
        manifest = Manifest.read(folder)
        damage = manifest.damage(folder)
        if damage is not None:
            return Step(name, "run", damage, folder), None
        return Step(name, "skip", "nothing changed", folder, manifest.summary), manifest

    def _parts(self, name: str, digests: Mapping[str, str]) -> dict[str, Any]:
        inputs = {n: digests[n] for n in self._reads(name)}
        return key_parts(
            STAGES[name], self.configs[name], inputs,
            seed=self.config.seed, split=self.config.split, assigned=self._assigned,
        )  # fmt: skip

    def _assign(self, folder: Path, *, keep: bool) -> None:
        """Stratified splits: give the store's new participants one, and remember it."""
        if not self.config.split.stratify_by:
            return
        path = self.root / self.config.name / SPLITS
        split = self.config.split.model_dump(mode="json")
        left = read_json(path) if path.exists() else {}
        previous = left.get("assigned", {}) if left.get("split") == split else {}
        store = Store.open(store_folder(folder))
        self._assigned = {
            **previous,
            **assign_splits(store.participants, self.config.split, previous=previous),
        }
        if keep:
            write_json(path, {"split": split, "assigned": self._assigned})

    def _why(self, name: str, parts: Mapping[str, Any]) -> str:
        last = current_link(self.root, self.config.name, name)
        if not (last / MANIFEST).is_file():
            return "it has not been run"
        difference = explain_difference(Manifest.read(last).parts, parts)
        return f"changed: {difference}" if difference else "its output is gone"

    def _run_stage(
        self,
        name: str,
        digests: Mapping[str, str],
        folders: Mapping[str, Path],
        tracker: Tracker,
        parent: Run,
        run: Run | None,
        progress: StageProgress | None,
        why: str,
    ) -> Step:
        stage = STAGES[name]
        parts = self._parts(name, digests)
        key = stage_key(parts)
        final = output_folder(self.root, name, key)
        partial = final.with_name(f".{final.name}.partial")
        final.parent.mkdir(parents=True, exist_ok=True)
        with (
            only_one(final), without_remains(partial),
            _opened(tracker, name, parent, run) as current,
        ):  # fmt: skip
            if partial.exists():
                for run_id in left_runs(partial):
                    tracker.fail_left_open(run_id)
                if not stage.resumes:
                    shutil.rmtree(partial)
            partial.mkdir(exist_ok=True)
            write_json(partial / RUN_FILE, {"run_ids": [current.id, parent.id]})
            config = self.configs[name]
            current.params({name: config.model_dump(mode="json")})
            current.tags({"medssl.stage": name, "medssl.key": key})
            opened = progress(name) if progress else nullcontext(_no_progress)
            started = time.perf_counter()
            with opened as bar:
                result = stage.run(
                    Context(
                        config=config,
                        inputs={n: folders[n] for n in self._reads(name)},
                        out=partial,
                        seed=self.config.seed,
                        split=self.config.split,
                        assigned=self._assigned,
                        run=current,
                        progress=bar,
                    )
                )
            seconds = time.perf_counter() - started
            current.metrics({**_numbers(result.summary), "seconds": seconds})
            (partial / RUN_FILE).unlink()
            manifest = Manifest(
                stage=name, key=key, parts=parts, digest=result.digest,
                outputs=list_outputs(partial), summary=dict(result.summary),
                seconds=round(seconds, 3), run_id=current.id,
            )  # fmt: skip
            write_json(partial / MANIFEST, asdict(manifest))
            publish_folder(partial, final)
        return Step(name, "run", why, final, result.summary, seconds)


def run_pipeline(
    path: str | Path, *overrides: str, only: str | None = None, force: Iterable[str] = ()
) -> list[Step]:
    """Run a pipeline file from Python, as the command line does.

    Args:
        path: The pipeline file.
        overrides: `key=value` items, such as `"pretrain.steps=200"`.
        only: Run this stage alone, with what the others left.
        force: Stages to run although nothing changed.

    Returns:
        One step per stage: what was done, why, and the folder of its outputs.

    Raises:
        MedsslError: The file, or something that a stage met, has to be put right.
    """
    return Pipeline(Path(path), overrides, only=only).run(force=force)


def _read_store(folder: Path) -> Manifest | None:
    """A store that no stage made stands for the output of an ingest stage."""
    if not (folder / STORE_MANIFEST).is_file():
        return None
    store = Store.open(folder)
    summary = {"records": store.records.num_rows, "participants": len(store.participants)}
    return Manifest(
        stage=INGEST, key="", parts={}, digest=store.digest, outputs={}, summary=summary,
        seconds=0.0, run_id="",
    )  # fmt: skip


def _opened(
    tracker: Tracker, name: str, parent: Run, run: Run | None
) -> AbstractContextManager[Run]:
    return nullcontext(run) if run is not None else tracker.run(name, parent=parent)


def _point(link: Path, folder: Path) -> None:
    """Let a link point to the outputs in use; relative, so that the root can be moved."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(folder, link.parent), target_is_directory=True)
    temporary.replace(link)


def _numbers(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    numbers: dict[str, float] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            numbers |= _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[f"{prefix}{key}"] = float(value)
    return numbers


def _must(folder: Path | None) -> Path:
    assert folder is not None
    return folder


def _no_progress(done: int, total: int) -> None:
    """Nobody watches."""
