"""A saved encoder with its contract: safetensors weights, configuration, contract, model card."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from medssl.encoders import EncoderConfig, build_encoder, parse_encoder_config
from medssl.errors import ContractError, StoreError
from medssl.files import digest_file, publish_folder, read_json, write_json
from medssl.records import Contract
from medssl.types import EmbeddingArray, Segments
from medssl.version import __version__
from medssl.views.normalise import zscore

FORMAT: Final = "medssl-bundle"
BUNDLE_VERSION: Final = 1
WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
CONTRACT: Final = "contract.json"
CARD: Final = "card.md"


class Encoder:
    """A trained encoder that refuses what breaks its contract.

    Args:
        module: Maps (batch, channels, time) to (batch, dim); used in evaluation mode.
        contract: What it expects of its input.
        digest: Digest of the weights.
        device: Where it runs; by default a GPU when there is one.
    """

    def __init__(
        self, module: nn.Module, contract: Contract, *, digest: str, device: str | None = None
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.module = module.to(self.device).eval()
        self.contract = contract
        self.digest = digest

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.module.dim)  # type: ignore[arg-type]

    def embed(self, array: Any, *, rate: float, channels: Sequence[str]) -> EmbeddingArray:
        """Embed one recording, cut into consecutive segments of the contract's length.

        Args:
            array: Waveform of shape (channels, time) in the contract's units.
            rate: Its samples per second (Hz).
            channels: Its channel names, in order.

        Returns:
            One row per whole segment, shape (segments, dim); a shorter tail is not embedded.

        Raises:
            ContractError: The recording breaks the contract; the message says how to mend it.
        """
        self.contract.check(array, rate=rate, channels=tuple(channels))
        signal = np.asarray(array, dtype=np.float32)
        length = self.contract.length
        whole = signal.shape[1] // length
        cut = signal[:, : whole * length].reshape(signal.shape[0], whole, length)
        return self.embed_segments(np.ascontiguousarray(cut.transpose(1, 0, 2)))

    def embed_segments(self, segments: Segments, *, batch_size: int = 256) -> EmbeddingArray:
        """Embed segments that already keep the contract, shape (n, channels, time).

        Raises:
            ContractError: The encoder gave a value that is not finite.
        """
        outputs = np.empty((len(segments), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(segments), batch_size):
                piece = torch.from_numpy(segments[start : start + batch_size]).to(self.device)
                outputs[start : start + len(piece)] = self.module(zscore(piece)).float().cpu()
        bad = int(np.count_nonzero(~np.isfinite(outputs).all(axis=1)))
        if bad:
            msg = (
                f"{bad} of {len(outputs)} segments gave embeddings that are not finite: "
                "check the input's units and the bundle's training log"
            )
            raise ContractError(msg)
        return outputs


def save_bundle(
    path: Path,
    module: nn.Module,
    *,
    encoder: EncoderConfig,
    contract: Contract,
    provenance: Mapping[str, Any],
) -> str:
    """Write a bundle folder, atomically.

    Args:
        path: The folder; replaced if it exists.
        module: The encoder, without its projection head.
        encoder: How to build it again.
        contract: What it expects of its input.
        provenance: What the card tells: method, data digest, steps, seed. No identifiers.

    Returns:
        Digest of the weights.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        state = {
            name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()
        }
        save_file(state, folder / WEIGHTS)
        digest = digest_file(folder / WEIGHTS)
        parameters = sum(value.numel() for value in module.parameters())
        write_json(
            folder / CONFIG,
            {
                "format": FORMAT,
                "version": BUNDLE_VERSION,
                "created_with": f"medssl {__version__}",
                "encoder": encoder.model_dump(mode="json"),
                "parameters": parameters,
                "weights_digest": digest,
                "provenance": dict(provenance),
            },
        )
        write_json(folder / CONTRACT, contract.model_dump(mode="json"))
        card = _card(contract, encoder, parameters, digest, provenance)
        (folder / CARD).write_text(card, encoding="utf-8")
        folder.chmod(0o755)
        publish_folder(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return digest


def load_encoder(path: str | Path, *, device: str | None = None) -> Encoder:
    """Load a bundle; nothing is unpickled and nothing is downloaded.

    Args:
        path: The bundle folder.
        device: `"cpu"`, `"cuda"`, …; by default a GPU when there is one.

    Raises:
        StoreError: The folder is not a bundle, is damaged, or was written by a newer medssl.
    """
    folder = Path(path)
    config = _read(folder, CONFIG)
    if config.get("format") != FORMAT:
        msg = f"{folder} is not a medssl bundle: {CONFIG} does not say so"
        raise StoreError(msg)
    if config["version"] > BUNDLE_VERSION:
        msg = (
            f"{folder} has bundle version {config['version']} and medssl {__version__} reads up to "
            f"{BUNDLE_VERSION}: upgrade medssl"
        )
        raise StoreError(msg)
    weights = folder / WEIGHTS
    if not weights.is_file() or digest_file(weights) != config["weights_digest"]:
        msg = f"{weights} is absent or was changed after it was saved: copy the bundle again"
        raise StoreError(msg)
    try:
        contract = Contract.model_validate(_read(folder, CONTRACT))
        module = build_encoder(parse_encoder_config(config["encoder"]))
        module.load_state_dict(load_file(weights), strict=True)
    except (ValidationError, SafetensorError, RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        msg = f"the bundle at {folder} does not fit medssl {__version__}: {reason}"
        raise StoreError(msg) from error
    return Encoder(module, contract, digest=config["weights_digest"], device=device)


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        value = read_json(folder / name)
    except (OSError, ValueError) as error:
        msg = f"{folder} is not a medssl bundle, or is damaged: cannot read {name}"
        raise StoreError(msg) from error
    if not isinstance(value, dict):
        msg = f"{folder} is not a medssl bundle: {name} is not a JSON object"
        raise StoreError(msg)
    return value


def _card(
    contract: Contract,
    encoder: EncoderConfig,
    parameters: int,
    digest: str,
    provenance: Mapping[str, Any],
) -> str:
    facts = "\n".join(f"| {name} | {value} |" for name, value in provenance.items())
    expects = "\n".join(
        f"| {name} | {', '.join(value) if isinstance(value, tuple) else value} |"
        for name, value in contract
    )
    return f"""# Encoder `{digest[:12]}`

A {encoder.name} with {parameters:,} parameters for {contract.modality.value} segments of
{contract.seconds:g} s, pretrained without labels by medssl {__version__}.

## What it expects of its input

| | |
|---|---|
{expects}

Input that breaks this is refused. Normalisation is applied by the encoder itself.

## Where it comes from

| | |
|---|---|
{facts}

## Intended use

Research. Embeddings are inputs to models that are fitted and validated on the user's own labels;
they are not a diagnosis. The probe table and the audit page of the run say what was measured.

```python
import medssl

encoder = medssl.load_encoder("this folder")
signal = medssl.resample(recording, from_rate=rate, to_rate={contract.rate:g})
embeddings = encoder.embed(signal, rate={contract.rate:g}, channels={list(contract.channels)})
```
"""
