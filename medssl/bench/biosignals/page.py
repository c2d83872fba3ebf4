"""The page of the benchmark: tables with intervals, and which published orderings hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medssl.bench.biosignals.arms import BASE, arms
from medssl.bench.biosignals.minirocket import MINIROCKET
from medssl.bench.biosignals.moments import K
from medssl.bench.biosignals.ranks import PER_PARTICIPANT
from medssl.bench.page import (
    curve_table,
    linear_table,
    machine,
    minutes,
    people,
    plain,
    point_numbers,
    score_numbers,
    signed,
)
from medssl.methods.config import MoCoConfig

if TYPE_CHECKING:
    from medssl.bench.biosignals.moments import MomentsResult
    from medssl.bench.biosignals.results import LegResult
    from medssl.bench.options import Options

_CURVES: Final = (
    "The published recipe's encoder; the same labelled and test participants for all. The networks "
    "have equal steps and stop early by the labels of all validation participants, which "
    f"{MINIROCKET} does not see: its penalty is chosen inside the labelled participants."
)


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
        "scores": [score_numbers(score) for score in result.scores],
        "geometry": [
            {
                "arm": g.arm, "dim": g.dim, "effective_rank": g.rank.to_dict(),
                "minus_base": g.rank_difference.to_dict() if g.rank_difference else None,
                "icc": g.icc.to_dict(), "seeds": list(g.seeds),
            }
            for g in result.geometry
        ],
        "orderings": [
            {"claim": o.claim, "measure": o.measure, "recipe_minus_arm": o.found.to_dict(),
             "seeds": list(o.seeds), "verdict": o.verdict}
            for o in result.orderings
        ],
        "label_curves": [point_numbers(point) for point in result.points],
        "notes": result.notes,
    }  # fmt: skip


def _head(results: Sequence[LegResult], options: Options) -> list[str]:
    return [
        "# Biosignals: the published recipe, its ablations and its rivals",
        "",
        "Printed by `medssl bench biosignals --data DATA`; the numbers stand in "
        "`biosignals.json` beside this page. For ECG and PPG nothing was chosen by test "
        "participants.",
        "",
        machine({r.leg.name: r.seconds for r in results}),
        f"- {options.seeds} seeds (weights, pairs, views) of every arm; steps: "
        + ", ".join(f"{r.leg.name} {_steps(r, options)}" for r in results),
        *(
            f"- {r.leg.name}: store {r.store_digest[:16]}, {r.records} records; "
            + people(r.participants)
            for r in results
        ),
        "",
    ]


def _steps(result: LegResult, options: Options) -> int:
    return options.steps or result.leg.steps


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
        f"| {r.leg.name} | {o.claim} | {o.measure} | {signed(o.found)} | {o.verdict} |"
        for r in results
        for o in r.orderings
    ]
    return [*lines, ""]


def _leg(result: LegResult, pictures: Sequence[Path]) -> list[str]:
    lines = [f"## {result.leg.config.title}", ""]
    lines += [f"- {note}" for note in (*result.leg.config.notes, _scale(result))]
    lines += ["", *(f"![{p.stem.replace('_', ' ')}]({p.name})" for p in pictures), ""]
    groups = {arm.name: arm.group for arm in arms()}
    lines += linear_table(
        result.scores, groups, f"the {BASE}", title="Linear probes of frozen embeddings"
    )
    lines += [*(f"- {note}" for note in result.notes), ""]
    lines += _geometry_table(result)
    if result.points:
        lines += curve_table(result.points, _CURVES)
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
        gap = signed(g.rank_difference) if g.rank_difference else ""
        times = seconds.get(g.arm)
        shown = f"{sum(times) / len(times):.0f}" if times else ""
        lines.append(
            f"| {g.arm} | {g.dim} | {plain(g.rank, 1)} | {gap} | {plain(g.icc)} | {shown} |"
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
        f"| {form} | {row.task} | {plain(row.interval)} | {row.chance:.3f} | "
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
        minutes({r.leg.name: r.seconds for r in results}),
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
