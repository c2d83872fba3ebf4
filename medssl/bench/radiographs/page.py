"""The page of the benchmark: tables with intervals, chance and baselines beside every score."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medssl.bench.radiographs.arms import BASE, TIP, arms, table_arms
from medssl.evaluation.statistics import Interval
from medssl.finetuning.curve import percent
from medssl.version import __version__

if TYPE_CHECKING:
    from medssl.bench.radiographs.results import Options, PartResult
    from medssl.bench.scores import Score
    from medssl.evaluation.retrieval_tables import RetrievalRow, RetrievalTable

_MARKS: Final = {"better": " ▲", "worse": " ▼", "unclear": "", "": ""}
_MATCHED: Final = "label-matched pairs"


def render(results: Mapping[str, PartResult], options: Options, pictures: Sequence[Path]) -> str:
    """The page as Markdown; it holds no identifier and no sentence of a report.

    Args:
        results: Of each part.
        options: What was run.
        pictures: Figures, which stand beside the page.
    """
    lines = _head(results, options)
    labels, pairs = results.get("labels"), results.get("pairs")
    if labels is not None:
        lines += [f"## {labels.title}", "", *(f"- {note}" for note in labels.notes), ""]
        lines += [f"![{_words(p)}]({p.name})" for p in pictures]
        lines += [
            "",
            *_linear(labels, BASE, f"Trained on {_MATCHED}, or on the same images alone."),
        ]
        lines += _zero_shot(labels)
        if labels.retrieval is not None:
            lines += _retrieval(labels.retrieval, f"### Retrieval by finding ({_MATCHED})")
        lines += _masking(labels)
        lines += _image_use(labels)
        if labels.points:
            lines += _curves(labels)
    if pairs is not None:
        lines += [f"## {pairs.title}", "", *(f"- {note}" for note in pairs.notes), ""]
        if pairs.retrieval is not None:
            lines += _retrieval(pairs.retrieval, "### Retrieval of true pairs")
        lines += _image_use(pairs)
    tables = results.get("tables")
    if tables is not None:
        lines += [f"## {tables.title}", "", *(f"- {note}" for note in tables.notes), ""]
        lines += _linear(
            tables, TIP, "Trained on the images with their rows, or on the images alone."
        )
    lines += _how(results, options)
    return "\n".join(lines) + "\n"


def numbers(result: PartResult) -> dict[str, Any]:
    """Everything that the page shows, as a JSON object."""
    return {
        "store": result.store_digest,
        "images": result.images,
        "reports": result.reports,
        "steps": result.steps,
        "participants": result.participants,
        "seconds": {name: round(value, 1) for name, value in result.seconds.items()},
        "linear": [_score(score) for score in result.linear],
        "zero_shot": [_score(score) for score in result.zero_shot],
        "retrieval": result.retrieval.to_dict() if result.retrieval else None,
        "image_use": {name: use.to_dict() for name, use in result.image_use.items()},
        "false_negatives": result.false_negatives,
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


def _score(score: Score) -> dict[str, Any]:
    return {
        "target": score.target, "metric": score.metric.name, "features": score.features,
        "interval": score.interval.to_dict(), "seeds": list(score.seeds),
        "minus_base": score.difference.to_dict() if score.difference else None,
        "verdict": score.verdict,
    }  # fmt: skip


def _head(results: Mapping[str, PartResult], options: Options) -> list[str]:
    import torch

    minutes = sum(sum(result.seconds.values()) for result in results.values()) / 60
    return [
        "# Chest radiographs and reports: ConVIRT, its switches and its rivals",
        "",
        "Printed by `medssl bench radiographs --data DATA`; the numbers stand in "
        "`radiographs.json` beside this page.",
        "",
        f"- {date.today().isoformat()}, medssl {__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{'a' if torch.cuda.is_available() else 'no'} GPU, {minutes:.0f} minutes",
        f"- {options.seeds} seeds (weights, pairs, views) of every arm",
        *(
            f"- {name}: store {r.store_digest[:16]}, {r.images} images, {r.reports} reports, "
            f"{r.steps} steps; participants: "
            + ", ".join(f"{r.participants.get(s, 0)} {s}" for s in ("train", "validation", "test"))
            for name, r in results.items()
        ),
        "",
    ]


def _linear(result: PartResult, base: str, told: str) -> list[str]:
    targets = list(dict.fromkeys(s.target for s in result.linear))
    labels = {s.target: s.metric.label for s in result.linear}
    groups = {arm.name: arm.group for arm in (*arms(), *table_arms())}
    lines = [
        "### Linear probes of frozen image embeddings",
        "",
        f"{told} Mean over seeds with a 95 % interval over test participants. ▲ better, ▼ worse "
        f"than {base}: the paired difference's interval excludes zero.",
        "",
        "| | | " + " | ".join(f"{t} ({labels[t]})" for t in targets) + " |",
        "|---" * (len(targets) + 2) + "|",
    ]
    for name in dict.fromkeys(s.features for s in result.linear):
        cells = [_cell(result.linear, name, target) for target in targets]
        lines.append(f"| {name} | {groups.get(name, 'no pretraining')} | {' | '.join(cells)} |")
    return [*lines, ""]


def _zero_shot(result: PartResult) -> list[str]:
    if not result.zero_shot:
        return []
    macro = result.zero_shot[0].target
    alone = [s for s in result.zero_shot if s.target != macro]
    lines = [
        f"### Zero-shot findings by prompts ({_MATCHED})",
        "",
        "AUROC of positive against negative prompts on images of test participants; chance is 0.5.",
        "",
        f"| | {macro} |",
        "|---|---|",
        *(
            f"| {s.features} | {_plain(s.interval)}{_MARKS[s.verdict]} |"
            for s in result.zero_shot
            if s.target == macro
        ),
        "",
        f"| finding | {BASE} |",
        "|---|---|",
        *(f"| {s.target} | {_plain(s.interval)} |" for s in alone),
    ]
    return [*lines, ""]


def _retrieval(table: RetrievalTable, title: str) -> list[str]:
    tasks = list(dict.fromkeys(row.task for row in table.rows))
    lines = [title, "", *(f"- {note}" for note in table.notes), ""]
    for task in tasks:
        rows = [row for row in table.rows if row.task == task]
        kinds = list(dict.fromkeys((row.metric, row.k) for row in rows))
        first = rows[0]
        heads = [f"{metric}@{k}" if k else metric for metric, k in kinds]
        lines += [
            f"{task}: {first.n_queries} queries of {first.n_participants} participants, "
            f"{first.n_candidates} candidates.",
            "",
            f"| | {' | '.join(heads)} |",
            "|---" * (len(kinds) + 1) + "|",
            "| chance | " + " | ".join(f"{_find(rows, k).chance:.3f}" for k in kinds) + " |",
        ]
        for name in dict.fromkeys(row.features for row in rows):
            own = [row for row in rows if row.features == name]
            cells = [_retrieved(_find(own, kind)) for kind in kinds]
            shown = BASE if name == "encoder" else name
            lines.append(f"| {shown} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def _find(rows: Sequence[RetrievalRow], kind: tuple[str, int | None]) -> RetrievalRow:
    return next(row for row in rows if (row.metric, row.k) == kind)


def _retrieved(row: RetrievalRow) -> str:
    above = row.interval.low > row.chance
    return f"{_plain(row.interval)}{' *' if above else ''}"


def _masking(result: PartResult) -> list[str]:
    if not result.false_negatives:
        return []
    lines = [
        "### Texts of a batch that say the same",
        "",
        "Share of the other rows of a batch whose drawn sentence is the same word by word, or "
        "which are of the same participant; mean over logged steps and seeds. What masking them "
        "does to scores stands in the tables above, in the rows *same texts*.",
        "",
        "| | share | rows of a batch of 64 |",
        "|---|---|---|",
    ]
    for arm in arms():
        rate = result.false_negatives.get(arm.name)
        if rate is not None and arm.group != "loss":
            lines.append(f"| {arm.name} | {rate:.4f} | {63 * rate:.2f} |")
    return [*lines, ""]


def _image_use(result: PartResult) -> list[str]:
    if not result.image_use:
        return []
    lines = ["### Does it need the image?", ""]
    for name, use in result.image_use.items():
        lines += [f"{name}, seed 0:", "", *use.to_markdown().rstrip().splitlines(), ""]
    return lines


def _curves(result: PartResult) -> list[str]:
    lines = [
        "### Label curves",
        "",
        "The same labelled and test participants for all; equal steps, stopped early by the labels "
        "of all validation participants. Linear: the encoder stays as it is. The last column is "
        "the paired difference from training from scratch.",
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


def _how(results: Mapping[str, PartResult], options: Options) -> list[str]:
    count = sum(
        s.difference is not None for r in results.values() for s in (*r.linear, *r.zero_shot)
    )
    count += sum(p.difference is not None for r in results.values() for p in r.points)
    return [
        "## How to read this",
        "",
        "- Intervals: 95 %, percentile bootstrap over test participants of the mean over seeds; "
        "differences are paired. They do not tell how far the seed decides: `radiographs.json` "
        f"holds each of the {options.seeds}. In retrieval, * marks an interval above chance.",
        f"- {count} paired comparisons, not corrected for their number: about {count * 0.05:.0f} "
        "would exclude zero by chance alone.",
        "- All arms share data, split, steps, batch, image encoder, head and optimiser. ConVIRT "
        "and its switches see the text, which carries the findings of training images: how they "
        "compare with image-only methods here says nothing of what radiologists' reports would do.",
        "- Losses keep their published temperatures. The learning rate is the same for all: 5e-4, "
        "1e-3 and 3e-3 were tried for ConVIRT and SimCLR on validation participants with one seed, "
        "and none was clearly best. How many sentences a report has was chosen after a look at "
        "training losses and validation participants.",
        "- Minutes: "
        + "; ".join(
            f"{name} " + ", ".join(f"{k} {v / 60:.1f}" for k, v in r.seconds.items())
            for name, r in results.items()
        )
        + ".",
        "",
    ]


def _cell(scores: Sequence[Score], name: str, target: str) -> str:
    found = [s for s in scores if s.features == name and s.target == target]
    return f"{_plain(found[0].interval)}{_MARKS[found[0].verdict]}" if found else "–"


def _words(path: Path) -> str:
    return path.stem.replace("_", " ")


def _plain(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
