"""Synthetic embeddings with a planted signal, and small real stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medssl.contracts import WaveformContract
from medssl.evaluation.embeddings import Embeddings
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

RATE = 64.0
LENGTH = 640


def participant_names(count: int) -> np.ndarray:
    return np.array([f"p{i:05d}" for i in range(count)])


def _planted(
    count: int = 160, dim: int = 12, records: int = 4, *, signal: float = 1.0, seed: int = 0
) -> tuple[Embeddings, pd.DataFrame]:
    """Synthetic: age is linear in the embedding plus noise, sex its sign; `noise` is unrelated."""
    rng = np.random.default_rng(seed)
    names = participant_names(count)
    means = rng.normal(size=(count, dim))
    drive = signal * means[:, 0] + rng.normal(size=count) * 0.5
    labels = pd.DataFrame(
        {
            "added": 1,
            "age": 50 + 10 * drive,
            "sex": np.where(drive + rng.normal(size=count) * 0.3 > 0, "F", "M"),
            "noise": rng.normal(size=count),
            "bmi": 25 + 3 * rng.normal(size=count),
        },
        index=pd.Index(names, name="participant"),
    )
    owners = np.repeat(names, records)
    values = np.repeat(means, records, axis=0) + 0.3 * rng.normal(size=(count * records, dim))
    # Shifted and stretched, as means of swish outputs are.
    values = values * np.geomspace(0.1, 10, dim) + 3
    found = Embeddings(
        np.array([f"r{i:06d}" for i in range(len(owners))]),
        owners,
        np.array([f"s{i % records}" for i in range(len(owners))]),
        values,
    )
    return found, labels


def _alternate(names: np.ndarray) -> dict[str, str]:
    """Six of ten participants in train, two in validation, two in test."""
    pattern = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    return {name: pattern[i % 10] for i, name in enumerate(names.tolist())}


@pytest.fixture(scope="session")
def planted() -> Callable[..., tuple[Embeddings, pd.DataFrame]]:
    return _planted


@pytest.fixture(scope="session")
def alternate() -> Callable[[np.ndarray], dict[str, str]]:
    return _alternate


@pytest.fixture(scope="session")
def pulse() -> Callable[..., np.ndarray]:
    return _pulse


@pytest.fixture(scope="session")
def record() -> Callable[..., Record]:
    return _record


@pytest.fixture
def contract() -> WaveformContract:
    return WaveformContract(
        modality=Modality.PPG, rate=RATE, channels=("PLETH",), units="counts", length=LENGTH
    )


def _pulse(
    rate_bpm: float, *, rate: float = RATE, length: int = LENGTH, seed: int = 0
) -> np.ndarray:
    """Synthetic pulse wave of a known heart rate."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * rate_bpm / 60 * np.arange(length) / rate + rng.uniform(0, 2 * np.pi)
    wave = np.exp(3 * (np.cos(phase) - 1)) + 0.02 * rng.normal(size=length)
    return (1000 * wave)[None].astype(np.float32)


def _record(
    participant: str, number: int, data: np.ndarray, *, rate: float = RATE, units: str = "counts"
) -> Record:
    return Record(
        participant=ParticipantId(participant),
        session="s1",
        recording=f"{participant}-{number}",
        modality=Modality.PPG,
        data=data,
        source_digest=f"{participant}{number}",
        rate=rate,
        channels=("PLETH",),
        units=units,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Eight participants with three segments each; participant i has 60 + 6 i beats per minute."""
    names = participant_names(8)
    records = [
        _record(name, k, _pulse(60 + 6 * i, seed=10 * i + k))
        for i, name in enumerate(names.tolist())
        for k in range(3)
    ]
    labels = pd.DataFrame({"age": 20.0 + 5 * np.arange(8)}, index=pd.Index(names))
    return write_store(tmp_path / "store", records, participants=labels)
