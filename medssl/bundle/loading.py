"""Loading a bundle: nothing is unpickled, downloaded, or believed before it is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError

from medssl.bundle.encoder import Encoder
from medssl.bundle.manifest import check_files, read_manifest, read_object
from medssl.bundle.names import (
    BUNDLE_VERSION,
    CONFIG,
    CONTRACT,
    FORMAT,
    TASK_FORMAT,
    TOKENIZER,
    WEIGHTS,
)
from medssl.bundle.weights import load_weights, read_shapes
from medssl.contracts import Contract, WaveformContract, parse_contract
from medssl.encoders import (
    BaseEncoder,
    EncoderConfig,
    build_encoder,
    kind_of,
    parse_encoder_config,
)
from medssl.errors import StoreError
from medssl.files import digest_file
from medssl.text.tokenizer import Tokenizer
from medssl.version import __version__

_ALWAYS_ALLOWED: Final = 100_000
"""Settings up to this number may exceed the number of weights: they size nothing alone."""
_LONGEST_REASON: Final = 300
_KINDS: Final = {
    FORMAT: "the bundle of an encoder: load it with medssl.load_encoder",
    TASK_FORMAT: "a task bundle: load it with medssl.finetuning.load_task",
}


def read_config(folder: Path, *, format: str = FORMAT) -> dict[str, Any]:
    """Read and check a bundle's `config.json`.

    Args:
        folder: The bundle.
        format: What the configuration must call itself.

    Raises:
        StoreError: The folder is no bundle of this format, or was written by a newer medssl.
    """
    config = read_object(folder, CONFIG)
    found = config.get("format")
    if found != format:
        other = _KINDS.get(found) if isinstance(found, str) else None
        msg = (
            f"{folder} is {other}"
            if other
            else f"{folder} is not a medssl bundle: {CONFIG} does not say so"
        )
        raise StoreError(msg)
    version = config.get("version")
    if type(version) is not int or version < 1:
        msg = f"{folder} is not a medssl bundle: {CONFIG} has no version"
        raise StoreError(msg)
    if version > BUNDLE_VERSION:
        msg = (
            f"{folder} has bundle version {version} and medssl {__version__} reads up to "
            f"{BUNDLE_VERSION}: upgrade medssl"
        )
        raise StoreError(msg)
    return config


def load_encoder(path: str | Path, *, device: str | None = None) -> Encoder:
    """Load a bundle; nothing is unpickled and nothing is downloaded.

    Configuration, contract and weights must be those that were saved. The rest of the bundle is
    not read: `medssl bundle verify` looks at every file.

    Args:
        path: The bundle folder.
        device: `"cpu"`, `"cuda"`, …; by default a GPU when there is one.

    Raises:
        StoreError: The folder is not a bundle, is damaged, or was written by a newer medssl.
    """
    folder = Path(path)
    config = read_config(folder)
    contract_values = read_object(folder, CONTRACT)
    manifest = read_manifest(folder)
    if manifest is not None:
        check_files(folder, manifest, present(folder, (CONFIG, CONTRACT, WEIGHTS, TOKENIZER)))
    elif config["version"] > 1:
        msg = f"the bundle at {folder} is damaged: its list of files is gone; copy the bundle again"
        raise StoreError(msg)
    weights = folder / WEIGHTS
    if not weights.is_file() or digest_file(weights) != config.get("weights_digest"):
        msg = f"{weights} is absent or was changed after it was saved: copy the bundle again"
        raise StoreError(msg)
    try:
        contract = parse_contract(contract_values)
        encoder = parse_encoder_config(config["encoder"])
        check_encoder(encoder, contract, read_shapes(weights))
        # The weights drawn here are replaced at once: the caller's randomness goes on untouched.
        with torch.random.fork_rng(devices=[]):
            module = build_encoder(encoder)
        load_weights(module, weights)
        tokenizer = read_tokenizer(folder)
    except (ValueError, RuntimeError, TypeError, OverflowError, KeyError) as error:
        msg = f"the bundle at {folder} does not fit medssl {__version__}: {first_reason(error)}"
        raise StoreError(msg) from error
    return Encoder(
        module, contract, digest=config["weights_digest"], device=device, tokenizer=tokenizer
    )


def present(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Those files of a bundle that are always there, and its tokenizer when it has one."""
    return tuple(name for name in names if name != TOKENIZER or (folder / TOKENIZER).exists())


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokenizer of a text encoder's bundle; None in other bundles."""
    path = folder / TOKENIZER
    return Tokenizer.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def first_reason(error: Exception) -> str:
    """What a person needs of an error about untrusted files: one line, with its place."""
    text = str(error)
    if isinstance(error, ValidationError):
        detail = error.errors()[0]
        text = ": ".join(
            part for part in (".".join(map(str, detail["loc"])), detail["msg"]) if part
        )
    line = (text.splitlines() or [type(error).__name__])[0]
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"


def check_encoder(
    encoder: EncoderConfig, contract: Contract, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a configuration that is larger than its weights, before memory is taken for it.

    Args:
        encoder: What a bundle says of its encoder.
        contract: What it says of the encoder's input.
        shapes: Shapes of the encoder's weights, as they stand in the file.

    Raises:
        ValueError: They do not belong together.
    """
    for name, value in encoder:
        if isinstance(value, Path):  # wherever it may point to
            msg = f"encoder.{name} names a file, and a bundle holds all of its weights itself"
            raise ValueError(msg)
    if kind_of(encoder) is not contract.modality.kind:
        msg = f"{encoder.name} is no encoder of {contract.modality} records"
        raise ValueError(msg)
    if isinstance(contract, WaveformContract) and encoder.channels != len(contract.channels):  # type: ignore[union-attr]
        count = len(contract.channels)
        msg = f"the encoder takes {encoder.channels} channel(s) and the contract has {count}"  # type: ignore[union-attr]
        raise ValueError(msg)
    elements = sum(math.prod(shape) for shape in shapes.values())
    for name, value in encoder:
        if isinstance(value, int) and value > max(elements, _ALWAYS_ALLOWED):
            msg = f"encoder.{name} is {value} and there are {elements} weights"
            raise ValueError(msg)
    wanted = _shapes_without_memory(encoder)
    for name, shape in wanted.items():
        if name in shapes and shapes[name] != shape:
            msg = f"{name} has shape {shapes[name]} and the configuration says {shape}"
            raise ValueError(msg)
    if wanted and set(wanted) != set(shapes):
        msg = f"its weights have other names than a {encoder.name} of this configuration"
        raise ValueError(msg)


def _shapes_without_memory(encoder: EncoderConfig) -> dict[str, tuple[int, ...]]:
    try:
        with torch.device("meta"):
            module: BaseEncoder = build_encoder(encoder)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
        return {}  # the encoder reads a tensor's value while it is built, which only memory holds
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}
