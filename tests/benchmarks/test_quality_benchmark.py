"""The quality benchmark runs on recordings in the layout of the challenge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import wfdb

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality.py"


def test_beats_and_noise_are_told_apart(tmp_path):
    time = np.arange(3000) / 300
    phase = np.minimum(time % 0.8, 0.8 - time % 0.8)
    generator = np.random.default_rng(0)
    rhythms = []
    for number in range(6):
        noisy = number % 2 == 1
        noise = generator.normal(scale=1.0 if noisy else 0.01, size=time.size)
        signal = (not noisy) * np.exp(-((phase / 0.02) ** 2)) + noise
        name = f"A{number:05d}"
        wfdb.wrsamp(
            name, fs=300, units=["mV"], sig_name=["ECG"], p_signal=signal[:, None], fmt=["16"],
            write_dir=str(tmp_path),
        )  # fmt: skip
        rhythms.append(f"{name},{'~' if noisy else 'N'}")
    (tmp_path / "REFERENCE.csv").write_text("\n".join(rhythms) + "\n")
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "6 segments of 6 records, 3 of them noisy" in done.stdout
    lines = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if "│" in line}
    for name in ("quality", "template", "kurtosis"):
        assert lines[name].count("1.000") == 2
    assert lines["missing"].count("0.500") == 2
