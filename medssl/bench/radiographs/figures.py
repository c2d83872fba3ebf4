"""Figures of the benchmark: differences from ConVIRT, label curves, similarity maps."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from medssl.bench.drawing import draw_curves, draw_differences, drawing
from medssl.bench.radiographs.arms import BASE
from medssl.bench.radiographs.results import PartResult

_COLOURS: Final = {
    f"{BASE}, fine-tuned": "#1f5fa8", f"{BASE}, linear": "#6fa0d6",
    "SimCLR, fine-tuned": "#1b7f5c", "SimCLR, linear": "#7cbfa4", "from scratch": "#b3402a",
}  # fmt: skip


def draw(results: Mapping[str, PartResult], page: Path) -> list[Path]:
    """Draw the figures beside the page.

    Args:
        results: Of each part.
        page: The page; figures are named after it.

    Returns:
        The figures.
    """
    made = []
    labels = results.get("labels")
    if labels is None:
        return []
    with drawing() as plt:
        figures = {"differences": draw_differences(labels.linear, BASE, plt)}
        if labels.points:
            figures["curves"] = draw_curves(labels.points, _COLOURS, plt)
        for name, figure in figures.items():
            path = page.with_name(f"{page.stem}_{name}.png")
            figure.savefig(path, dpi=140, bbox_inches="tight")
            plt.close(figure)
            made.append(path)
    for drawn in labels.maps:
        path = page.with_name(f"{page.stem}_{drawn.name}")
        shutil.copyfile(drawn, path)
        made.append(path)
    return made
