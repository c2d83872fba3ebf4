"""`medssl bundle …`: look at a bundle, verify it, export it, register it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from medssl.bundle.card import Card

EXIT_USER_ERROR = 2
_TOLD = (
    "start", "objective", "fitted participants", "method", "training participants",
    "training records", "steps",
)  # fmt: skip
"""What of its training a bundle is shown with."""
_WIDTH_OF_FILES = 120
"""Columns when the output is not a terminal."""


@click.group()
def bundle() -> None:
    """Look into a saved encoder, verify it, export it, register it."""


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Tell what a bundle holds and is known to do; card.md tells all of it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from medssl.bundle import bundle_digest
    from medssl.bundle.card import read_card
    from medssl.bundle.verification import find_changed_facts

    card = read_card(path)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_FILES)
    facts = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(card, bundle_digest(path)):
        facts.add_row(name, Text(value))
    console.print(facts)
    if card.probes is not None:
        console.print()
        console.print(_scores(card))
    told = [finding for finding in card.audit or () if finding.severity != "ok"]
    if told:
        console.print()
    for finding in told:
        console.print(Text(f"{finding.severity}: {finding.title}"), soft_wrap=True)
    changed = find_changed_facts(path)
    for problem in changed:
        click.echo(f"do not trust what is shown: {problem}", err=True)
    if changed:
        sys.exit(EXIT_USER_ERROR)


def _facts(card: Card, digest: str) -> Iterator[tuple[str, str]]:
    encoder, contract = card.encoder, card.contract
    yield "bundle", digest
    if card.task is not None:
        yield "predicts", card.task
    yield "weights", f"{encoder.weights_digest}, {encoder.name}, {encoder.parameters:,} parameters"
    yield (
        "expects",
        f"{contract.modality.value}, {contract.noun}",
    )
    yield from contract.facts[1:]
    for name in _TOLD:
        if name in card.training:
            yield name, str(card.training[name])
    if card.data is not None:
        yield "store", card.data.digest
        for source in card.data.sources:
            yield f"licence of {source.name}", source.licence or "not stated"
    for export in card.exports:
        yield "export", f"{export.file}, largest difference {export.max_difference:.2g}"


def _scores(card: Card) -> Any:
    """The encoder's own scores, each with the baselines that it clearly beats or loses to."""
    from rich.table import Table
    from rich.text import Text

    from medssl.bundle.card_page import format_interval

    assert card.probes is not None
    table = Table("target", "score \\[interval]", "n", "the encoder is", box=None, pad_edge=False)
    for row in card.probes.rows:
        if not card.probes.is_own(row):
            continue
        told = [
            f"{verdict} than {', '.join(names)}"
            for verdict in ("better", "worse")
            if (names := _compared(card, row.target, row.metric, verdict))
        ]
        table.add_row(
            Text(f"{row.target}, {row.label or row.metric}"),
            Text(format_interval(row.value, row.low, row.high)),
            "" if row.n_participants is None else str(row.n_participants),
            Text("; ".join(told) or "not clearly different from any baseline"),
        )
    return table


def _compared(card: Card, target: str, metric: str, verdict: str) -> list[str]:
    found = card.probes.differences if card.probes else ()
    return [
        d.baseline for d in found if (d.target, d.metric, d.verdict) == (target, metric, verdict)
    ]


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--digest", help="What the bundle's digest must be, from where you got it.")
def verify(path: Path, digest: str | None) -> None:
    """Compare every file with what was saved; exit code 2 when something is wrong."""
    from medssl.bundle import FILES, bundle_digest, verify_bundle

    problems = verify_bundle(path, digest=digest)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(EXIT_USER_ERROR)
    known = "" if (path / FILES).exists() else " (version 1: only the weights have a digest)"
    click.echo(f"{path} is whole{known}; digest {bundle_digest(path)}")


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["onnx", "torch"]), required=True)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="By default beside the bundle."
)
def export(path: Path, to: Any, output: Path | None) -> None:
    """Write the encoder for a runtime without medssl; refused unless its outputs are equal."""
    from medssl.bundle import export_bundle

    click.echo(f"exported to {export_bundle(path, to, output)}")


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the model in the registry.")
@click.option("--alias", default="candidate", show_default=True, help="Moved to this version.")
@click.option("--experiment", default="medssl", show_default=True, help="Holds the artifacts.")
def register(path: Path, name: str, alias: str, experiment: str) -> None:
    """Put the bundle into the MLflow model registry, and point an alias to it."""
    from medssl.tracking import Tracker, register_bundle

    with Tracker(experiment=experiment).run("register") as run:
        version = register_bundle(run, path, name, alias)
    click.echo(f"registered as version {version}: models:/{name}@{alias}")
