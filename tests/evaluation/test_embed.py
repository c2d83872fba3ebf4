from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medssl.bundle import Encoder
from medssl.contracts import WaveformContract
from medssl.errors import ContractError, StageError
from medssl.evaluation.embed import COLLAPSE, embed_store
from medssl.records import Record
from medssl.store import Store, write_store


class Moments(nn.Module):
    """A tiny module whose output depends on every sample."""

    dim = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.abs().mean((1, 2)), (x**3).mean((1, 2)), x[:, 0, 5]], dim=1)


class Fixed(nn.Module):
    dim = 2

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def encoder(contract: WaveformContract, module: nn.Module | None = None) -> Encoder:
    return Encoder(module or Moments(), contract, digest="0", device="cpu")


def test_batches_equal_one_record_at_a_time(store: Store, contract: WaveformContract) -> None:
    rows = store.rows()[::-1]
    seen: list[tuple[int, int]] = []
    found = embed_store(
        encoder(contract), store, rows, batch_size=7, progress=lambda *a: seen.append(a)
    )
    for i, row in enumerate(rows):
        single = encoder(contract).embed(store.read_record(row), rate=64.0, channels=["PLETH"])
        np.testing.assert_allclose(found.values[i], single[0], rtol=1e-5)
    assert found.records.tolist() == store.column("record", rows).tolist()
    assert found.participants.tolist() == store.column("participant", rows).tolist()
    assert seen == [(7, 24), (14, 24), (21, 24), (24, 24)]
    assert found.metadata["store"] == store.digest
    assert COLLAPSE not in found.metadata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 128.0}, "rate 64 instead of 128"),
        ({"units": "mV"}, "units counts instead of mV"),
        ({"length": 320}, "length 640 instead of 320"),
        ({"channels": ("A",)}, r"channels \[PLETH\] instead of \[A\]"),
        ({"modality": "ecg"}, "hold ppg and this encoder expects ecg"),
    ],
)
def test_records_that_break_the_contract_are_refused(
    store: Store, contract: WaveformContract, change: dict[str, object], message: str
) -> None:
    other = WaveformContract.model_validate(contract.model_dump() | change)
    with pytest.raises(ContractError, match=message):
        embed_store(encoder(other), store, store.rows())


def test_every_difference_is_named(store: Store, contract: WaveformContract) -> None:
    other = contract.model_copy(update={"rate": 128.0, "units": "mV"})
    with pytest.raises(ContractError, match="rate 64 instead of 128; units counts instead of mV"):
        embed_store(encoder(other), store, store.rows())


def test_nothing_to_embed_is_an_error(store: Store, contract: WaveformContract) -> None:
    with pytest.raises(StageError, match="no record is left"):
        embed_store(encoder(contract), store, store.rows()[:0])


def test_broken_input_names_the_record(
    tmp_path: Path,
    contract: WaveformContract,
    pulse: Callable[..., np.ndarray],
    record: Callable[..., Record],
) -> None:
    hole = pulse(60)
    hole[0, 3] = np.nan
    broken = write_store(tmp_path / "s", [record("p1", 0, pulse(70)), record("p2", 0, hole)])
    name = broken.column("record")[broken.rows(participants=["p2"])][0]
    with pytest.raises(StageError, match=f"1 record.*NaN.*{name}"):
        embed_store(encoder(contract), broken, broken.rows())


def test_broken_output_names_the_stage(store: Store, contract: WaveformContract) -> None:
    module = Fixed(lambda x: torch.full((len(x), 2), torch.inf))
    with pytest.raises((ContractError, StageError), match=r"^embed: .*not finite"):
        embed_store(encoder(contract, module), store, store.rows())


def test_collapse_is_kept_and_logged(
    store: Store, contract: WaveformContract, caplog: pytest.LogCaptureFixture
) -> None:
    module = Fixed(lambda x: torch.ones(len(x), 2))
    with caplog.at_level(logging.WARNING):
        found = embed_store(encoder(contract, module), store, store.rows())
    assert "collapsed" in found.metadata[COLLAPSE]
    assert "collapsed" in caplog.text


def test_dead_dimension_is_kept(store: Store, contract: WaveformContract) -> None:
    module = Fixed(lambda x: torch.stack([x.abs().mean((1, 2)), torch.ones(len(x))], dim=1))
    found = embed_store(encoder(contract, module), store, store.rows())
    assert found.metadata[COLLAPSE].startswith("1 of 2")
