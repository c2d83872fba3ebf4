"""Figures of the benchmark: differences from the recipe, label curves, effective ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medssl.bench.biosignals.arms import BASE
from medssl.bench.biosignals.scores import MINIROCKET

if TYPE_CHECKING:
    from medssl.bench.biosignals.results import LegResult

_INK = "#1f2933"
_GOOD, _BAD, _GREY = "#1b7f5c", "#b3402a", "#8a94a0"
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
    import matplotlib.pyplot as plt

    made = []
    parts = [("differences", _differences), ("ranks", _ranks)]
    if result.points:
        parts.append(("curves", _curves))
    with plt.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
         "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK}
    ):  # fmt: skip
        for name, function in parts:
            figure = function(result, plt)
            path = page.with_name(f"{page.stem}_{name}_{result.leg.name}.png")
            figure.savefig(path, dpi=140, bbox_inches="tight")
            plt.close(figure)
            made.append(path)
    return made


def _differences(result: LegResult, plt: Any) -> Any:
    """Every arm minus the recipe, turned so that right is better, one panel a target."""
    targets = list(dict.fromkeys(s.target for s in result.scores))
    names = [n for n in dict.fromkeys(s.features for s in result.scores) if n != BASE]
    figure, axes = plt.subplots(
        1, len(targets), figsize=(2.3 * len(targets) + 1.6, 0.25 * len(names) + 1.1), sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, target in zip(axes[0], targets, strict=True):
        own = {s.features: s for s in result.scores if s.target == target}
        axis.axvline(0, color=_GREY, linewidth=0.8)
        for place, name in enumerate(names):
            one = own.get(name)
            if one is None or one.difference is None or not np.isfinite(one.difference.low):
                continue
            sign = 1 if one.metric.higher_is_better else -1
            ends = sorted((sign * one.difference.low, sign * one.difference.high))
            colour = {"better": _GOOD, "worse": _BAD}.get(one.verdict, _GREY)
            axis.plot(ends, [place, place], color=colour, linewidth=1.6)
            axis.plot(sign * one.difference.value, place, "o", color=colour, markersize=4)
        first = next(iter(own.values()))
        axis.set_title(f"{target}\n{first.metric.label}", fontsize=9)
        axis.set_xlabel("better →")
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    figure.suptitle(f"Minus the {BASE}, paired, 95 % intervals over participants", fontsize=10)
    figure.tight_layout()
    return figure


def _ranks(result: LegResult, plt: Any) -> Any:
    """Effective rank and ICC of every arm."""
    names = [g.arm for g in result.geometry]
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 0.25 * len(names) + 1.1), sharey=True)
    kinds = (("rank", "effective rank, centred"), ("icc", "ICC(1)"))
    for axis, (kind, label) in zip(axes, kinds, strict=True):
        for place, g in enumerate(result.geometry):
            one = getattr(g, kind)
            colour = _INK if g.arm == BASE else _GREY
            axis.plot([one.low, one.high], [place, place], color=colour, linewidth=1.6)
            axis.plot(one.value, place, "o", color=colour, markersize=4)
        axis.set_xlabel(label)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.suptitle("Held-out participants, mean over seeds", fontsize=10)
    figure.tight_layout()
    return figure


def _curves(result: LegResult, plt: Any) -> Any:
    """One panel a curve: value by share of the labels."""
    targets = list(dict.fromkeys(p.target for p in result.points))
    figure, axes = plt.subplots(
        1, len(targets), figsize=(3.6 * len(targets) + 0.6, 3.0), squeeze=False
    )
    for axis, target in zip(axes[0], targets, strict=True):
        points = [p for p in result.points if p.target == target]
        models = list(dict.fromkeys(p.model for p in points))
        for number, model in enumerate(models):
            own = [p for p in points if p.model == model]
            at = [p.n_fit * (1 + 0.05 * (number - 1.5)) for p in own]
            values = [p.interval.value for p in own]
            errors = np.abs(
                [[p.interval.value - p.interval.low for p in own],
                 [p.interval.high - p.interval.value for p in own]]
            )  # fmt: skip
            axis.errorbar(
                at, values, yerr=errors, color=_COLOURS.get(model, _GREY), marker="o",
                markersize=4, linewidth=1.4, elinewidth=0.8, label=model,
            )  # fmt: skip
        axis.set_xscale("log")
        ticks = sorted({p.n_fit for p in points})
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel("labelled participants")
        axis.set_ylabel(points[0].metric.label)
        axis.set_title(target, fontsize=9)
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure
