"""Where a pipeline's outputs go, and how its file is written."""

from __future__ import annotations

from pathlib import Path

from medssl.files import replacing


def default_root(folder: Path) -> str:
    """Outputs go below the working directory, unless the recordings lie there."""
    if not Path.cwd().resolve().is_relative_to(folder):
        return "medssl-runs"
    if not Path.home().resolve().is_relative_to(folder):
        return "~/medssl-runs"
    return str(folder.parent / "medssl-runs")


def write(target: Path, text: str) -> None:
    """Write a pipeline file, once it is known to be a valid one.

    Raises:
        ConfigError: It is none.
    """
    from medssl.stages.pipeline import Pipeline

    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
        Pipeline(temporary)
