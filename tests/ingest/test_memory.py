from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("memory_worker.py")


def measure(folder, configs, *, block_bytes=None):
    """Peaks and records of ingests in a process of their own; the first one warms it up.

    In the process of the tests, whatever other threads allocate meanwhile would be counted too.
    """
    task = {"folder": str(folder), "configs": configs, "block_bytes": block_bytes}
    ended = subprocess.run(
        [sys.executable, str(WORKER)], input=json.dumps(task), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    return found["peaks"], found["records"]


def test_memory_does_not_grow_with_the_signals_of_many_files(tmp_path, text_config):
    first = tmp_path / "first.txt"
    first.write_text("\n".join(str(number % 97) for number in range(4000)))
    counts, configs = (20, 100, 1000), []
    for count in counts:
        folder = tmp_path / f"raw{count}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number % 50}_{number}.txt").hardlink_to(first)
        config = text_config(
            folder, layout="columns", files_per_task=20, rate=100, segment_seconds=40
        )
        configs.append(config.model_dump(mode="json"))
    peaks, records = measure(tmp_path, configs)
    assert records == list(counts)
    # A file holds 16 kB of samples; its path, digests and index row take far less.
    assert (peaks[2] - peaks[1]) / 900 < 4_000


def write_long(folder, minutes):
    """A recording of one lead at 500 Hz, 16 bits, with a gap."""
    folder.mkdir()
    samples = minutes * 60 * 500
    signal = (1000 * np.sin(np.arange(samples) / 50)).astype("<i2")
    signal[samples // 2 + 5_000 : samples // 2 + 5_100] = -(2**15)
    signal.tofile(folder / "p1_a.dat")
    header = f"p1_a 1 500 {samples}\np1_a.dat 16 1000/mV 16 0 0 0 0 I\n"
    (folder / "p1_a.hea").write_text(header)


@pytest.mark.parametrize("filter", [None, {"low": 0.5, "high": 40}])
def test_memory_does_not_grow_with_the_length_of_a_recording(tmp_path, wfdb_config, filter):
    lengths, configs = (5, 40, 160), []
    for minutes in lengths:
        write_long(tmp_path / f"raw{minutes}", minutes)
        config = wfdb_config(
            tmp_path / f"raw{minutes}", rate=128, segment_seconds=30, filter=filter,
            checksums="ignore",
        )  # fmt: skip
        configs.append(config.model_dump(mode="json"))
    peaks, records = measure(tmp_path, configs, block_bytes=1_000_000)
    assert records == [2 * minutes - 1 for minutes in lengths]
    # As float64, 40 minutes are 10 MB, and 160 minutes 38 MB. Index rows take about 2 kB each.
    assert peaks[2] - peaks[1] < 700_000
    assert peaks[2] < 30_000_000
