"""`medssl chexpert-8x200`: an image–text model in a published retrieval protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from medssl.batches import ModelInput
    from medssl.evaluation.image_text.model import ImageTextModel

_CALIBRATION: Final = 512
"""Candidates that the untrained encoder's batch norm is fitted to."""
_BATCH: Final = 64


@click.command("chexpert-8x200")
@click.option(
    "--images", type=click.Path(path_type=Path), required=True,
    help="Folder of the unpacked CheXpert images.",
)  # fmt: skip
@click.option(
    "--table", type=click.Path(path_type=Path), required=True, help="CheXpert's train.csv."
)
@click.option(
    "--pretrain", type=click.Path(path_type=Path), required=True,
    help="Output of the pretrain stage, with method: convirt.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), required=True,
    help="Folder for the lists, scores.json and scores.md.",
)  # fmt: skip
@click.option(
    "--variant", type=click.Choice(["8x200", "5x200"]), default="8x200", show_default=True
)
@click.option(
    "--lists", type=click.Path(path_type=Path),
    help="A copy of github.com/yuhaozhang/convirt: take the published lists.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the lists.")
def chexpert_8x200(
    images: Path,
    table: Path,
    pretrain: Path,
    out: Path,
    variant: Any,
    lists: Path | None,
    seed: int,
) -> None:
    """Score an image–text model in CheXpert 8×200: retrieval by class, zero-shot accuracy.

    Chance, the metadata alone and the untrained encoder stand beside. An encoder that was trained
    on CheXpert has seen these participants.
    """
    from medssl.errors import ConfigError
    from medssl.evaluation.baselines import UNTRAINED
    from medssl.evaluation.image_text.chexpert_8x200 import find_images, read_table, run_protocol
    from medssl.evaluation.image_text.chexpert_lists import build_protocol, read_lists
    from medssl.evaluation.image_text.model import ImageTextModel
    from medssl.evaluation.image_text.untrained import untrained_model

    if lists is not None and variant != "8x200":
        msg = f"--lists holds those of 8x200, not of {variant}: drop --lists or --variant"
        raise ConfigError(msg)
    labels = read_table(table)
    chosen = (
        build_protocol(labels, variant=variant, seed=seed) if lists is None else read_lists(lists)
    )
    files = find_images(images, chosen.images(chosen.candidates))
    model = ImageTextModel.load(pretrain)
    out.mkdir(parents=True, exist_ok=True)  # what cannot be written to is told before the work
    step = -(-len(files) // _CALIBRATION)  # every class has its share
    random = untrained_model(pretrain, _batches(model, files[::step]), seed=seed)
    scores = run_protocol(
        images, labels, embed_images=model.project_files, embed_texts=model.project_texts,
        baselines={UNTRAINED: (random.project_files, random.project_texts)},
        protocol=chosen, output=out, seed=seed,
    )  # fmt: skip
    click.echo(scores.to_markdown())


def _batches(model: ImageTextModel, files: Sequence[Path]) -> Iterator[ModelInput]:
    inputs = model.image.inputs
    for start in range(0, len(files), _BATCH):
        prepared = [inputs.prepare(file) for file in files[start : start + _BATCH]]
        yield inputs.plain(inputs.accept(prepared))
