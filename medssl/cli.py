"""The command line: `medssl …`; nothing heavy is imported before a command is chosen."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from medssl.bundle_commands import bundle
from medssl.errors import MedsslError
from medssl.image_text_commands import chexpert_8x200
from medssl.version import __version__

EXIT_USER_ERROR = 2
EXIT_FINDINGS = 3

_ENVIRONMENT = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
    errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT,
}  # fmt: skip
"""Errors of the operating system that the user, and not medssl, can mend."""

_STAGES = {
    "ingest": "Raw files → store and ledger.",
    "reduce": "Store → selection of the records that training may see.",
    "pretrain": "Store and selection → bundle.",
    "embed": "Bundle × store → embeddings.",
    "probe": "Embeddings × labels → scores with intervals, beside their baselines.",
    "rivals": "Store × labels → one table of classical rivals, beside the encoder.",
    "finetune": "Bundle × store × labels → label curve and task bundle.",
    "neighbours": "Embeddings × labels → nearest cases, prompts, retrieval scores.",
    "zero_shot": "Images × sentences → findings by prompts, retrieval, similarity maps.",
    "audit": "Embeddings, labels, splits → one page of findings, and JSON.",
    "release": "Bundle and what is known about it → bundle with its full card, exports, registry.",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="medssl")
@click.option("--debug", is_flag=True, help="Show the traceback of errors, and debug logs.")
def cli(debug: bool) -> None:
    """Self-supervised pretraining on medical and biosignal data.

    From raw files to an encoder with its contract, a probe table, and an audit of the embeddings.
    """
    import logging

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    if debug:
        logging.getLogger("medssl").setLevel(logging.DEBUG)


def _stage_options(function: Any) -> Any:
    function = click.option(
        "--overrides", default="", help="key=value items in one text, as `mlflow run` passes them."
    )(function)
    function = click.option("--force", is_flag=True, help="Run although nothing changed.")(function)
    function = click.option(
        "--dry-run", is_flag=True, help="Say what would run and why; run nothing."
    )(function)
    function = click.argument("overrides_items", metavar="[KEY=VALUE]...", nargs=-1)(function)
    return click.argument("config", type=click.Path(path_type=Path))(function)


@cli.command()
@_stage_options
def run(
    config: Path, overrides_items: tuple[str, ...], dry_run: bool, force: bool, overrides: str
) -> None:
    """Run all stages of a pipeline file; those whose inputs did not change are skipped.

    KEY=VALUE items change single settings: `seed=1 pretrain.steps=200`.
    """
    _run(config, overrides_items, overrides, dry_run=dry_run, force=force, only=None)


def _stage_command(name: str, text: str) -> click.Command:
    @click.command(name, help=f"{text} CONFIG is a pipeline file; the stages before must have run.")
    @_stage_options
    def command(
        config: Path, overrides_items: tuple[str, ...], dry_run: bool, force: bool, overrides: str
    ) -> None:
        _run(config, overrides_items, overrides, dry_run=dry_run, force=force, only=name)

    return command


for _name, _text in _STAGES.items():
    cli.add_command(_stage_command(_name, _text))


cli.add_command(bundle)
cli.add_command(chexpert_8x200)


def _run(
    config: Path,
    items: tuple[str, ...],
    text: str,
    *,
    dry_run: bool,
    force: bool,
    only: str | None,
) -> None:
    import shlex

    from medssl.display import Display
    from medssl.stages.pipeline import Pipeline

    # A cluster ends jobs with SIGTERM: as an exception it closes the MLflow run on its way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # `mlflow run` hands over an empty or quoted text: ''.
    pipeline = Pipeline(config, [*items, *shlex.split(text.strip("'"))], only=only)
    display = Display()
    if dry_run:
        display.plan(pipeline.plan())
        return
    forced = [only] if only else list(pipeline.configs)
    steps = pipeline.run(force=forced if force else (), progress=display.progress)
    display.closing(steps)
    if display.findings_fail(steps):
        sys.exit(EXIT_FINDINGS)


@cli.group()
def store() -> None:
    """Look into a store, verify it, export it."""


@store.command()
@click.argument("path", type=click.Path(path_type=Path))
def info(path: Path) -> None:
    """Count what a store holds."""
    from medssl.display import Display
    from medssl.store import Store

    Display().store(Store.open(path))


@store.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--reason", help="Only this reason, such as wrong_byte_count.")
def ledger(path: Path, reason: str | None) -> None:
    """List the files that gave no record, with what to do; the names of files are local."""
    from medssl.display import Display
    from medssl.store import Store

    Display().ledger(Store.open(path), reason)


@store.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--deep", is_flag=True, help="Hash every record, not only sizes and bounds.")
def verify(path: Path, deep: bool) -> None:
    """Check a store; exit code 2 when something is wrong."""
    from medssl.store import verify as verify_store

    problems = verify_store(path, deep=deep)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(EXIT_USER_ERROR)
    click.echo(f"{path} is whole")


@store.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["webdataset", "parquet", "zarr"]), required=True)
def export(path: Path, target: Path, to: str) -> None:
    """Write the records in another layout; the store stays as it is."""
    from medssl.store import Store
    from medssl.store import export as export_store

    export_store(Store.open(path), target, to=to)  # type: ignore[arg-type]
    click.echo(f"exported to {target}")


@store.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("participants", nargs=-1, required=True)
def who(path: Path, participants: tuple[str, ...]) -> None:
    """Look up the original identifiers of pseudonyms, from the links kept beside the store."""
    from medssl.store import Store

    links = Store.open(path).links
    for name in participants:
        found = links.get(name)
        click.echo(f"{name}\t{'unknown' if found is None else found}")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Pipeline file to write.")
@click.option("--set", "answers", multiple=True, metavar="KEY=VALUE", help="Answer a question.")
@click.option("--overwrite", is_flag=True, help="Replace an existing pipeline file.")
def init(folder: Path, output: Path | None, answers: tuple[str, ...], overwrite: bool) -> None:
    """Look at a folder of recordings and write a commented pipeline file for it."""
    from medssl.initialise import initialise

    for line in initialise(folder, output, answers=answers, overwrite=overwrite):
        click.echo(line)


@cli.group()
def bench() -> None:
    """Compare methods on open data, with seeds, intervals and baselines."""


def _bench_options(*, out: str, root: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What every benchmark can be told."""
    options = (
        click.option(
            "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True,
            help="Folder with one folder for each data set.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), default=Path(f"docs/results/{out}.md"),
            show_default=True, help="The page; figures and numbers stand beside it.",
        ),
        click.option(
            "--root", type=click.Path(path_type=Path), default=Path(f"medssl-runs/{root}"),
            show_default=True, help="Outputs; started again, it goes on from there.",
        ),
        click.option("--seeds", type=click.IntRange(1), default=3, show_default=True),
        click.option(
            "--steps", type=click.IntRange(1), help="Of every arm, instead of the part's own."
        ),
        click.option("--workers", type=click.IntRange(1), default=2, show_default=True),
        click.option(
            "--curves/--no-curves", default=True, show_default=True, help="Label curves."
        ),
    )  # fmt: skip

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@bench.command()
@_bench_options(out="biosignals", root="bench")
@click.option(
    "--leg", "legs", type=click.Choice(["ecg", "ppg", "moments"]), multiple=True, help="Only these."
)
@click.option("--arm", "arms", multiple=True, help="Only the published recipe and these.")
@click.option(
    "--tune", is_flag=True, help="Try learning rates on validation participants; write no page."
)
def biosignals(
    data: Path, out: Path, root: Path, seeds: int, steps: int | None, workers: int,
    legs: tuple[Any, ...], arms: tuple[str, ...], curves: bool, tune: bool,
) -> None:  # fmt: skip
    """The published wearable recipe, its ablations and its rivals, on open PPG and ECG."""
    from medssl.bench.biosignals.legs import LEGS, MOMENTS
    from medssl.bench.biosignals.run import run_bench, tune_bench
    from medssl.bench.options import Options

    options = Options(data, root, seeds, steps, workers, arms or None, curves)
    if tune:
        tune_bench(legs or LEGS, options, report=click.echo)
        return
    page = run_bench(legs or (*LEGS, MOMENTS), options, out, report=click.echo)
    click.echo(page.read_text(encoding="utf-8"))


