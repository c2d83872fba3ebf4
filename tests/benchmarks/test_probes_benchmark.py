"""The probe benchmark runs, and both sides agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "probes.py"


@pytest.fixture(scope="module")
def output():
    finished = subprocess.run(
        [sys.executable, BENCHMARK, "--quick", "--rounds", "1", "--dimensions", "8"],
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def rows(output):
    """Cells of both tables' rows by the first one."""
    lines = [line for line in output.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {first: rest for first, *rest in cells if rest and not first.startswith("-")}


def test_probes_of_both_sides_agree(output):
    table = rows(output)
    assert {"ridge", "logistic, newton-cholesky", "AUROC", "MAE"} <= set(table)
    limits = (
        ("ridge", 1e-9), ("ridge, 40 × 9,996", 1e-9), ("logistic, newton-cholesky", 1e-2)
    )  # fmt: skip
    for name, limit in limits:
        theirs, ours, times, same, difference = table[name]
        assert float(theirs) > 0
        assert float(ours) >= 0
        assert float(times) > 0
        assert same == "5 of 5"
        assert float(difference.removesuffix(" SD")) < limit


def test_replicates_of_both_sides_agree(output):
    for name in ("AUROC", "MAE"):
        value, theirs, _, times, difference = rows(output)[name]
        low, high = value.split("[")[1].strip("]").split(", ")
        assert float(low) < float(value.split()[0]) < float(high)
        assert float(theirs) > 0
        assert float(times) > 0
        assert float(difference) < 1e-9


def test_it_says_that_the_data_are_synthetic(output):
    assert "Synthetic: 400 records × 8 dimensions, 100 participants, 5 × 5 folds" in output
