"""Writing a bundle: all of its files, their list, then one rename."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from medssl.bundle.card import Card, encoder_facts
from medssl.bundle.card_page import render_card
from medssl.bundle.manifest import write_manifest
from medssl.bundle.names import (
    BUNDLE_VERSION,
    CARD,
    CONFIG,
    CONTRACT,
    FACTS,
    FORMAT,
    TOKENIZER,
    WEIGHTS,
)
from medssl.bundle.weights import save_weights
from medssl.contracts import Contract
from medssl.encoders import EncoderConfig
from medssl.files import publish_folder, write_json
from medssl.text.tokenizer import Tokenizer
from medssl.version import __version__


@contextmanager
def new_bundle(path: Path) -> Iterator[Path]:
    """Give a folder for a bundle's files; when the block ends, list them and rename it to `path`.

    A block that raises leaves what stood at `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
        write_manifest(folder)
        folder.chmod(0o755)
        publish_folder(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def save_bundle(
    path: Path,
    module: nn.Module,
    *,
    encoder: EncoderConfig,
    contract: Contract,
    provenance: Mapping[str, Any],
    tokenizer: Tokenizer | None = None,
) -> str:
    """Write a bundle folder, atomically.

    Args:
        path: The folder; replaced if it exists.
        module: The encoder, without its projection head.
        encoder: How to build it again.
        contract: What it expects of its input.
        provenance: What the card tells: method, data digest, steps, seed. No identifiers.
        tokenizer: Of a text encoder.

    Returns:
        Digest of the weights.
    """
    with new_bundle(path) as folder:
        digest = save_weights(module, folder / WEIGHTS)
        config = {
            "format": FORMAT,
            "version": BUNDLE_VERSION,
            "created_with": f"medssl {__version__}",
            "encoder": encoder.model_dump(mode="json"),
            "parameters": sum(value.numel() for value in module.parameters()),
            "weights_digest": digest,
            "provenance": dict(provenance),
        }
        write_json(folder / CONFIG, config)
        write_json(folder / CONTRACT, contract.model_dump(mode="json"))
        if tokenizer is not None:
            (folder / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
        dim = getattr(module, "dim", None)
        write_card(
            folder,
            Card(
                encoder=encoder_facts(config, dim=None if dim is None else int(dim)),
                contract=contract,
                training=dict(provenance),
            ),
        )
    return digest


def write_card(folder: Path, card: Card) -> None:
    """Write a card for people and for programs."""
    write_json(folder / FACTS, card.model_dump(mode="json"))
    (folder / CARD).write_text(render_card(card), encoding="utf-8")
