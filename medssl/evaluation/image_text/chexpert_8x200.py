"""The CheXpert 8×200 protocol in one call: draw the lists, embed what stands in them, score it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from medssl.errors import StageError
from medssl.evaluation.image_text.chexpert_lists import (
    Protocol,
    Variant,
    build_protocol,
    image_name,
)
from medssl.evaluation.image_text.chexpert_scores import (
    ProtocolEmbeddings,
    ProtocolScores,
    score_protocol,
)
from medssl.evaluation.image_text.zero_shot import EmbedTexts
from medssl.files import replacing, write_json

METADATA: Final = "metadata (view, sex, age)"
_BATCH: Final = 256

EmbedImages = Callable[[Sequence[Path]], np.ndarray]
"""From n image files to float (n, d), projected into the space that images and texts share."""


def run_protocol(
    images: str | Path,
    table: pd.DataFrame | str | Path,
    *,
    embed_images: EmbedImages,
    embed_texts: EmbedTexts | None = None,
    baselines: Mapping[str, tuple[EmbedImages, EmbedTexts | None]] | None = None,
    variant: Variant = "8x200",
    protocol: Protocol | None = None,
    output: str | Path | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> ProtocolScores:
    """Draw the lists, embed what stands in them, score it, and write the result.

    An encoder that was trained on CheXpert has seen these participants: say so beside the numbers.

    Args:
        images: Folder that holds the images, at any depth down to three folders above the
            participants' own.
        table: CheXpert's train.csv, or what it holds.
        embed_images: Embeds image files and projects them.
        embed_texts: Embeds sentences and projects them; None for an encoder of images alone.
        baselines: Other encoders by name, such as an untrained one. Metadata are always one.
        variant: `"8x200"` or `"5x200"`.
        protocol: Lists to take instead of drawing them, such as those of `read_lists`.
        output: Folder for `protocol.json`, `scores.json` and `scores.md`.
        replicates: Bootstrap replicates.
        seed: Of the lists and the bootstrap.

    Raises:
        StageError: Images are absent, or the table is not that of CheXpert.
    """
    labels = table if isinstance(table, pd.DataFrame) else read_table(table)
    chosen = protocol or build_protocol(labels, variant=variant, seed=seed)
    files = [
        find_images(Path(images), chosen.images(lists))
        for lists in (chosen.candidates, chosen.image_queries)
    ]

    def embed(image_side: EmbedImages, text_side: EmbedTexts | None) -> ProtocolEmbeddings:
        said = None
        if text_side is not None:
            said = np.asarray(text_side(chosen.images(chosen.text_queries)))
        found, asked = (_in_batches(image_side, paths) for paths in files)
        return ProtocolEmbeddings(found, asked, said)

    others = {name: embed(*sides) for name, sides in (baselines or {}).items()}
    scores = score_protocol(
        chosen,
        embed(embed_images, embed_texts),
        baselines={METADATA: metadata_embeddings(labels, chosen), **others},
        replicates=replicates,
        seed=seed,
    )
    if output is not None:
        folder = Path(output)
        chosen.save(folder / "protocol.json")
        write_json(folder / "scores.json", scores.to_dict())
        with replacing(folder / "scores.md") as temporary:
            temporary.write_text(scores.to_markdown(), encoding="utf-8")
    return scores


def metadata_embeddings(table: pd.DataFrame, protocol: Protocol) -> ProtocolEmbeddings:
    """View, sex and age of each listed image as a vector: what retrieval without pixels scores.

    Args:
        table: CheXpert's train.csv.
        protocol: The lists.

    Raises:
        StageError: A listed image is not in the table.
    """
    rows = table.set_index(table["Path"].map(image_name))
    sides = []
    for lists in (protocol.candidates, protocol.image_queries):
        images = list(protocol.images(lists))
        absent = [image for image in images if image not in rows.index]
        if absent:
            msg = f"{len(absent)} of {len(images)} listed images are not in the label table"
            raise StageError(msg)
        chosen = rows.loc[images]
        angle = np.pi / 2 * chosen["Age"].to_numpy(dtype=np.float64) / 100.0
        flags = [chosen["AP/PA"] == "AP", chosen["AP/PA"] == "PA", chosen["Sex"] == "Female",
                 chosen["Sex"] == "Male"]  # fmt: skip
        sides.append(np.stack([*flags, np.cos(angle), np.sin(angle)], axis=1).astype(np.float64))
    return ProtocolEmbeddings(*sides)


def find_images(folder: Path, names: Sequence[str]) -> list[Path]:
    """Files of listed images in a folder: beside the participants' folders or up to three above.

    Raises:
        StageError: Some are not there.
    """
    roots = _roots(folder, depth=3)
    found = [next((r / n for r in roots if (r / n).is_file()), None) for n in names]
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if missing:
        msg = (
            f"{len(missing)} of {len(names)} listed images are not under {folder}, the first is "
            f"{missing[0]}: give the folder of the unpacked CheXpert images"
        )
        raise StageError(msg)
    return [path for path in found if path is not None]


def _roots(folder: Path, depth: int) -> list[Path]:
    if not folder.is_dir():
        msg = f"no folder at {folder}: give the folder of the unpacked CheXpert images"
        raise StageError(msg)
    roots = [folder]
    if depth:
        # Tens of thousands of participants' folders are not worth a look.
        below = [e for e in folder.iterdir() if not e.name.startswith("patient") and e.is_dir()]
        for inside in sorted(below):
            roots += _roots(inside, depth - 1)
    return roots


def read_table(path: str | Path) -> pd.DataFrame:
    """CheXpert's train.csv.

    Raises:
        StageError: The file is absent or no table.
    """
    try:
        return pd.read_csv(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"cannot read the label table at {path} ({reason}): give CheXpert's train.csv"
        raise StageError(msg) from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        msg = f"no label table at {path} ({reason}): give CheXpert's train.csv"
        raise StageError(msg) from error


def _in_batches(embed: EmbedImages, paths: Sequence[Path]) -> np.ndarray:
    starts = range(0, len(paths), _BATCH)
    return np.concatenate([np.asarray(embed(paths[at : at + _BATCH])) for at in starts])