@bench.command()
@_bench_options(out="radiographs", root="bench-radiographs")
@click.option(
    "--part", "parts", type=click.Choice(["labels", "pairs", "tables"]), multiple=True,
    help="Only these.",
)  # fmt: skip
@click.option("--arm", "arms", multiple=True, help="Only ConVIRT and these.")
def radiographs(
    data: Path, out: Path, root: Path, seeds: int, steps: int | None, workers: int,
    parts: tuple[str, ...], arms: tuple[str, ...], curves: bool,
) -> None:  # fmt: skip
    """ConVIRT, its switches and image-only rivals, on open chest radiographs and real sentences."""
    from medssl.bench.options import Options
    from medssl.bench.radiographs.run import PARTS, run_bench

    options = Options(data, root, seeds, steps, workers, arms or None, curves)
    page = run_bench(parts or PARTS, options, out, report=click.echo)
    click.echo(page.read_text(encoding="utf-8"))


def main() -> None:
    """Entry point: errors that the user can mend end in one line and exit code 2."""
    debug = "--debug" in sys.argv
    # On a machine that others use too, OpenMP threads that spin for milliseconds while they wait
    # slow training up to tenfold. A short spin loses a fifth on an idle machine at most. Read when
    # torch is loaded, so set before.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        cli.main(standalone_mode=False)
    except MedsslError as error:
        if debug:
            raise
        click.echo(f"medssl: {error}", err=True)
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:
        if debug or error.errno not in _ENVIRONMENT:
            raise
        place = f" ({error.filename})" if error.filename else ""
        click.echo(f"medssl: {error.strerror}{place}: put that right and run again", err=True)
        sys.exit(EXIT_USER_ERROR)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USER_ERROR)
    except (click.Abort, KeyboardInterrupt):
        click.echo("medssl: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
