"""A task bundle: a fine-tuned encoder with its head, contract, classes and scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from medssl.batches import Raw, count, take
from medssl.bundle import (
    BUNDLE_VERSION,
    CARD,
    CONFIG,
    CONTRACT,
    WEIGHTS,
    check_files,
    load_weights,
    new_bundle,
    read_config,
    read_manifest,
    read_object,
    read_shapes,
    save_weights,
)
from medssl.bundle.loading import check_encoder, first_reason, present, read_tokenizer
from medssl.bundle.names import TASK, TASK_FORMAT, TOKENIZER
from medssl.contracts import Contract, parse_contract
from medssl.encoders import EncoderConfig, build_encoder, parse_encoder_config
from medssl.errors import ContractError, StoreError
from medssl.files import digest_file, write_json
from medssl.finetuning.card import render_card
from medssl.finetuning.heads import Head, HeadName, build_head
from medssl.finetuning.network import BATCH, TaskNetwork, predict_features
from medssl.finetuning.scale import Scale
from medssl.inputs import make_inputs
from medssl.text.tokenizer import Tokenizer
from medssl.types import Segments
from medssl.version import __version__


class TaskModel:
    """A fine-tuned encoder that predicts one target, and refuses what breaks its contract.

    Args:
        network: Encoder and head; used in evaluation mode.
        contract: What it expects of its input.
        scale: What it predicts.
        target: Name of the target.
        digest: Digest of the weights.
        device: Where it runs; by default a GPU when there is one.
        tokenizer: Of a text encoder.
    """

    def __init__(
        self,
        network: TaskNetwork,
        contract: Contract,
        scale: Scale,
        *,
        target: str,
        digest: str,
        device: str | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = network.to(self.device).eval()
        self.inputs = make_inputs(contract, tokenizer)
        self.contract = contract
        self.scale = scale
        self.target = target
        self.digest = digest

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or labels; empty for numbers, and for a single yes or no."""
        return self.scale.classes

    def prepare(self, data: Any, **told: Any) -> Any:
        """Bring a raw input to the contract; see `medssl.Encoder.prepare`.

        Raises:
            ContractError: It cannot be brought to the contract; says why and what to do.
        """
        return self.inputs.prepare(data, **told)

    def predict(self, data: Any, **told: Any) -> np.ndarray:
        """Predict from all records of one participant: a recording, images, texts or rows.

        Args:
            data: What `medssl.Encoder.embed` takes, such as a waveform of shape (channels, time).
            told: What it takes beside it, such as `rate` (Hz), `channels` and `units`.

        Returns:
            Float64, of shape () or, with classes, (k,): the number in the target's units
            (regression), the probability of yes (binary), of every class or grade (which sum to 1),
            of every label (multilabel), or the log relative hazard (survival). It is the mean over
            the segments or images, or what an attention head says of all of them.

        Raises:
            ContractError: The input breaks the contract; the message says how to mend it.
        """
        return self.predict_raw(self.inputs.accept(data, **told))

    def predict_segments(self, segments: Segments) -> np.ndarray:
        """Predict from all segments of one participant, shape (n, channels, time).

        Raises:
            ContractError: The network gave a value that is not finite.
        """
        return self.predict_raw(torch.from_numpy(segments))

    def predict_raw(self, raw: Raw) -> np.ndarray:
        """Predict from all records of one participant, as a store holds them.

        Raises:
            ContractError: The network gave a value that is not finite.
        """
        total = count(raw)
        with torch.no_grad():
            pieces = [
                self.inputs.plain(take(raw, at, min(at + BATCH, total)), self.device)
                for at in range(0, total, BATCH)
            ]
            features = torch.cat([self.network.encode(piece) for piece in pieces])
            found = predict_features(self.network, features, np.array([total]), self.scale)
        if not np.isfinite(found).all():
            msg = f"the prediction of {self.target} is not finite: check the input's units"
            raise ContractError(msg)
        return np.asarray(found[0])


def save_task(
    path: Path,
    network: TaskNetwork,
    *,
    encoder: EncoderConfig,
    contract: Contract,
    scale: Scale,
    task: Mapping[str, Any],
    provenance: Mapping[str, Any],
    scores: Sequence[Mapping[str, Any]] = (),
    tokenizer: Tokenizer | None = None,
) -> str:
    """Write a task bundle folder, atomically.

    Args:
        path: The folder; replaced if it exists.
        network: Encoder and head, without adapters.
        encoder: How to build the encoder again.
        contract: What it expects of its input.
        scale: What it predicts.
        task: Target, head and objective; `target`, `head` and `attention_width` are needed.
        provenance: What the card tells: data digest, steps, seed. No identifiers.
        scores: What the card tells of the scores: metric, value, low, high, n_participants.
        tokenizer: Of a text encoder.

    Returns:
        Digest of the weights.
    """
    with new_bundle(path) as folder:
        digest = save_weights(network, folder / WEIGHTS)
        write_json(
            folder / CONFIG,
            {
                "format": TASK_FORMAT,
                "version": BUNDLE_VERSION,
                "created_with": f"medssl {__version__}",
                "encoder": encoder.model_dump(mode="json"),
                "parameters": sum(value.numel() for value in network.parameters()),
                "weights_digest": digest,
                "provenance": dict(provenance),
            },
        )
        write_json(folder / CONTRACT, contract.model_dump(mode="json"))
        if tokenizer is not None:
            (folder / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
        write_json(folder / TASK, {**task, "scale": scale.to_dict()})
        card = render_card(digest, encoder.name, contract, scale, task, provenance, scores)
        (folder / CARD).write_text(card, encoding="utf-8")
    return digest


def load_task(path: str | Path, *, device: str | None = None) -> TaskModel:
    """Load a task bundle; nothing is unpickled and nothing is downloaded.

    Args:
        path: The bundle folder.
        device: `"cpu"`, `"cuda"`, …; by default a GPU when there is one.

    Raises:
        StoreError: The folder is not a task bundle, is damaged, or was written by a newer medssl.
    """
    folder = Path(path)
    config = read_config(folder, format=TASK_FORMAT)
    manifest = read_manifest(folder)
    if manifest is None:
        msg = f"the bundle at {folder} is damaged: its list of files is gone; copy the bundle again"
        raise StoreError(msg)
    check_files(folder, manifest, present(folder, (CONFIG, CONTRACT, TASK, WEIGHTS, TOKENIZER)))
    weights = folder / WEIGHTS
    if digest_file(weights) != config.get("weights_digest"):
        msg = f"{weights} was changed after it was saved: copy the bundle again"
        raise StoreError(msg)
    task = read_object(folder, TASK)
    try:
        contract = parse_contract(read_object(folder, CONTRACT))
        scale = Scale.from_dict(task["scale"])
        target = str(task["target"]["name"])
        if task["target"]["kind"] != scale.kind:
            msg = f"{TASK} says that {target!r} is {task['target']['kind']} and {scale.kind}"
            raise ValueError(msg)
        network = _build(
            parse_encoder_config(config["encoder"]), contract, scale, task, read_shapes(weights)
        )
        load_weights(network, weights)
    except (ValueError, RuntimeError, TypeError, OverflowError, KeyError) as error:
        reason = first_reason(error)
        msg = f"the task bundle at {folder} does not fit medssl {__version__}: {reason}"
        raise StoreError(msg) from error
    return TaskModel(
        network, contract, scale, target=target, digest=config["weights_digest"], device=device,
        tokenizer=read_tokenizer(folder),
    )  # fmt: skip


def _build(
    config: EncoderConfig,
    contract: Contract,
    scale: Scale,
    task: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
) -> TaskNetwork:
    """The network with fresh weights, which are replaced at once.

    Nothing is allocated that is larger than the file of the weights.
    """
    inside = "encoder."
    check_encoder(
        config, contract,
        {name.removeprefix(inside): s for name, s in shapes.items() if name.startswith(inside)},
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(config)
        with torch.device("meta"):
            wanted = _head(task, encoder.dim, scale).state_dict()
        found = {name: shape for name, shape in shapes.items() if not name.startswith(inside)}
        if found != {f"head.{name}": tuple(value.shape) for name, value in wanted.items()}:
            count = sum(math.prod(shape) for shape in found.values())
            msg = f"its head of {len(found)} tensors ({count:,} numbers) is not that of {TASK}"
            raise ValueError(msg)
        return TaskNetwork(encoder, _head(task, encoder.dim, scale))


def _head(task: Mapping[str, Any], dim: int, scale: Scale) -> Head:
    name, width = task["head"], task["attention_width"]
    if name not in get_args(HeadName):
        msg = f"unknown head {name!r}"
        raise ValueError(msg)
    if type(width) is not int or width < 1:
        msg = f"attention_width is {width!r}"
        raise ValueError(msg)
    return build_head(name, dim, scale.outputs, scale.kind, width=width)
