"""What the pages of benchmarks have in common: head, tables of probes and of label curves."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from medssl.evaluation.statistics import Interval
from medssl.finetuning.curve import percent
from medssl.sampling.splits import SPLITS
from medssl.version import __version__

if TYPE_CHECKING:
    from medssl.bench.points import Point
    from medssl.bench.scores import Score

MARKS: Final = {"better": " ▲", "worse": " ▼", "unclear": "", "": ""}


def machine(seconds: Mapping[str, Mapping[str, float]]) -> str:
    """When, by what and on which machine, and how long all parts took."""
    import torch

    minutes = sum(sum(own.values()) for own in seconds.values()) / 60
    return (
        f"- {date.today().isoformat()}, medssl {__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{'a' if torch.cuda.is_available() else 'no'} GPU, {minutes:.0f} minutes"
    )


def minutes(seconds: Mapping[str, Mapping[str, float]]) -> str:
    """How long each step of each part took."""
    told = (
        f"{name} " + ", ".join(f"{step} {value / 60:.1f}" for step, value in own.items())
        for name, own in seconds.items()
    )
    return f"- Minutes: {'; '.join(told)}."


def people(counts: Mapping[str, int]) -> str:
    """Participants by split."""
    return "participants: " + ", ".join(f"{counts.get(name, 0)} {name}" for name in SPLITS)


def linear_table(
    scores: Sequence[Score], groups: Mapping[str, str], base: str, *, title: str, told: str = ""
) -> list[str]:
    """Every arm and baseline by target.

    Args:
        scores: Of the probes.
        groups: Heading of each arm; what is not there had no pretraining.
        base: What the others are compared with.
        title: Of the table.
        told: A sentence before the others.
    """
    labels = {s.target: s.metric.label for s in scores}
    lines = [
        f"### {title}",
        "",
        f"{told} Mean over seeds with a 95 % interval over test participants. ▲ better, ▼ worse "
        f"than {base}: the paired difference's interval excludes zero.".lstrip(),
        "",
        "| | | " + " | ".join(f"{target} ({label})" for target, label in labels.items()) + " |",
        "|---" * (len(labels) + 2) + "|",
    ]
    for name in dict.fromkeys(s.features for s in scores):
        own = {s.target: f"{plain(s.interval)}{MARKS[s.verdict]}"
               for s in scores if s.features == name}  # fmt: skip
        cells = [own.get(target, "–") for target in labels]
        lines.append(f"| {name} | {groups.get(name, 'no pretraining')} | {' | '.join(cells)} |")
    return [*lines, ""]


def curve_table(points: Sequence[Point], told: str) -> list[str]:
    """Label curves, with what a reader must know of them."""
    lines = [
        "### Label curves",
        "",
        f"{told} The last column is the paired difference from training from scratch.",
        "",
        "| target | labels | model | value | minus from scratch |",
        "|---|---|---|---|---|",
    ]
    for p in points:
        gap = ""
        if p.difference is not None:
            verdict = p.difference.verdict(higher_is_better=p.metric.higher_is_better)
            gap = f"{signed(p.difference)}{MARKS[verdict]}"
        lines.append(
            f"| {p.target} ({p.metric.label}) | {percent(p.fraction)}, {p.n_fit} participants | "
            f"{p.model} | {plain(p.interval)} | {gap} |"
        )
    return [*lines, ""]


def score_numbers(score: Score) -> dict[str, Any]:
    """A score as a JSON object."""
    return {
        "target": score.target, "metric": score.metric.name, "features": score.features,
        "interval": score.interval.to_dict(), "seeds": list(score.seeds),
        "minus_base": score.difference.to_dict() if score.difference else None,
        "verdict": score.verdict,
    }  # fmt: skip


def point_numbers(point: Point) -> dict[str, Any]:
    """A point of a label curve as a JSON object."""
    return {
        "target": point.target, "metric": point.metric.name, "model": point.model,
        "fraction": point.fraction, "n_fit": point.n_fit, "interval": point.interval.to_dict(),
        "seeds": list(point.seeds),
        "minus_from_scratch": point.difference.to_dict() if point.difference else None,
    }  # fmt: skip


def plain(interval: Interval, digits: int = 3) -> str:
    """Value and interval."""
    value, low, high = interval.value, interval.low, interval.high
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def signed(interval: Interval) -> str:
    """A difference and its interval."""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
