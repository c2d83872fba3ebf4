"""Waveforms: segments of a store, z-scored by segment and channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medssl.batches import Raw
from medssl.contracts import WaveformContract
from medssl.inputs.base import Inputs
from medssl.inputs.prepare_waveform import prepare, same_unit
from medssl.store import Store
from medssl.types import Modality, Rows
from medssl.views.cascade import Cascade
from medssl.views.normalise import zscore


def bare_waveforms() -> WaveformInputs:
    """Waveforms of any contract, for methods that nothing was said of."""
    contract = WaveformContract(
        modality=Modality.PPG, rate=1.0, channels=("any",), units="any", length=1
    )
    return WaveformInputs(contract)


class WaveformInputs(Inputs):
    """Segments of shape (batch, channels, time)."""

    def __init__(self, contract: WaveformContract) -> None:
        self.contract: WaveformContract = contract

    def read(self, store: Store, rows: Rows) -> Tensor:
        """Segments in their units, float32."""
        return torch.from_numpy(np.asarray(store.read(rows), dtype=np.float32))

    def plain(self, raw: Raw, device: torch.device | str = "cpu") -> Tensor:
        """Z-scored segments."""
        assert isinstance(raw, Tensor)
        return zscore(raw.to(device, non_blocking=True))

    def viewed(self, raw: Raw, views: Cascade, *, seed: int) -> Tensor:
        """Z-scored segments, then the cascade."""
        return views(self.plain(raw, raw.device if isinstance(raw, Tensor) else "cpu"), seed=seed)

    def prepare(self, data: Any, **told: Any) -> np.ndarray:
        """A recording of `rate` (Hz), `channels` and `units`, brought to the contract."""
        return prepare(self.contract, data, **told)

    def accept(self, data: Any, **told: Any) -> Tensor:
        """Whole segments of one recording of `rate` (Hz), `channels` and, if told, `units`."""
        return self._cut(data, **told)

    def _cut(
        self, data: Any, *, rate: float, channels: Sequence[str], units: str | None = None
    ) -> Tensor:
        unit = None if units is None else same_unit(units)
        self.contract.check(data, rate=rate, channels=channels, units=unit)
        return torch.from_numpy(self.contract.cut(data))
