"""Folders of small real files, as researchers keep them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from medssl.initialise import initialise
from medssl.samples import sample_path

RATE = 250


def beats(seconds: float, rate: float = RATE, *, seed: int = 0) -> np.ndarray:
    """Sharp beats every 0.8 s or so, and a little noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    interval = generator.uniform(0.7, 0.9)
    phase = np.minimum(time % interval, interval - time % interval)
    return np.exp(-((phase / 0.02) ** 2)) + generator.normal(scale=0.01, size=time.size)


@pytest.fixture
def write_wfdb() -> Callable[..., None]:
    def write(path: Path, *, seconds: float = 8, seed: int = 0, **changes: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        names = changes.pop("sig_name", ["II"])
        signal = np.stack([beats(seconds, seed=seed + k) for k in range(len(names))], axis=1)
        options: dict[str, Any] = {
            "fs": RATE,
            "units": ["mV"] * len(names),
            "sig_name": names,
            "fmt": ["16"] * len(names),
            "adc_gain": [1000.0] * len(names),
            "baseline": [0] * len(names),
        }
        wfdb.wrsamp(path.name, p_signal=signal, write_dir=str(path.parent), **(options | changes))

    return write


@pytest.fixture
def wfdb_folder(tmp_path: Path, write_wfdb: Callable[..., None]) -> Path:
    """12 people, two recordings each, in folders that say so, with age and sex."""
    folder = tmp_path / "hearts"
    for person in range(12):
        comments = [f"Age: {20 + 4 * person}", f"Sex: {'male' if person % 2 else 'female'}"]
        for visit in (1, 2):
            write_wfdb(
                folder / f"Subject_{person:02d}" / f"rec_{visit}",
                seed=10 * person + visit,
                comments=comments,
            )
    return folder


@pytest.fixture
def ppg_bp(tmp_path: Path) -> Path:
    """The sample under a name that tells nothing."""
    return Path(shutil.copytree(sample_path("ppg_bp"), tmp_path / "study"))


@pytest.fixture
def ecg_id(tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample_path("ecg_id"), tmp_path / "walks"))


@pytest.fixture
def write_csv() -> Callable[..., None]:
    def write(path: Path, columns: dict[str, Any], *, header: bool = True, mark: str = ",") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [mark.join(columns)] if header else []
        rows = zip(*columns.values(), strict=True)
        lines += [mark.join(f"{cell:.6g}" for cell in row) for row in rows]
        path.write_text("\n".join(lines) + "\n")

    return write


@pytest.fixture
def init(tmp_path: Path) -> Callable[..., str]:
    """Run and return everything said, as one text."""

    def run(folder: Path, *answers: str, **options: Any) -> str:
        output = options.pop("output", tmp_path / "out.yaml")
        return "\n".join(initialise(folder, output, answers=answers, **options))

    return run
