"""Figures that benchmarks share: paired differences and label curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from medssl.bench.points import Point
    from medssl.bench.scores import Score

INK = "#1f2933"
GOOD, BAD, GREY = "#1b7f5c", "#b3402a", "#8a94a0"


@contextmanager
def drawing() -> Iterator[Any]:
    """Matplotlib in the style of the pages."""
    import matplotlib.pyplot as plt

    with plt.rc_context(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
         "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    ):  # fmt: skip
        yield plt


def draw_differences(scores: Sequence[Score], base: str, plt: Any) -> Any:
    """Every arm minus the base, turned so that right is better, one panel a target."""
    targets = list(dict.fromkeys(s.target for s in scores))
    names = [n for n in dict.fromkeys(s.features for s in scores) if n != base]
    figure, axes = plt.subplots(
        1, len(targets), figsize=(2.3 * len(targets) + 1.6, 0.25 * len(names) + 1.1), sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, target in zip(axes[0], targets, strict=True):
        own = {s.features: s for s in scores if s.target == target}
        axis.axvline(0, color=GREY, linewidth=0.8)
        for place, name in enumerate(names):
            one = own.get(name)
            if one is None or one.difference is None or not np.isfinite(one.difference.low):
                continue
            sign = 1 if one.metric.higher_is_better else -1
            ends = sorted((sign * one.difference.low, sign * one.difference.high))
            colour = {"better": GOOD, "worse": BAD}.get(one.verdict, GREY)
            axis.plot(ends, [place, place], color=colour, linewidth=1.6)
            axis.plot(sign * one.difference.value, place, "o", color=colour, markersize=4)
        first = next(iter(own.values()))
        axis.set_title(f"{target}\n{first.metric.label}", fontsize=9)
        axis.set_xlabel("better →")
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    figure.suptitle(f"Minus {base}, paired, 95 % intervals over participants", fontsize=10)
    figure.tight_layout()
    return figure


def draw_curves(points: Sequence[Point], colours: Mapping[str, str], plt: Any) -> Any:
    """One panel a curve: value by share of the labels."""
    targets = list(dict.fromkeys(p.target for p in points))
    figure, axes = plt.subplots(
        1, len(targets), figsize=(3.6 * len(targets) + 0.6, 3.0), squeeze=False
    )
    for axis, target in zip(axes[0], targets, strict=True):
        panel = [p for p in points if p.target == target]
        models = list(dict.fromkeys(p.model for p in panel))
        for number, model in enumerate(models):
            own = [p for p in panel if p.model == model]
            at = [p.n_fit * (1 + 0.05 * (number - 1.5)) for p in own]
            values = [p.interval.value for p in own]
            errors = np.abs(
                [[p.interval.value - p.interval.low for p in own],
                 [p.interval.high - p.interval.value for p in own]]
            )  # fmt: skip
            axis.errorbar(
                at, values, yerr=errors, color=colours.get(model, GREY), marker="o",
                markersize=4, linewidth=1.4, elinewidth=0.8, label=model,
            )  # fmt: skip
        axis.set_xscale("log")
        ticks = sorted({p.n_fit for p in panel})
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel("labelled participants")
        axis.set_ylabel(panel[0].metric.label)
        axis.set_title(target, fontsize=9)
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure
