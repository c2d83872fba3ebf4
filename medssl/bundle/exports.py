"""A bundle for runtimes without medssl: ONNX or torch.export, refused unless outputs are equal."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from medssl.bundle.card import ExportFacts
from medssl.bundle.encoder import Encoder
from medssl.bundle.loading import load_encoder
from medssl.bundle.verification import bundle_digest
from medssl.contracts import Contract, ImageContract, WaveformContract
from medssl.errors import StageError, require
from medssl.files import replacing, write_json
from medssl.types import EmbeddingArray, Segments
from medssl.views.normalise import zscore

Format = Literal["onnx", "torch"]
SUFFIXES: Final[dict[Format, str]] = {"onnx": ".onnx", "torch": ".pt2"}
OPSET: Final = 18
RELATIVE_TOLERANCE: Final = 1e-4
"""Of the largest absolute value in the encoder's embeddings."""
ABSOLUTE_TOLERANCE: Final = 1e-6
INPUT: Final = "segments"
"""Name of the argument of `RawEncoder.forward`, and of the input of an ONNX file of waveforms."""
IMAGES: Final = "images"
"""Name of the input of an ONNX file of images."""
OUTPUT: Final = "embeddings"

_BATCHES: Final = (1, 3)
_NODE_NOTES: Final = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
_PROTOBUF_LIMIT: Final = 2_000_000_000
_BATCH: Final = "batch"

Runner = Callable[[Segments], EmbeddingArray]
"""Runs an export on segments of shape (batch, channels, time)."""


@dataclass(frozen=True)
class Written:
    """An export in memory, and how to run it."""

    content: bytes
    run: Runner
    opset: int | None
    written_with: str
    checked_with: str


class RawEncoder(nn.Module):
    """The encoder with its normalisation.

    Raw segments in the contract's units go in, shape (batch, channels, time); or grey images in
    [0, 1], shape (batch, 1, size, size).
    """

    def __init__(self, encoder: nn.Module, contract: Contract) -> None:
        super().__init__()
        self.encoder = encoder
        self.grey = contract if isinstance(contract, ImageContract) else None

    def forward(self, segments: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch dim"]:
        """Normalise and embed."""
        if self.grey is None:
            normalised = zscore(segments)
        else:
            normalised = (segments - self.grey.mean) / self.grey.deviation
        embeddings: Tensor = self.encoder(normalised).float()
        return embeddings


def input_shape(contract: Contract) -> tuple[int, ...]:
    """Shape of one input of an export.

    Raises:
        StageError: Encoders of this kind cannot be exported.
    """
    if isinstance(contract, WaveformContract):
        return (len(contract.channels), contract.length)
    if isinstance(contract, ImageContract):
        return (1, contract.size, contract.size)
    msg = (
        f"encoders of {contract.modality} records cannot be exported: their tokens or cells are "
        "made by medssl; use medssl.load_encoder"
    )
    raise StageError(msg)


def input_name(contract: Contract) -> str:
    """What the input of an ONNX file is called."""
    return IMAGES if isinstance(contract, ImageContract) else INPUT


def export_bundle(path: str | Path, to: Format, output: str | Path | None = None) -> Path:
    """Write a bundle's encoder for another runtime, with a JSON file of facts beside it.

    The bundle itself stays as it is. The batch dimension is free; channels and time are the
    contract's.

    Args:
        path: The bundle folder.
        to: `"onnx"` (needs the extra `onnx`) or `"torch"` (a `.pt2` file of `torch.export`).
        output: The file to write; by default beside the bundle, called after it.

    Returns:
        The file.

    Raises:
        StoreError: The bundle is damaged.
        StageError: The export cannot be made, or gives other embeddings than the encoder.
    """
    folder = Path(path).resolve()
    target = Path(output) if output else folder.with_name(folder.name + SUFFIXES[to])
    if target.is_dir():
        file = target / f"{folder.name}{SUFFIXES[to]}"
        msg = f"{target} is a folder: name the file to write, such as {file}"
        raise StageError(msg)
    encoder = load_encoder(folder, device="cpu")
    facts = export_encoder(encoder, to, target)
    write_json(
        target.with_name(target.name + ".json"),
        {
            **facts.model_dump(mode="json"),
            "bundle_digest": bundle_digest(folder),
            "weights_digest": encoder.digest,
            "contract": encoder.contract.model_dump(mode="json"),
        },
    )
    return target


def export_encoder(encoder: Encoder, to: Format, target: Path) -> ExportFacts:
    """Export an encoder, compare its outputs, and only then write the file.

    Args:
        encoder: An encoder on the CPU.
        to: `"onnx"` or `"torch"`.
        target: The file to write.

    Raises:
        StageError: The export cannot be made, or gives other embeddings than the encoder.
    """
    write = {"onnx": _write_onnx, "torch": _write_torch}[to]
    written = write(encoder)
    checked, difference = check_equal(encoder, written.run, what=f"the {to} export")
    with replacing(target) as temporary:
        temporary.write_bytes(written.content)
    return ExportFacts(
        file=target.name, format=to, sha256=hashlib.sha256(written.content).hexdigest(),
        opset=written.opset, written_with=written.written_with, checked_with=written.checked_with,
        segments_checked=checked, max_difference=difference,
        relative_tolerance=RELATIVE_TOLERANCE, absolute_tolerance=ABSOLUTE_TOLERANCE,
    )  # fmt: skip


def check_equal(encoder: Encoder, run: Runner, *, what: str) -> tuple[int, float]:
    """Compare an export with its encoder on `example_batches`.

    Equal means |difference| ≤ 1e-6 + 1e-4 · max |embedding| for every value.

    Args:
        encoder: The encoder.
        run: Runs the export.
        what: What the message calls it.

    Returns:
        How many segments were compared, and the largest absolute difference.

    Raises:
        StageError: The outputs differ, or have another shape.
    """
    checked, largest = 0, 0.0
    reference = RawEncoder(encoder.module, encoder.contract)
    for segments in example_batches(encoder.contract):
        with torch.inference_mode():
            expected = reference(torch.from_numpy(segments).to(encoder.device)).cpu().numpy()
        got = run(segments)
        if got.shape != expected.shape:
            msg = f"{what} gives shape {got.shape} instead of {expected.shape}: it is not written"
            raise StageError(msg)
        difference = float(np.abs(got - expected).max())
        allowed = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * float(np.abs(expected).max())
        if not difference <= allowed:  # NaN is not equal either
            msg = (
                f"{what} differs from the encoder by {difference:.2g} where {allowed:.2g} is "
                "allowed: it is not written; the encoder does something that cannot be exported"
            )
            raise StageError(msg)
        checked, largest = checked + len(segments), max(largest, difference)
    return checked, largest


def example_batches(contract: Contract) -> Iterator[Segments]:
    """Inputs to compare on: noise of several scales and offsets, a constant one; one or three.

    Images stay between black and white.
    """
    generator = np.random.default_rng(0)
    shape = input_shape(contract)
    grey = isinstance(contract, ImageContract)
    scales = ((0.3, 0.5), (1e-3, 0.5), (0.05, 0.1)) if grey else (
        (1.0, 0.0), (1e-3, 0.0), (300.0, 2048.0)
    )  # fmt: skip
    for size in _BATCHES:
        for scale, offset in scales:
            noise = (generator.normal(size=(size, *shape)) * scale + offset).astype(np.float32)
            yield noise.clip(0, 1) if grey else noise
        constant = np.full((size, *shape), 0.0 if grey else 5.0, dtype=np.float32)
        constant[1:, :, ::2] += 1.0  # beside neighbours that are not constant
        yield constant


def _traced(encoder: Encoder) -> Any:
    """The exported program: any batch size, without notes of where its source code stands."""
    contract = encoder.contract
    example = torch.zeros(2, *input_shape(contract))
    module = RawEncoder(encoder.module, contract).eval()
    try:
        with torch.no_grad():
            program = torch.export.export(
                module, (example,), dynamic_shapes={INPUT: {0: torch.export.Dim(_BATCH, min=1)}}
            )
    except Exception as error:  # whatever the tracer trips over
        msg = f"torch.export cannot trace this encoder: {_first_line(error)}"
        raise StageError(msg) from error
    for graph in program.graph_module.modules():
        for node in graph.graph.nodes if isinstance(graph, torch.fx.GraphModule) else ():
            for note in _NODE_NOTES:
                node.meta.pop(note, None)
    program.example_inputs = None  # would be pickled into the file
    return program


def _write_torch(encoder: Encoder) -> Written:
    buffer = io.BytesIO()
    torch.export.save(_traced(encoder), buffer)
    content = buffer.getvalue()
    # These bytes were made two lines above: the one occasion on which medssl loads such a file.
    module = torch.export.load(io.BytesIO(content)).module()

    def run(segments: Segments) -> EmbeddingArray:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(segments)).numpy())

    version = f"torch {torch.__version__}"
    return Written(content, run, None, version, version)


