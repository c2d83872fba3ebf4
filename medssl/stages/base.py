"""What a stage is, the key that says whether it must run, and the manifest it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medssl.config import StrictModel
from medssl.errors import StageError
from medssl.files import digest_json, read_json
from medssl.sampling.splits import SplitConfig
from medssl.store.schema import LINKS
from medssl.version import __version__

if TYPE_CHECKING:
    from medssl.tracking import Run

MANIFEST: Final = "manifest.json"
OUTPUTS: Final = "outputs"
SECRET: Final = "pseudonym_key"
PARTICIPANTS: Final = "participants.json"
"""Pseudonyms of whom an encoder was trained on: local, for leak checks; not part of the bundle."""
_FOLDER_LENGTH: Final = 16

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a stage may look at while it runs."""

    config: Any
    """The stage's own configuration model."""
    inputs: Mapping[str, Path]
    """Finished output folders of other stages, by stage name."""
    out: Path
    """The folder to write to; a stage that was killed finds here what it left."""
    seed: int
    split: SplitConfig
    assigned: Mapping[str, str]
    """Splits that a stratified pipeline gave earlier, by participant."""
    run: Run
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a stage tells when it is done."""

    digest: str
    """Identity of the outputs: equal digests mean that later stages need not run again."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Facts for the closing table, JSON values without identifiers; numbers become metrics."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a pipeline.

    Args:
        name: As in pipeline files and on the command line.
        version: Raised when the code changes what the stage writes.
        config: Its configuration model.
        run: Does the work.
        needs: Stages whose outputs it reads.
        uses: Stages whose outputs it reads when they are in the pipeline.
        reads: Which of the pipeline's shared settings matter, of `"seed"` and `"split"`.
        sources: Digests of raw inputs that no stage made, by name.
        ignores: Settings that cannot change the outputs, such as the number of workers.
        resumes: Whether what a killed run left is continued; otherwise it is thrown away.
    """

    name: str
    version: int
    config: type[StrictModel]
    run: Callable[[Context], Result]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    sources: Callable[[Any], Mapping[str, str]] | None = None
    resumes: bool = False
    ignores: tuple[str, ...] = ()


def key_parts(
    stage: Stage,
    config: StrictModel,
    inputs: Mapping[str, str],
    *,
    seed: int,
    split: SplitConfig,
    assigned: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that decides what a stage writes, kept apart so that a change can be explained.

    Args:
        stage: The stage.
        config: Its resolved configuration.
        inputs: Digests of the outputs it reads, by stage name.
        seed: The pipeline's seed.
        split: The pipeline's split.
        assigned: Splits given earlier, when they are stratified.
    """
    parts: dict[str, Any] = {
        "stage": stage.name,
        "stage version": stage.version,
        "medssl": __version__,
        "config": _comparable(stage, config),
        "inputs": dict(inputs),
    }
    if stage.sources is not None:
        parts["files"] = dict(stage.sources(config))
    if "seed" in stage.reads:
        parts["seed"] = seed
    if "split" in stage.reads:
        parts["split"] = split.model_dump(mode="json")
        if assigned:
            parts["split"]["assigned"] = digest_json(dict(assigned))
    return parts


def _comparable(stage: Stage, config: StrictModel) -> dict[str, Any]:
    """The settings that can change the outputs; a secret is compared by digest, never shown."""
    values = config.model_dump(mode="json", exclude=set(stage.ignores))
    if SECRET in values:
        values[SECRET] = "digest " + digest_json(values[SECRET])[:12]
    return values


def stage_key(parts: Mapping[str, Any]) -> str:
    """Digest of the key parts."""
    return digest_json(parts)


def output_folder(root: Path, stage: str, key: str) -> Path:
    """Where the outputs of a stage with this key stand, whichever pipeline made them."""
    return root / OUTPUTS / stage / key[:_FOLDER_LENGTH]


def current_link(root: Path, pipeline: str, stage: str) -> Path:
    """The link to the outputs that a pipeline used last."""
    return root / pipeline / stage


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What stands in a finished output folder."""

    stage: str
    key: str
    parts: Mapping[str, Any]
    digest: str
    outputs: Mapping[str, int]
    """Size in bytes of every file, by relative path."""
    summary: Mapping[str, Any]
    seconds: float
    run_id: str

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest.

        Raises:
            StageError: The folder is not the finished output of a stage.
        """
        try:
            return cls(**read_json(folder / MANIFEST))
        except (OSError, ValueError, TypeError) as error:
            msg = f"{folder} is not the finished output of a stage: {MANIFEST} cannot be read"
            raise StageError(msg) from error

    def damage(self, folder: Path) -> str | None:
        """What is wrong with the outputs, or None."""
        for name, size in self.outputs.items():
            file = folder / name
            if not file.is_file():
                return f"its output {name} is gone"
            if file.stat().st_size != size:
                return f"its output {name} changed its size"
        return None


def list_outputs(folder: Path) -> dict[str, int]:
    """Sizes of all files below a folder, by relative path.

    Left out are locks, and the links to original identifiers, which anybody may delete for good.
    """
    return {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != LINKS and not file.name.startswith(".")
    }


def explain_difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> str:
    """Which key parts differ, old → new; the empty string when none do.

    >>> explain_difference({"seed": 0, "config": {"steps": 1}}, {"seed": 0, "config": {"steps": 2}})
    'config.steps: 1 → 2'
    >>> explain_difference({"sources": [{"rate": 64}]}, {"sources": [{"rate": 32}]})
    'sources.0.rate: 64 → 32'
    """
    found = []
    for name in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(name, "absent"), new.get(name, "absent")
        if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            before, after = (dict(enumerate(values)) for values in (before, after))
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found.append(explain_difference(before, after, f"{prefix}{name}."))
        else:
            found.append(f"{prefix}{name}: {_short(before)} → {_short(after)}")
    return "; ".join(found)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
