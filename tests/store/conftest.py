"""Records to store, and real child processes to store them in."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from medssl.records import Record
from medssl.store import ShardWriter, Store, append
from medssl.store.schema import LEDGER_SCHEMA
from medssl.types import Modality


def _segment(participant: str, data: np.ndarray, **changes: object) -> Record:
    fields = {
        "session": "s1",
        "recording": "finger",
        "modality": Modality.PPG,
        "source_digest": "0" * 32,
        "rate": 64.0,
        "channels": tuple(f"c{i}" for i in range(data.shape[0])),
        "units": "mV",
        "source": "clinic",
    }
    return Record(participant=participant, data=data, **(fields | changes))


@pytest.fixture(scope="session")
def segment() -> Callable[..., Record]:
    return _segment


@pytest.fixture(scope="session")
def recording() -> Callable[..., list[Record]]:
    """Segments of one recording, with values that differ between participants and positions."""

    def make(participant: str, count: int = 3, length: int = 32, **changes: object) -> list[Record]:
        seed = sum(map(ord, participant)) + sum(map(ord, str(changes)))
        values = np.random.default_rng(seed).normal(size=(count, 1, length)).astype(np.float32)
        return [_segment(participant, v, start=float(i), **changes) for i, v in enumerate(values)]

    return make


@pytest.fixture(scope="session")
def other() -> Callable[..., Record]:
    """A record that is no waveform."""

    def make(participant: str, data: np.ndarray | str, **changes: object) -> Record:
        if isinstance(data, str):
            modality = Modality.REPORT
        else:
            modality = Modality.RADIOGRAPH if data.ndim == 2 else Modality.VOLUME
        fields = {"session": "s1", "recording": "scan", "modality": modality}
        return Record(
            participant=participant, data=data, source_digest="1" * 32, **(fields | changes)
        )

    return make


@pytest.fixture(scope="session")
def stage() -> Callable[..., pa.Table]:
    """Write recordings to a staging folder; gives their rows."""

    def write(staging: Path, recordings: list[list[Record]], name: str = "b") -> pa.Table:
        with ShardWriter(staging, name, max_bytes=1 << 20) as writer:
            for records in recordings:
                writer.add(records)
            return writer.close()

    return write


@pytest.fixture(scope="session")
def add() -> Callable[..., Store]:
    """Append rows with no labels and no ledger."""

    def run(path: Path, staging: Path, records: pa.Table, **changes: object) -> Store:
        fields = {
            "participants": pa.table({"participant": pa.array([], pa.string())}),
            "ledger": LEDGER_SCHEMA.empty_table(),
        }
        return append(path, staging=staging, records=records, **(fields | changes))

    return run


@pytest.fixture(scope="session")
def in_child() -> Callable[[Callable[[], str]], tuple[int, str]]:
    """Run a function in a forked process; gives its wait status and what it returned."""

    def run(work: Callable[[], str]) -> tuple[int, str]:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                text = work()
            except BaseException:
                text = traceback.format_exc()
            os.write(writer, text.encode()[:60_000])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read().decode()
        return os.waitpid(child, 0)[1], text

    return run
