"""Both benchmarks run, and the numbers in their tables hang together."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PEERS = {"zarr": "Zarr 64", "litdata": "LitData arrays", "datasets": "HF datasets, numpy"}
LINES = {"zarr": "Zarr 64", "litdata": "LitData arrays", "datasets": "HF datasets"}
SEGMENTS = 400
SMALL = ("--quick", "--rounds", "2", "--batch-size", "32")
TINY = (*SMALL, "--segments", str(SEGMENTS), "--participants", "60")


def run(name, *options, hide=None, check=True):
    """A benchmark's output; the folder `hide` comes first among those with packages."""
    paths = [str(hide)] if hide else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, BENCHMARKS / name, *options],
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=200,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    if check:
        assert finished.returncode == 0, finished.stderr
        return finished.stdout
    return finished


def rows(output):
    """Cells of the table's rows by the first one."""
    lines = [line for line in output.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    return {first: rest for first, *rest in cells}


def number(text):
    return float(text.replace(",", ""))


def load_module(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_peers(tmp_path):
    """A folder that makes the peers look as if they were not installed."""
    for name in PEERS:
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})")
    return tmp_path


def check_table(table, *, segments, length):
    ours = number(table["medssl store"][3])
    for seconds, megabytes, files, median, spread, times in table.values():
        low, high = (number(part) for part in spread.split("–"))
        assert number(seconds) >= 0
        assert number(megabytes) * 1e6 >= segments * length * 4 * 0.99
        assert number(files) >= 1
        assert 0 < low <= number(median) <= high
        assert number(times) == pytest.approx(ours / number(median), rel=0.01, abs=0.006)
    assert number(table["npy files, raw"][2]) == segments
    assert number(table["medssl store"][5]) == 1


def test_loader_compares_with_the_peers_that_are_installed():
    output = run("loader.py", *TINY)
    table = rows(output)
    check_table(table, segments=SEGMENTS, length=1280)
    assert "same bits in all 3 batches" in " ".join(output.split())
    for package, row in PEERS.items():
        installed = importlib.util.find_spec(package) is not None
        assert (row in table) is installed
        assert (f"skipped: {LINES[package]} needs {package}" in output) is not installed


def test_loader_names_the_extra_for_peers_that_are_missing(no_peers):
    output = run("loader.py", *TINY, hide=no_peers)
    table = rows(output)
    check_table(table, segments=SEGMENTS, length=1280)
    assert set(table) == {
        "medssl store", "npy files, np.load", "npy files, raw", "one array (ceiling)",
    }  # fmt: skip
    for package, label in LINES.items():
        assert f"skipped: {label} needs {package}: pip install 'medssl[bench]'" in output


def test_loader_takes_the_segments_of_a_store(no_peers, ppg_store_path):
    output = run("loader.py", *SMALL, "--from-store", str(ppg_store_path), hide=no_peers)
    assert "393 segments of 1×64, 131 participants" in " ".join(output.split())
    check_table(rows(output), segments=393, length=64)


def test_loader_says_in_one_line_that_there_is_no_store(tmp_path):
    finished = run("loader.py", "--from-store", str(tmp_path / "none"), check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: ")
    assert finished.stderr.count("\n") == 1


def test_loader_refuses_a_layout_that_returns_other_bits():
    loader = load_module("loader")
    data = loader.make_data(64, 8, samples=4)
    batches = loader.draw_batches(data, batch_size=4, batches=3)
    loader.check_identical("right", data.values.__getitem__, batches, data)
    for name, read in (
        ("shifted", lambda rows: data.values[(rows + 1) % 64]),
        ("wider", lambda rows: data.values[rows].astype(np.float64)),
        ("one bit off", lambda rows: np.nextafter(data.values[rows], np.float32(9))),
        ("flat", lambda rows: data.values[rows][:, 0]),
    ):
        with pytest.raises(RuntimeError, match=f"{name} returned other segments"):
            loader.check_identical(name, read, batches, data)


def test_loader_draws_pairs_of_one_participant_from_skewed_counts():
    loader = load_module("loader")
    data = loader.make_data(2000, 200, samples=4)
    counts = np.unique(data.participants, return_counts=True)[1]
    assert counts.sum() == 2000
    assert len(counts) == 200
    assert np.median(counts) < counts.mean() < counts.max() / 3
    batches = loader.draw_batches(data, batch_size=64, batches=5)
    assert len(batches) == 5
    for rows_of_batch in batches:
        first, second = np.split(rows_of_batch, 2)
        assert (data.participants[first] == data.participants[second]).all()
        assert (first != second).all()


def test_augment_prints_consistent_rates():
    table = rows(run("augment.py", "--quick", "--threads", "1"))
    assert set(table) == {"4 × 3840", "1 × 128", "1 × 640", "1 × 1280"}
    for threads, theirs, ours, times in table.values():
        assert threads == "1"
        assert number(theirs) > 0
        assert number(times) == pytest.approx(number(ours) / number(theirs), abs=0.06)
