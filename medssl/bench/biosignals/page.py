"""The page of the benchmark: tables with intervals, and which published orderings hold."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medssl.bench.biosignals.arms import BASE, arms
from medssl.bench.biosignals.moments import K
from medssl.bench.biosignals.ranks import PER_PARTICIPANT
from medssl.bench.biosignals.scores import MINIROCKET
from medssl.evaluation.statistics import Interval
from medssl.finetuning.curve import percent
from medssl.methods.config import MoCoConfig
from medssl.version import __version__

if TYPE_CHECKING:
    from medssl.bench.biosignals.moments import MomentsResult
    from medssl.bench.biosignals.results import LegResult, Options
    from medssl.bench.scores import Score

_MARKS = {"better": " ▲", "worse": " ▼", "unclear": "", "": ""}


def render(
    results: Sequence[LegResult],
    options: Options,
    pictures: Sequence[Path],
    moments: MomentsResult | None = None,
) -> str:
    """The page as Markdown; it holds no identifier.

    Args:
        results: Of each leg.
        options: What was run.
        pictures: Figures, which stand beside the page.
        moments: What cross-modal contrast gave.
    """
    lines = [*_head(results, options), *_verdicts(results)]
    for result in results:
        lines += _leg(result, [p for p in pictures if p.stem.endswith(result.leg.name)])
    if moments is not None:
        lines += _moments(moments)
    lines += _how(results, options)
    return "\n".join(lines) + "\n"


def numbers(result: LegResult) -> dict[str, Any]:
    """Everything that the page shows, as a JSON object."""
    return {
        "store": result.store_digest,
        "records": result.records,
        "participants": result.participants,
        "seconds": {name: round(value, 1) for name, value in result.seconds.items()},
        "scores": [
            {
                "target": s.target, "metric": s.metric.name, "features": s.features,
                "interval": s.interval.to_dict(), "seeds": list(s.seeds),
                "minus_recipe": s.difference.to_dict() if s.difference else None,
                "verdict": s.verdict,
            }
            for s in result.scores
        ],
        "geometry": [
            {
                "arm": g.arm, "dim": g.dim, "effective_rank": g.rank.to_dict(),
                "minus_recipe": g.rank_difference.to_dict() if g.rank_difference else None,
                "icc": g.icc.to_dict(), "seeds": list(g.seeds),
            }
            for g in result.geometry
        ],
        "orderings": [
            {"claim": o.claim, "measure": o.measure, "recipe_minus_arm": o.found.to_dict(),
             "seeds": list(o.seeds), "verdict": o.verdict}
            for o in result.orderings
        ],
        "label_curves": [
            {
                "target": p.target, "metric": p.metric.name, "model": p.model,
                "fraction": p.fraction, "n_fit": p.n_fit, "interval": p.interval.to_dict(),
                "seeds": list(p.seeds),
                "minus_from_scratch": p.difference.to_dict() if p.difference else None,
            }
            for p in result.points
        ],
        "notes": result.notes,
    }  # fmt: skip


def _head(results: Sequence[LegResult], options: Options) -> list[str]:
    import torch

    minutes = sum(sum(result.seconds.values()) for result in results) / 60
    return [
        "# Biosignals: the published recipe, its ablations and its rivals",
        "",
        "Printed by `medssl bench biosignals --data DATA`; the numbers stand in "
        "`biosignals.json` beside this page. For ECG and PPG nothing was chosen by test "
        "participants.",
        "",
        f"- {date.today().isoformat()}, medssl {__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{'a' if torch.cuda.is_available() else 'no'} GPU, {minutes:.0f} minutes",
        f"- {options.seeds} seeds (weights, pairs, views) of every arm; steps: "
        + ", ".join(f"{r.leg.name} {_steps(r, options)}" for r in results),
        *(
            f"- {r.leg.name}: store {r.store_digest[:16]}, {r.records} records; participants: "
            + ", ".join(f"{r.participants.get(s, 0)} {s}" for s in ("train", "validation", "test"))
            for r in results
        ),
        "",
    ]


def _steps(result: LegResult, options: Options) -> int:
    return options.steps or int(result.leg.config.pipeline["stages"]["pretrain"]["steps"])


def _verdicts(results: Sequence[LegResult]) -> list[str]:
    if not any(result.orderings for result in results):
        return []
    lines = [
        "## Published orderings",
        "",
        "Recipe minus arm, paired over participants, mean over seeds. *Reproduced* and *the "
        "opposite*: the interval excludes zero and every seed has the same sign; *not decided*: "
        "one of the two does not hold.",
        "",
        "| leg | published | measured by | recipe − arm | verdict |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.leg.name} | {o.claim} | {o.measure} | {_signed(o.found)} | {o.verdict} |"
        for r in results
        for o in r.orderings
    ]
    return [*lines, ""]


def _leg(result: LegResult, pictures: Sequence[Path]) -> list[str]:
    lines = [f"## {result.leg.config.title}", ""]
    lines += [f"- {note}" for note in (*result.leg.config.notes, _scale(result))]
    lines += ["", *(f"![{p.stem.replace('_', ' ')}]({p.name})" for p in pictures), ""]
    lines += _score_table(result)
    lines += _geometry_table(result)
    if result.points:
        lines += _curve_table(result)
    return lines


def _scale(result: LegResult) -> str:
    made = result.leg.config.pipeline["stages"]["pretrain"]
    encoder, optimiser = made["encoder"], made["optimiser"]
    return (
        f"The published recipe on a small scale (in brackets: published): {encoder['name']} "
        f"{encoder['width']} wide (256), batches of {made['batch_size']} (256), learning rate "
        f"{optimiser['learning_rate']:g}, schedule {optimiser['schedule']} (1e-3, halved every "
        "125,000 steps)."
    )


def _score_table(result: LegResult) -> list[str]:
    targets = list(dict.fromkeys(s.target for s in result.scores))
    labels = {s.target: s.metric.label for s in result.scores}
    names = list(dict.fromkeys(s.features for s in result.scores))
    groups = {arm.name: arm.group for arm in arms()}
    lines = [
        "### Linear probes of frozen embeddings",
        "",
        "Mean over seeds with a 95 % interval over test participants. ▲ better, ▼ worse than the "
        f"{BASE}: the paired difference's interval excludes zero.",
        "",
        "| | | " + " | ".join(f"{t} ({labels[t]})" for t in targets) + " |",
        "|---" * (len(targets) + 2) + "|",
    ]
    for name in names:
        cells = [_cell(result.scores, name, target) for target in targets]
        lines.append(f"| {name} | {groups.get(name, 'no pretraining')} | {' | '.join(cells)} |")
    return [*lines, "", *(f"- {note}" for note in result.notes), ""]


def _cell(scores: Sequence[Score], name: str, target: str) -> str:
    found = [s for s in scores if s.features == name and s.target == target]
    return f"{_plain(found[0].interval)}{_MARKS[found[0].verdict]}" if found else "–"


def _geometry_table(result: LegResult) -> list[str]:
    seconds: dict[str, list[float]] = {}
    for run in result.runs:
        seconds.setdefault(run.arm, []).append(run.seconds)
    lines = [
        "### Effective rank and alikeness within participants",
        "",
        "Centred smooth effective rank and ICC(1) of the records of validation and test "
        f"participants (at most {PER_PARTICIPANT} each); ranks compare at equal dimension only.",
        "",
        "| | dim | effective rank | minus recipe | ICC(1) | seconds a run |",
        "|---|---|---|---|---|---|",
    ]
    for g in result.geometry:
        gap = _signed(g.rank_difference) if g.rank_difference else ""
        times = seconds.get(g.arm)
        shown = f"{sum(times) / len(times):.0f}" if times else ""
        lines.append(
            f"| {g.arm} | {g.dim} | {_plain(g.rank, 1)} | {gap} | {_plain(g.icc)} | {shown} |"
        )
    return [*lines, ""]


def _curve_table(result: LegResult) -> list[str]:
    lines = [
        "### Label curves",
        "",
        "The published recipe's encoder; the same labelled and test participants for all. The "
        "networks have equal steps and stop early by the labels of all validation participants, "
        f"which {MINIROCKET} does not see: its penalty is chosen inside the labelled participants. "
        "The last column is the paired difference from training from scratch.",
        "",
        "| target | labels | model | value | minus from scratch |",
        "|---|---|---|---|---|",
    ]
    for p in result.points:
        gap = ""
        if p.difference is not None:
            verdict = p.difference.verdict(higher_is_better=p.metric.higher_is_better)
            gap = f"{_signed(p.difference)}{_MARKS[verdict]}"
        lines.append(
            f"| {p.target} ({p.metric.label}) | {percent(p.fraction)}, {p.n_fit} participants | "
            f"{p.model} | {_plain(p.interval)} | {gap} |"
        )
    return [*lines, ""]


def _moments(result: MomentsResult) -> list[str]:
    lines = [
        f"## {result.title}",
        "",
        f"Recall at {K}: how often the right moment of the other signal is among the first {K}, "
        f"for {result.moments} moments of {result.participants} held-out people (store "
        f"{result.store_digest[:16]}). Interval over people; mean over seeds. With so few people, "
        "and with views chosen on this data set, read it as a sign of life and no more.",
        "",
        "| objective | task | recall | chance | above chance |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {form} | {row.task} | {_plain(row.interval)} | {row.chance:.3f} | "
        f"{'yes' if row.above_chance else 'not decided'} |"
        for form, row in result.rows
    ]
    return [*lines, ""]


def moment_numbers(result: MomentsResult) -> dict[str, Any]:
    """What `_moments` shows, as a JSON object."""
    return {
        "store": result.store_digest,
        "moments": result.moments,
        "participants": result.participants,
        "rows": [{"objective": form, **row.to_dict()} for form, row in result.rows],
    }


def _how(results: Sequence[LegResult], options: Options) -> list[str]:
    count = sum(s.difference is not None for r in results for s in r.scores)
    count += sum(p.difference is not None for r in results for p in r.points)
    count += sum(g.rank_difference is not None for r in results for g in r.geometry)
    return [
        "## How to read this",
        "",
        "- Intervals: 95 %, BCa bootstrap over test participants of the mean over seeds "
        "(effective rank: delete-group jackknife); differences are paired. They do not tell how "
        f"far the seed decides: `biosignals.json` holds each of the {options.seeds}.",
        f"- {count} comparisons, not corrected for their number: about {count * 0.05:.0f} would "
        "exclude zero by chance alone.",
        "- All arms share data, split, steps, batch, head, views and optimiser; a rival keeps its "
        "published temperature or weights. The masked autoencoder is a transformer without head "
        "and views: compare it with ViT-1D. The learning rates of encoders and rivals were chosen "
        "by validation participants, as docs/wearables.md says; ablations keep the recipe's.",
        *_slow(results, options),
        "- Minutes: "
        + "; ".join(
            f"{r.leg.name} " + ", ".join(f"{k} {v / 60:.1f}" for k, v in r.seconds.items())
            for r in results
        )
        + ".",
        "",
    ]


def _slow(results: Sequence[LegResult], options: Options) -> list[str]:
    """What is to be known of MoCo, where it was run."""
    left = [
        f"{r.leg.name} {MoCoConfig().momentum ** _steps(r, options):.0%}"
        for r in results
        if any(run.arm == "MoCo" for run in r.runs)
    ]
    if not left:
        return []
    return [
        "- Momenta are those published for runs of many thousand steps: the share of its first "
        f"weights that MoCo's teacher still has at the end is {', '.join(left)}. A rival that "
        "learns slowly may catch up in a longer run."
    ]


def _plain(interval: Interval, digits: int = 3) -> str:
    value, low, high = interval.value, interval.low, interval.high
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