def _write_onnx(encoder: Encoder) -> Written:
    require("onnxscript", extra="onnx", purpose="exporting to ONNX")
    onnx = require("onnx", extra="onnx", purpose="exporting to ONNX")
    runtime = require("onnxruntime", extra="onnx", purpose="checking an ONNX export")
    program, name = _traced(encoder), input_name(encoder.contract)
    try:
        with _quiet("torch.onnx", "onnxscript"):
            made = torch.onnx.export(
                program, input_names=[name], output_names=[OUTPUT], opset_version=OPSET,
                dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
        assert made is not None
        model = made.model_proto
    except Exception as error:  # whatever the exporter trips over
        msg = f"torch.onnx cannot export this encoder: {_first_line(error)}"
        raise StageError(msg) from error
    if model.ByteSize() > _PROTOBUF_LIMIT:
        msg = "the encoder is larger than an ONNX file can be (2 GB): export it with --to torch"
        raise StageError(msg)
    _describe(onnx, model, encoder)
    content = model.SerializeToString(deterministic=True)
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(segments: Segments) -> EmbeddingArray:
        return np.asarray(session.run([OUTPUT], {name: segments})[0])

    written = f"torch {torch.__version__}, onnx {onnx.__version__}"
    return Written(content, run, OPSET, written, f"onnxruntime {runtime.__version__}")


def _describe(onnx: Any, model: Any, encoder: Encoder) -> None:
    """Name the free dimension, and let the file carry its contract; drop notes of the exporter."""
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = _BATCH
    for node in graph.node:
        del node.metadata_props[:]
    contract = json.dumps(encoder.contract.model_dump(mode="json"), sort_keys=True)
    onnx.helper.set_model_props(
        model, {"medssl.contract": contract, "medssl.weights_digest": encoder.digest}
    )
    onnx.checker.check_model(model)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """The exporter tells of every optimisation; nobody has asked."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
