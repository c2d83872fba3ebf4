"""The page of the benchmark: tables with intervals, chance and baselines beside every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from medssl.bench.page import (
    MARKS,
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
from medssl.bench.radiographs.arms import BASE, TIP, arms, table_arms

if TYPE_CHECKING:
    from medssl.bench.options import Options
    from medssl.bench.radiographs.results import PartResult
    from medssl.evaluation.retrieval_tables import RetrievalRow, RetrievalTable

_MATCHED: Final = "label-matched pairs"
_CURVES: Final = (
    "The same labelled and test participants for all; equal steps, stopped early by the labels of "
    "all validation participants. Linear: the encoder stays as it is."
)


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
        lines += [f"## {labels.part.config.title}", "", *(f"- {note}" for note in labels.notes), ""]
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
            lines += curve_table(labels.points, _CURVES)
    if pairs is not None:
        lines += [f"## {pairs.part.config.title}", "", *(f"- {note}" for note in pairs.notes), ""]
        if pairs.retrieval is not None:
            lines += _retrieval(pairs.retrieval, "### Retrieval of true pairs")
        lines += _image_use(pairs)
    tables = results.get("tables")
    if tables is not None:
        lines += [f"## {tables.part.config.title}", "", *(f"- {note}" for note in tables.notes), ""]
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
        "linear": [score_numbers(score) for score in result.linear],
        "zero_shot": [score_numbers(score) for score in result.zero_shot],
        "retrieval": result.retrieval.to_dict() if result.retrieval else None,
        "image_use": {name: use.to_dict() for name, use in result.image_use.items()},
        "false_negatives": result.false_negatives,
        "label_curves": [point_numbers(point) for point in result.points],
        "notes": result.notes,
    }


def _head(results: Mapping[str, PartResult], options: Options) -> list[str]:
    return [
        "# Chest radiographs and reports: ConVIRT, its switches and its rivals",
        "",
        "Printed by `medssl bench radiographs --data DATA`; the numbers stand in "
        "`radiographs.json` beside this page.",
        "",
        machine({name: r.seconds for name, r in results.items()}),
        f"- {options.seeds} seeds (weights, pairs, views) of every arm",
        *(
            f"- {name}: store {r.store_digest[:16]}, {r.images} images, {r.reports} reports, "
            f"{r.steps} steps; {people(r.participants)}"
            for name, r in results.items()
        ),
        "",
    ]


def _linear(result: PartResult, base: str, told: str) -> list[str]:
    groups = {arm.name: arm.group for arm in (*arms(), *table_arms())}
    title = "Linear probes of frozen image embeddings"
    return linear_table(result.linear, groups, base, title=title, told=told)


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
            f"| {s.features} | {plain(s.interval)}{MARKS[s.verdict]} |"
            for s in result.zero_shot
            if s.target == macro
        ),
        "",
        f"| finding | {BASE} |",
        "|---|---|",
        *(f"| {s.target} | {plain(s.interval)} |" for s in alone),
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
            _counted(first),
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
    return f"{row.interval.value:.3f}, {signed(row.lift)}{' *' if row.above_chance else ''}"


def _counted(row: RetrievalRow) -> str:
    """What is asked and found, with the participants that intervals resample."""
    people = f" of {row.n_participants} participants"
    asking, found = (people, "") if row.resampled == "queries" else ("", people)
    return f"{row.task}: {row.n_queries} queries{asking}, {row.n_candidates} candidates{found}."


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
        f"holds each of the {options.seeds}. In retrieval, a value is followed by its "
        "difference from chance with the interval of that, since chance moves with whoever is "
        "drawn; * marks intervals above 0.",
        f"- {count} paired comparisons, not corrected for their number: about {count * 0.05:.0f} "
        "would exclude zero by chance alone.",
        "- All arms share data, split, steps, batch, image encoder, head and optimiser. ConVIRT "
        "and its switches see the text, which carries the findings of training images: how they "
        "compare with image-only methods here says nothing of what radiologists' reports would do.",
        "- Losses keep their published temperatures. The learning rate is the same for all: 5e-4, "
        "1e-3 and 3e-3 were tried for ConVIRT and SimCLR on validation participants with one seed, "
        "and none was clearly best. How many sentences a report has was chosen after a look at "
        "training losses and validation participants.",
        minutes({name: r.seconds for name, r in results.items()}),
        "",
    ]


def _words(path: Path) -> str:
    return path.stem.replace("_", " ")
