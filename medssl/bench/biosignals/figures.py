"""Figures of the benchmark: differences from the recipe, label curves, effective ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medssl.bench.biosignals.arms import BASE
from medssl.bench.biosignals.minirocket import MINIROCKET
from medssl.bench.drawing import GREY, INK, draw_curves, draw_differences, drawing

if TYPE_CHECKING:
    from medssl.bench.biosignals.results import LegResult

_COLOURS = {
    "fine-tuned": "#1f5fa8", "frozen": "#1b7f5c", "from scratch": "#b3402a", MINIROCKET: "#8a6d1d",
}  # fmt: skip


def draw(result: LegResult, page: Path) -> list[Path]:
    """Draw a leg's figures beside the page.

    Args:
        result: The leg.
        page: The page; figures are named after it.

    Returns:
        The figures.
    """
    made = []
    with drawing() as plt:
        figures = {"differences": draw_differences(result.scores, BASE, plt)}
        figures["ranks"] = _ranks(result, plt)
        if result.points:
            figures["curves"] = draw_curves(result.points, _COLOURS, plt)
        for name, figure in figures.items():
            path = page.with_name(f"{page.stem}_{name}_{result.leg.name}.png")
            figure.savefig(path, dpi=140, bbox_inches="tight")
            plt.close(figure)
            made.append(path)
    return made


def _ranks(result: LegResult, plt: Any) -> Any:
    """Effective rank and ICC of every arm."""
    names = [g.arm for g in result.geometry]
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 0.25 * len(names) + 1.1), sharey=True)
    kinds = (("rank", "effective rank, centred"), ("icc", "ICC(1)"))
    for axis, (kind, label) in zip(axes, kinds, strict=True):
        for place, g in enumerate(result.geometry):
            one = getattr(g, kind)
            colour = INK if g.arm == BASE else GREY
            axis.plot([one.low, one.high], [place, place], color=colour, linewidth=1.6)
            axis.plot(one.value, place, "o", color=colour, markersize=4)
        axis.set_xlabel(label)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.suptitle("Held-out participants, mean over seeds", fontsize=10)
    figure.tight_layout()
    return figure
