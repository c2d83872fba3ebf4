"""A trained encoder that refuses what breaks its contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from medssl.bundle.prepare import prepare, same_unit
from medssl.errors import ContractError
from medssl.records import Contract
from medssl.types import EmbeddingArray, Segments
from medssl.views.normalise import zscore


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

    def prepare(
        self, signal: Any, *, rate: float, channels: Sequence[str], units: str
    ) -> Float32[np.ndarray, "channels time"]:
        """Bring a raw recording to the contract, by the functions that ingest uses.

        Channels are selected by name and ordered, units converted where that is exact, the
        contract's filter and resampling applied. What comes out goes into `embed` with the
        contract's `rate` and `channels`.

        Args:
            signal: Waveform of shape (channels, time) as recorded, without gaps.
            rate: Its samples per second (Hz).
            channels: Its channel names, in order; more than the contract has are no harm.
            units: Its unit, such as `"V"`.

        Raises:
            ContractError: It cannot be brought to the contract; says why and what to do.
        """
        return prepare(self.contract, signal, rate=rate, channels=channels, units=units)

    def embed(
        self, array: Any, *, rate: float, channels: Sequence[str], units: str | None = None
    ) -> EmbeddingArray:
        """Embed one recording, cut into segments as the contract says.

        Args:
            array: Waveform of shape (channels, time) in the contract's units.
            rate: Its samples per second (Hz).
            channels: Its channel names, in order.
            units: Its unit, to be checked; None trusts that it is the contract's.

        Returns:
            One row per whole segment, shape (segments, dim); a shorter tail is not embedded.

        Raises:
            ContractError: The recording breaks the contract; the message says how to mend it.
        """
        unit = None if units is None else same_unit(units)
        self.contract.check(array, rate=rate, channels=channels, units=unit)
        return self.embed_segments(self.contract.cut(array))

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
