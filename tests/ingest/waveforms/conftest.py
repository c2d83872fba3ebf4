"""Real segments that ship with medssl, at the rates they are graded at."""

from __future__ import annotations

import numpy as np
import pytest

from medssl.ingest.waveforms.resample import resample
from medssl.samples import sample_path


@pytest.fixture(scope="package")
def raw_ppg() -> np.ndarray:
    """2.1 s of finger PPG of each participant, 1 kHz, converter counts: (participants, time)."""
    files = sorted((sample_path("ppg_bp") / "0_subject").glob("*_1.txt"))
    return np.array([np.array(file.read_text().split(), dtype=float) for file in files])


@pytest.fixture(scope="package")
def ppg(raw_ppg) -> np.ndarray:
    """The same at 64 Hz, 2 s: (participants, 1, 128)."""
    return resample(raw_ppg[:, None], from_rate=1000, to_rate=64)[..., :128]


@pytest.fixture(scope="package")
def ecg() -> np.ndarray:
    """5 s of lead I of each participant at 128 Hz: (participants, 1, 640)."""
    headers = sorted(sample_path("ecg_id").glob("*/rec_1.hea"))
    raw = [np.fromfile(h.with_suffix(".dat"), dtype="<i2").reshape(-1, 2)[:, 0] for h in headers]
    signals = resample(np.array(raw)[:, None], from_rate=500, to_rate=128)
    return signals[..., 640:1280]
