"""The pictures of the audit page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as Canvas

from medssl.audit.findings import Figure, ProbeRow, slug
from medssl.audit.projection import project
from medssl.audit.svg import GREY, INK, MARKERS, PALETTE, canvas, render
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.rank import singular_values

MAX_TOOLTIPS: Final = 2000
"""With more points than this, the projection is drawn as one image without names."""
SCALE: Final = ListedColormap(colormaps["viridis"](np.linspace(0.1, 0.9, 256)))
"""Without its ends, which vanish on black and on white paper."""
CHANCE: Final = {
    "auroc": 0.5, "partial_auroc": 0.5, "macro_auroc": 0.5, "c_index": 0.5, "r2": 0.0,
    "quadratic_kappa": 0.0,
}  # fmt: skip
_KNOWN: Final = [metric for metrics in METRICS.values() for metric in metrics]
LABELS: Final = {metric.name: metric.label for metric in reversed(_KNOWN)}
"""What readers call a metric; where kinds of targets share a name, as the first of them does."""
ERRORS: Final = {metric.name for metric in _KNOWN if not metric.higher_is_better}


def projection(
    participants: np.ndarray, means: np.ndarray, values: Mapping[str, Any], *, label: str
) -> Figure:
    """PCA of participant means, coloured by a label; each point tells its participant on hovering.

    Args:
        participants: Pseudonyms, shape (n,).
        means: Mean embeddings, shape (n, d).
        values: Participant → label: numbers get a colour scale, texts a colour and a shape each.
        label: Name of the label.
    """
    points, shares = project(means)
    known = np.array([name in values for name in participants.tolist()], dtype=bool)
    given = [values[name] for name in participants[known].tolist()]
    small = len(participants) <= MAX_TOOLTIPS
    style: dict[str, Any] = {
        "s": float(np.clip(3000 / max(len(points), 1), 4, 22)),
        "linewidths": 0,
        "rasterized": not small,
    }
    with canvas(height=3.0) as (figure, (axes,)):
        axes.scatter(*points[~known].T, color=GREY, alpha=0.4, **style)
        named = (points[known], participants[known], given, label, style)
        if given and all(isinstance(v, int | float | np.number) for v in given):
            tooltips = _scatter_numbers(figure, axes, *named)
        else:
            tooltips = _scatter_texts(figure, axes, *named)
        axes.set_xlabel(f"component 1 ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"component 2 ({shares[1]:.0%})")
        axes.set_xticks([])
        axes.set_yticks([])
        return render(
            figure,
            name=f"projection-{slug(label)}",
            title=f"Participants by {label}",
            alt=f"Scatter plot of the first two principal components of {len(points)} "
            f"participants' mean embeddings, coloured by {label}.",
            caption=f"Mean embedding of each of {len(points)} participants (PCA). Groups that "
            "stand apart here are easy to tell apart; the probes say how easy.",
            tooltips=tooltips if small else None,
        )


def _scatter_numbers(
    figure: Canvas,
    axes: Axes,
    points: np.ndarray,
    names: np.ndarray,
    values: Sequence[Any],
    label: str,
    style: Mapping[str, Any],
) -> dict[str, list[str]]:
    numbers = np.array(values, dtype=np.float64)
    dots = axes.scatter(
        points[:, 0], points[:, 1], c=numbers, cmap=SCALE, alpha=0.9, gid="known", **style
    )
    bar = figure.colorbar(dots, ax=axes, pad=0.02, shrink=0.8, label=label)
    bar.outline.set_visible(False)
    pairs = zip(names.tolist(), numbers.tolist(), strict=True)
    return {"known": [f"{name}, {label} {value:g}" for name, value in pairs]}


def _scatter_texts(
    figure: Canvas,
    axes: Axes,
    points: np.ndarray,
    names: np.ndarray,
    values: Sequence[Any],
    label: str,
    style: Mapping[str, Any],
) -> dict[str, list[str]]:
    texts = np.array([str(value) for value in values])
    groups = sorted(set(texts.tolist()))
    tooltips = {}
    for place, text in enumerate(groups):
        mine = texts == text
        axes.scatter(
            *points[mine].T,
            color=PALETTE[place % len(PALETTE)],
            marker=MARKERS[place % len(MARKERS)],
            label=f"{text} ({int(mine.sum())})",
            gid=f"group{place}",
            alpha=0.85,
            **style,
        )
        tooltips[f"group{place}"] = [f"{name}, {text}" for name in names[mine].tolist()]
    if groups:
        columns = min(3, len(groups))
        figure.legend(title=label, loc="outside upper center", ncols=columns)
    return tooltips


def spectrum(trained: np.ndarray, untrained: np.ndarray | None) -> Figure:
    """Singular values of the centred embeddings, relative to the largest; log scale."""
    with canvas() as (figure, (axes,)):
        pairs = [("encoder", trained, PALETTE[0], "-")]
        if untrained is not None:
            pairs.append(("untrained", untrained, GREY, "--"))
        for name, values, colour, line in pairs:
            sigma = singular_values(values - values.mean(axis=0, dtype=np.float64))
            if sigma[0] > 0:
                relative = np.maximum(sigma / sigma[0], 1e-7)
                axes.plot(
                    np.arange(1, len(sigma) + 1), relative, line, color=colour, lw=1.6, label=name
                )
        axes.set_yscale("log")
        axes.set_xlabel("singular value, by rank")
        axes.set_ylabel("relative to the largest")
        _grid(axes, "y")
        if len(axes.lines) > 1:
            axes.legend(loc="upper right")
        return render(
            figure,
            name="spectrum",
            title="How many dimensions are used",
            alt="Line plot of the singular values of the embeddings, largest first, on a log scale"
            + ("." if untrained is None else ", for the trained and the untrained encoder."),
            caption="A curve that falls steeply means that few directions carry everything.",
        )


def forest(rows: Sequence[ProbeRow]) -> Figure | None:
    """Scores of one target and metric with their intervals, the encoder in colour."""
    shown = [row for row in rows if row.value is not None]
    if not shown:
        return None
    target, metric = shown[0].target, shown[0].metric
    label = shown[0].label or LABELS.get(metric, metric)
    with canvas(height=0.75 + 0.3 * len(shown)) as (figure, (axes,)):
        for place, row in enumerate(shown):
            own = row.features == "encoder"
            colour = PALETTE[1] if own else GREY
            value = float(row.value or 0.0)
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=colour, lw=2.2 if own else 1.4)
            axes.plot(value, place, "o" if own else "s", color=colour, ms=6.5 if own else 4.5)
            if own:
                axes.axvline(value, color=colour, lw=0.6, ls=":", zorder=0)
        if metric in CHANCE:
            axes.axvline(CHANCE[metric], color=INK, lw=0.6, alpha=0.5, zorder=0)
        axes.set_yticks(range(len(shown)), [row.features for row in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        better = "smaller is better" if metric in ERRORS else "larger is better"
        axes.set_xlabel(f"{label} ({better})")
        _grid(axes, "x")
        listed = "; ".join(
            f"{row.features} {row.value:.3g}" for row in shown if row.value is not None
        )
        return render(
            figure,
            name=f"forest-{slug(target)}-{slug(metric)}",
            title=f"Probe: {target}",
            alt=f"{label} of each set of features with 95 % intervals: {listed}.",
            caption=f"{label} on {shown[0].n_score:,} participants that the probe was not fitted "
            "on; bars are 95 % intervals over participants."
            + (" Solid line: chance." if metric in CHANCE else ""),
        )


def overlay(
    left: np.ndarray,
    right: np.ndarray,
    *,
    names: tuple[str, str],
    rate: float,
    lag: float,
    name: str,
) -> Figure:
    """Two signals on one time axis, z-scored, the second moved by the lag at which they agree.

    Args:
        left: First channel of one record, shape (time,).
        right: First channel of the other.
        names: Their participants.
        rate: Samples per second (Hz).
        lag: How much later the left one shows the same (samples).
        name: Unique on the page.
    """
    with canvas(height=2.2) as (figure, (axes,)):
        styles = ((PALETTE[5], "-", 5.0), (INK, "-", 1.0))
        shifts = (0.0, lag)
        for wave, who, shift, (colour, line, width) in zip(
            (left, right), names, shifts, styles, strict=True
        ):
            spread = float(wave.std())
            scaled = (wave - wave.mean()) / (spread if spread > 0 else 1.0)
            time = (np.arange(len(wave)) + shift) / rate
            axes.plot(time, scaled, line, color=colour, lw=width, label=who)
        axes.set_xlabel("time (s)")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper center", ncols=2)
        moved = f", moved by {lag / rate:+.3f} s" if lag else ""
        return render(
            figure,
            name=name,
            title="One signal, two participants",
            alt=f"Overlay of a signal of participant {names[0]} and one of {names[1]}{moved}.",
            caption=f"{names[0]} (wide) and {names[1]} (thin){moved}, each scaled to unit spread.",
            identifies=True,
        )


def split_histograms(values: Mapping[str, np.ndarray], *, label: str) -> Figure | None:
    """Histogram of a numeric label in each split, one below the other, on one axis."""
    values = {name: v[np.isfinite(v)] for name, v in values.items() if np.isfinite(v).any()}
    if not values:
        return None
    everyone = np.concatenate(list(values.values()))
    edges = np.histogram_bin_edges(everyone, bins=min(20, max(5, len(everyone) // 8)))
    with canvas(height=0.6 + 0.75 * len(values), rows=len(values)) as (figure, axes):
        for place, (name, numbers) in enumerate(values.items()):
            own = axes[place]
            own.hist(numbers, bins=edges.tolist(), color=PALETTE[place % len(PALETTE)], rwidth=0.92)
            own.axvline(float(numbers.mean()), color=INK, lw=1, ls=":")
            own.set_ylabel(f"{name}\n(n = {len(numbers)})", rotation=0, ha="right", va="center")
            own.set_yticks([])
            own.spines["left"].set_visible(False)
            if place < len(values) - 1:
                own.set_xticklabels([])
        axes[-1].set_xlabel(label)
        means = ", ".join(f"{name} {v.mean():.1f}" for name, v in values.items())
        return render(
            figure,
            name="splits",
            title=f"{label[:1].upper()}{label[1:]} in each split",
            alt=f"Histograms of {label} by split; means: {means}.",
            caption=f"Participants by {label}; dotted lines are means ({means}).",
        )


def _grid(axes: Axes, axis: Literal["x", "y"]) -> None:
    axes.grid(axis=axis, color=INK, alpha=0.12, lw=0.6)
    axes.set_axisbelow(True)
