"""A trained encoder that refuses what breaks its contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from medssl.batches import Raw, count, take
from medssl.contracts import Contract
from medssl.errors import ContractError
from medssl.inputs import Inputs, make_inputs
from medssl.text.tokenizer import Tokenizer
from medssl.types import EmbeddingArray, Segments


class Encoder:
    """A trained encoder that refuses what breaks its contract.

    Args:
        module: Maps normalised inputs to (batch, dim); used in evaluation mode.
        contract: What it expects of its input.
        digest: Digest of the weights.
        device: Where it runs; by default a GPU when there is one.
        tokenizer: Of a text encoder.
    """

    def __init__(
        self,
        module: nn.Module,
        contract: Contract,
        *,
        digest: str,
        device: str | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.module = module.to(self.device).eval()
        self.inputs: Inputs = make_inputs(contract, tokenizer)
        self.digest = digest

    @property
    def contract(self) -> Contract:
        """What it expects of its input."""
        contract: Contract = self.inputs.contract
        return contract

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.module.dim)  # type: ignore[arg-type]

    def prepare(self, data: Any, **told: Any) -> Any:
        """Bring a raw input to the contract, by the functions that ingest uses.

        - Waveforms: `prepare(signal, rate=…, channels=…, units=…)` with a recording of shape
          (channels, time) without gaps. Channels are selected by name and ordered, units converted
          where that is exact, the contract's filter and resampling applied.
        - Images: `prepare(path)` of a DICOM, PNG, JPEG or TIFF file, or `prepare(pixels)` of grey
          values in [0, 1] as displayed, shape (rows, columns).
        - Texts: `prepare(text)`, or a list of them.
        - Rows of a table: `prepare(frame)`.

        What comes out goes into `embed`.

        Raises:
            ContractError: It cannot be brought to the contract; says why and what to do.
        """
        return self.inputs.prepare(data, **told)

    def embed(self, data: Any, **told: Any) -> EmbeddingArray:
        """Embed inputs that keep the contract.

        - Waveforms: `embed(signal, rate=…, channels=…, units=…)` embeds one recording, cut into
          segments; one row per whole segment, and a shorter tail is not embedded.
        - Images: `embed(image)` or `embed([image, …])`, as `prepare` gives them; one row each.
        - Texts: `embed(text)` or `embed([text, …])`; one row each.
        - Rows of a table: `embed(frame)`; one row each.

        Returns:
            Shape (rows, dim).

        Raises:
            ContractError: The input breaks the contract; the message says how to mend it.
        """
        return self.embed_raw(self.inputs.accept(data, **told))

    def embed_segments(self, segments: Segments, *, batch_size: int = 256) -> EmbeddingArray:
        """Embed segments that already keep the contract, shape (n, channels, time).

        Raises:
            ContractError: The encoder gave a value that is not finite.
        """
        return self.embed_raw(torch.from_numpy(segments), batch_size=batch_size)

    def embed_raw(self, raw: Raw, *, batch_size: int = 256) -> EmbeddingArray:
        """Embed records as a store holds them, which keep the contract.

        Raises:
            ContractError: The encoder gave a value that is not finite.
        """
        total = count(raw)
        outputs = np.empty((total, self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, total, batch_size):
                piece = take(raw, start, min(start + batch_size, total))
                found = self.module(self.inputs.plain(piece, self.device))
                outputs[start : start + len(found)] = found.float().cpu()
        bad = int(np.count_nonzero(~np.isfinite(outputs).all(axis=1)))
        if bad:
            msg = (
                f"{bad} of {total} {self.contract.noun.split(' of ')[0]} gave embeddings that are "
                "not finite: check the input's units and the bundle's training log"
            )
            raise ContractError(msg)
        return outputs
