"""What the command line shows: progress bars, plans, the closing table, stores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from medssl.audit.findings import Severity
from medssl.bundle.card import MAIN_METRICS
from medssl.config import nearest
from medssl.errors import ConfigError
from medssl.evaluation.baselines import UNTRAINED
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.retrieval_tables import metric_name
from medssl.evaluation.scoring import ENCODER
from medssl.ingest.ledger import Reason
from medssl.stages.audit import FAILS, PAGE
from medssl.stages.base import Progress as Advance
from medssl.stages.embed import RANK_GAIN
from medssl.stages.finetune import CURVE, TASK
from medssl.stages.finetune import TABLE as CURVE_TABLE
from medssl.stages.ingest import STORE
from medssl.stages.neighbours import DEMONSTRATIONS, RETRIEVAL
from medssl.stages.neighbours import NEIGHBOURS as CASES
from medssl.stages.pipeline import Step
from medssl.stages.pretrain import BUNDLE
from medssl.stages.probe import PROBES, TABLE
from medssl.stages.rivals import RIVALS
from medssl.stages.rivals import TABLE as RIVALS_TABLE
from medssl.stages.zero_shot import COUNTED, MAPS
from medssl.stages.zero_shot import SCORES as ZERO_SHOT
from medssl.stages.zero_shot import TABLES as ZERO_SHOT_TABLES
from medssl.tracking import tracking_uri

if TYPE_CHECKING:
    from medssl.store import Store

_LABELS = {metric.name: metric.label for metrics in METRICS.values() for metric in metrics}
_WIDTH_OF_FILES = 120  # columns when the output is not a terminal
_BRIEF = 5  # files shown of a reason that asks for nothing
_VERDICTS = {"better": "[green]better[/]", "worse": "[red]worse[/]", "unclear": "unclear"}


class Display:
    """Writes to the terminal; without one, bars become single lines."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=_WIDTH_OF_FILES)

    @contextmanager
    def progress(self, stage: str) -> Iterator[Advance]:
        """A progress bar for a stage."""
        if not self.console.is_terminal:
            self.console.print(f"{stage} …")
            yield lambda done, total: None
            return
        bar = Progress(
            TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), console=self.console, transient=True,
        )  # fmt: skip
        with bar:
            task = bar.add_task(stage, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def plan(self, steps: Sequence[Step]) -> None:
        """What would run, and why."""
        table = Table("stage", "would", "because", box=None, pad_edge=False)
        for step in steps:
            table.add_row(step.stage, step.action, step.why)
        self.console.print(table)

    def closing(self, steps: Sequence[Step]) -> None:
        """What was done, the probe table, and where things are."""
        table = Table("stage", "", "result", box=None, pad_edge=False)
        for step in steps:
            took = f"{step.seconds:.1f} s" if step.action == "run" else f"skipped: {step.why}"
            table.add_row(step.stage, took, _facts(step))
        self.console.print(table)
        folders = {step.stage: step.folder for step in steps if step.folder is not None}
        for step in steps:
            if step.stage == "embed":
                self._rank(step.summary or {})
        if "rivals" in folders:  # all that stands in the probe table, and more
            self.probes(folders["rivals"] / RIVALS, folders["rivals"] / RIVALS_TABLE)
        elif "probe" in folders:
            self.probes(folders["probe"] / PROBES, folders["probe"] / TABLE)
        if "finetune" in folders:
            self.curve(folders["finetune"] / CURVE)
        if "neighbours" in folders:
            self.retrieval(folders["neighbours"] / RETRIEVAL)
        if "zero_shot" in folders:
            self.zero_shot(folders["zero_shot"])
        self._places(folders)

    def probes(self, path: Path, whole: Path) -> None:
        """The probe table: every score beside its baselines; `whole` has all metrics."""
        value = json.loads(path.read_text(encoding="utf-8"))
        against = {(d["target"], d["metric"], d["baseline"]): d for d in value["differences"]}
        rows = [row for row in value["rows"] if row["metric"] in MAIN_METRICS]
        level = f"\\[{rows[0]['level']:.0%}]" if rows else ""
        table = Table(
            "target", "features", f"score {level}", f"encoder − this {level}", "the encoder is",
            box=None, pad_edge=False, title_justify="left",
            title=f"\nProbes, scored on {_range([r['n_score'] for r in rows])} participants",
        )  # fmt: skip
        shown = None
        for row in rows:
            group = (row["target"], row["metric"])
            difference = against.get((*group, row["features"]))
            table.add_row(
                "" if group == shown else f"{row['target']}, {_LABELS[row['metric']]}",
                row["features"],
                _interval(row, "{:.3f}"),
                _interval(difference, "{:+.3f}") if difference else "",
                _VERDICTS[difference["verdict"]] if difference else "",
                style="bold" if row["features"] == ENCODER else "",
            )
            shown = group
        self.console.print(table)
        self.console.print(f"[dim]All metrics: {whole}[/]", soft_wrap=True)
        for note in value["notes"]:
            self.console.print(f"[dim]{note}[/]")

    def curve(self, path: Path) -> None:
        """The label curve: the main metric of each start, by how many labels were used."""
        value = json.loads(path.read_text(encoding="utf-8"))
        if not value["rows"]:
            return
        metric = value["rows"][0]["metric"]
        rows = {(r["fraction"], r["start"]): r for r in value["rows"] if r["metric"] == metric}
        starts = list(dict.fromkeys(start for _, start in rows))
        table = Table(
            "labels", "participants", *starts, box=None, pad_edge=False, title_justify="left",
            title=f"\nFine-tuned on few labels: {value['target']}, {_LABELS[metric]} "
            f"\\[{value['rows'][0]['level']:.0%}]",
        )  # fmt: skip
        for fraction in dict.fromkeys(fraction for fraction, _ in rows):
            cells = [_interval(rows[fraction, start], "{:.3f}") for start in starts]
            fitted = rows[fraction, starts[0]]["n_fit"]
            table.add_row(f"{100 * fraction:g} %", str(fitted), *cells)
        self.console.print(table)
        for skipped in value["skipped"]:
            self.console.print(f"[dim]{100 * skipped['fraction']:g} %: {skipped['reason']}[/]")

    def retrieval(self, path: Path) -> None:
        """How often the nearest records are the right ones: the main scores."""
        value = json.loads(path.read_text(encoding="utf-8"))
        depths = [row["k"] for row in value["rows"] if row["k"]]
        wanted = {("precision", min(depths, default=0)), ("recall", max(depths, default=0))}
        rows = [r for r in value["rows"] if (r["metric"], r["k"]) in wanted or r["metric"] == "map"]
        if not rows:
            return
        table = Table(
            "task", "features", "metric", "score \\[95 %]", "chance", "participants",
            box=None, pad_edge=False, title_justify="left", title="\nRetrieval",
        )  # fmt: skip
        for row in rows:
            table.add_row(
                row["task"], row["features"], metric_name(row["metric"], row["k"]),
                _interval(row, "{:.3f}"), f"{row['chance']:.3f}", str(row["n_participants"]),
                style="bold" if row["features"] == ENCODER else "",
            )  # fmt: skip
        self.console.print(table)
        for note in value["notes"]:
            self.console.print(f"[dim]{note}[/]")

    def zero_shot(self, folder: Path) -> None:
        """What images and sentences score without labels, and whether scores need the image."""
        value = json.loads((folder / ZERO_SHOT).read_text(encoding="utf-8"))
        parts = [(value[name] or {"rows": []})["rows"] for name in ("findings", "pairs")]
        table = Table(
            "asked", "metric", "features", "score \\[95 %]", "chance",
            box=None, pad_edge=False, title_justify="left", title="\nImages and sentences",
        )  # fmt: skip
        for row in [*parts[0], *(row for row in parts[1] if row["k"] in (None, 1))]:
            metric = metric_name(row["metric"], row["k"]) if "k" in row else "AUROC"
            table.add_row(
                row.get("finding") or row["task"], metric, row["features"],
                _interval(row, "{:.3f}"), f"{row['chance']:.3f}",
                style="" if row["features"] == UNTRAINED else "bold",
            )  # fmt: skip
        self.console.print(table)
        verdicts: dict[str, list[str]] = {}
        for name, found in value["image_use"].items():
            verdicts.setdefault(found["verdict"], []).append(name)
        for verdict, names in verdicts.items():
            self.console.print(f"[dim]On the image, {verdict}: {', '.join(names)}[/]")
        self.console.print(f"[dim]All of it: {folder / ZERO_SHOT_TABLES}[/]", soft_wrap=True)

    def _rank(self, summary: Mapping[str, Any]) -> None:
        """Effective rank beside that of untrained encoders."""
        rank, gain = summary["centred"]["effective_rank"], summary.get(RANK_GAIN)
        text = f"\nEffective rank (centred) {_interval(rank, '{:.1f}')} of {summary['d']}"
        if gain is not None:
            text += f"; encoder − untrained {_interval(gain, '{:+.1f}')}"
        self.console.print(text)

    def _places(self, folders: dict[str, Path]) -> None:
        table = Table(box=None, pad_edge=False, show_header=False)
        if "ingest" in folders:
            table.add_row("store", str(folders["ingest"] / STORE))
        for stage in ("release", "pretrain"):
            if stage in folders:
                table.add_row("bundle", str(folders[stage] / BUNDLE))
                break
        if "neighbours" in folders:
            table.add_row("nearest cases", str(folders["neighbours"] / CASES))
            table.add_row("prompts", str(folders["neighbours"] / DEMONSTRATIONS))
        if "finetune" in folders:
            table.add_row("label curve", str(folders["finetune"] / CURVE_TABLE))
            table.add_row("task bundle", str(folders["finetune"] / TASK))
        if "zero_shot" in folders and any((folders["zero_shot"] / MAPS).glob("*.png")):
            table.add_row("similarity maps", str(folders["zero_shot"] / MAPS))
        if "audit" in folders:
            table.add_row("audit page", str(folders["audit"] / PAGE))
        table.add_row("all runs", f"mlflow ui --backend-store-uri {tracking_uri()}")
        self.console.print()
        self.console.print(table, soft_wrap=True)

    def findings_fail(self, steps: Sequence[Step]) -> bool:
        """Whether an audit found something at or above its `fail_on`."""
        return any(bool((step.summary or {}).get(FAILS)) for step in steps)

    def store(self, store: Store) -> None:
        """What a store holds."""
        import pandas as pd

        records = store.records
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_row("store", str(store.path))
        table.add_row("version, digest", f"{store.version}, {store.digest}")
        table.add_row("participants", f"{len(store.participants):,}")
        table.add_row("records", f"{records.num_rows:,}")
        labels = [c for c in store.participants if not str(c).startswith("has_") and c != "added"]
        for label in labels:
            known = int(store.participants[label].notna().sum())
            table.add_row(f"label {label}", f"known for {known:,}")
        self.console.print(table)
        frame = records.select(
            ["source", "modality", "rate", "units", "participant", "quality", "size"]
        ).to_pandas()
        groups: Any = frame.groupby(["source", "modality", "rate", "units"], dropna=False)
        shown = Table("source", "modality", "Hz", "units", "participants", "records",
                      "median quality", "MB", box=None, pad_edge=False)  # fmt: skip
        for (source, modality, rate, units), group in groups:
            quality = _median(group["quality"])
            shown.add_row(
                source, modality, f"{rate:g}", str(units), f"{group['participant'].nunique():,}",
                f"{len(group):,}", "–" if pd.isna(quality) else f"{quality:.2f}",
                f"{group['size'].sum() / 1e6:.1f}",
            )  # fmt: skip
        self.console.print()
        self.console.print(shown)
        self._grades(records)
        reasons = store.ledger["reason"].value_counts().to_pylist()
        if reasons:
            counted = ", ".join(f"{r['values']}: {r['counts']:,}" for r in reasons)
            self.console.print(f"\nledger (files that gave no record): {counted}")

    def _grades(self, records: Any) -> None:
        """Components of signal quality: medians over records, and shares of all samples."""
        import pandas as pd

        from medssl.store.schema import GRADES

        frame = records.select(["source", "modality", *GRADES.values()]).to_pandas()
        if frame[list(GRADES.values())].isna().all(axis=None):
            return
        table = Table(
            "source", "modality", *GRADES, box=None, pad_edge=False, title_justify="left",
            title="\nComponents of quality: medians, and shares of all samples",
        )  # fmt: skip
        for (source, modality), group in frame.groupby(["source", "modality"]):
            cells = []
            for name, column in GRADES.items():
                share = name in ("flat", "clipped", "missing")
                value = group[column].mean() if share else _median(group[column])
                form = "{:.2%}" if share else "{:.2f}"
                cells.append("–" if pd.isna(value) else form.format(value))
            table.add_row(source, modality, *cells)
        self.console.print(table)

    def ledger(self, store: Store, reason: str | None) -> None:
        """Files that gave no record, by reason, with the remedy of each reason."""
        rows = store.ledger.to_pandas()
        remedies = {r.value: r.remedy for r in Reason}
        if reason is not None and reason not in remedies:
            msg = f"no ledger reason {reason!r}{nearest(reason, list(remedies))}"
            raise ConfigError(msg)
        for found, group in rows.groupby("reason"):
            if reason in (None, found):
                self.console.print(f"[bold]{found}[/] ({len(group):,}): {remedies[str(found)]}")
                # Hundreds of lines that ask for nothing would hide those that do.
                shown = _BRIEF if reason is None and found == Reason.NOT_A_RECORDING else None
                for row in group[:shown].itertuples():
                    detail = f"  ({row.detail})" if row.detail else ""
                    line = f"  {row.source}: {row.path}{detail}"
                    self.console.print(line, markup=False, soft_wrap=True)
                if shown is not None and len(group) > shown:
                    self.console.print(f"  and {len(group) - shown:,} more: --reason {found}")


def _median(values: Any) -> float:
    """The median of what is known; NaN, without a warning, when nothing is."""
    known = values.dropna()
    return float(known.median()) if len(known) else float("nan")


def _range(counts: Sequence[int]) -> str:
    """One number, or from the least to the most.

    >>> _range([58, 58]), _range([57, 58])
    ('58', '57 to 58')
    """
    least, most = min(counts, default=0), max(counts, default=0)
    return str(most) if least == most else f"{least} to {most}"


def _interval(row: dict[str, Any], form: str) -> str:
    if row["value"] is None:
        return row.get("note") or "–"
    text = form.format(row["value"])
    if row["low"] is None or row["low"] == row["high"]:
        return text
    return f"{text} \\[{form.format(row['low'])}, {form.format(row['high'])}]"


def _losses(summary: Mapping[str, Any]) -> list[str]:
    """What ingest did not keep, or could not use."""
    ledger = {name: n for name, n in summary.get("ledger", {}).items() if n}
    lost = [f"{n} file(s) {name}" for name, n in ledger.items() if name != Reason.NOT_A_RECORDING]
    lost += [f"{s:.1f} s of {name}" for name, s in summary.get("dropped_seconds", {}).items() if s]
    for key, words in (("label_conflicts", "conflicting"), ("labels_unreadable", "unreadable")):
        lost += [f"{n} {words} label(s) in {name}" for name, n in summary.get(key, {}).items() if n]
    if unlabelled := summary.get("participants_without_labels"):
        lost.append(f"{unlabelled} participants without labels")
    return lost


def _caveats(summary: Mapping[str, Any]) -> list[str]:
    """What a reader of any number of this ingest should know."""
    told = [
        f"{name}: each recording counts as a participant"
        for name in summary.get("assumed_participants", ())
    ]
    return told + [
        f"{name}: times {1000 * jitter['median']:.3g} ms off an even grid"
        f" (at most {1000 * jitter['max']:.3g})"
        for name, jitter in summary.get("jitter", {}).items()
        if jitter["max"] >= 0.0001
    ]


def _facts(step: Step) -> str:
    summary = step.summary or {}
    if step.stage == "ingest":
        text = f"{summary['records']} records of {summary['participants']} participants"
        return "; ".join([text, *_caveats(summary), *_losses(summary)])
    if step.stage == "reduce":
        counts = dict(summary["records"])
        kept = f"{counts.pop('kept')} kept"
        parts = [kept, *(f"{counts[name]} {name}" for name in sorted(counts))]
        ungraded = summary.get("not_graded", {})
        parts += [f"{count} kept without {name}" for name, count in sorted(ungraded.items())]
        return ", ".join(parts)
    if step.stage == "pretrain":
        return (
            f"{summary['parameters']:,} parameters, {summary['steps']} steps on "
            f"{summary['participants']} participants"
        )
    if step.stage == "finetune":
        left = f", {summary['fractions_left_out']} fraction(s) too small"
        return f"{summary['runs']} runs{left if summary['fractions_left_out'] else ''}"
    if step.stage == "release":
        made = [f"{name} differs by at most {d:.1g}" for name, d in summary["exports"].items()]
        if summary["sources_without_licence"]:
            made.append(f"{summary['sources_without_licence']} source(s) without a licence")
        return "; ".join([*made, *([summary["registered"]] if "registered" in summary else [])])
    if step.stage == "neighbours":
        return (
            f"{summary['queries']} queries, {summary['candidates']} candidates, "
            f"{summary['far']} far from every case"
        )
    if step.stage == "zero_shot":
        return ", ".join(f"{summary[name]:,} {name}" for name in COUNTED)
    if step.stage == "audit":
        counts = summary["findings"]
        return ", ".join(
            f"{counts[s.value]} {s.value}" for s in reversed(Severity) if counts[s.value]
        )
    return ""
