"""What every kind of input promises: read from a store, normalised, seen through views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medssl.batches import ModelInput, Raw
from medssl.contracts import Contract
from medssl.store import Store
from medssl.types import Rows


class Inputs(ABC):
    """How records of one kind become what an encoder takes.

    The one place that normalises: training, embedding, fine-tuning and exports all pass here.

    Args:
        contract: What the encoder expects.
    """

    contract: Contract

    @abstractmethod
    def read(self, store: Store, rows: Rows) -> Raw:
        """Records as they stand in a store, on the CPU."""

    @abstractmethod
    def plain(self, raw: Raw, device: torch.device | str = "cpu") -> ModelInput:
        """What the encoder takes, without any stochastic view."""

    @abstractmethod
    def viewed(self, raw: Raw, views: Any, *, seed: int) -> ModelInput:
        """What the encoder takes, seen through views drawn from a seed, on the device of `raw`."""

    @abstractmethod
    def prepare(self, data: Any, **told: Any) -> Any:
        """A raw input brought to the contract, by the functions that ingest uses.

        Raises:
            ContractError: It cannot be brought to the contract; says why and what to do.
        """

    @abstractmethod
    def accept(self, data: Any, **told: Any) -> Raw:
        """Prepared inputs as records would stand in a store.

        Raises:
            ContractError: They break the contract; the message says how to mend them.
        """

    def usable(self, store: Store, rows: Rows) -> Rows:
        """Those rows that can be read by the contract; all, unless a kind says otherwise."""
        return rows

    def broken(self, raw: Raw) -> np.ndarray:
        """Which records hold values that are not finite, shape (batch,)."""
        if not isinstance(raw, Tensor):
            return np.zeros(len(raw[0]) if isinstance(raw, tuple) else len(raw), dtype=bool)
        return (~torch.isfinite(raw)).flatten(1).any(dim=1).cpu().numpy()
