"""Participant-level against segment-level pairs: the demo's recipe over several seeds, one table.

`python benchmarks/pairs.py [--seeds 5] [--steps 300] [--root FOLDER]` runs the demo pipeline with
each kind of positive pair and each seed (weights, views, pairs), on the same split, and prints
effective rank and probe scores of participants that no encoder was trained on, each beside encoders
with random weights. Nothing is chosen by these scores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import medssl

DEMO = Path(__file__).parent.parent / "pipelines" / "demo.yaml"
SCORES = (("age", "r2"), ("age over 50", "auroc"), ("sex", "auroc"))


def run(level: str, seed: int, steps: int, root: Path) -> dict[str, float]:
    """Encoder minus untrained encoder, and the encoder's own scores."""
    done = medssl.run_pipeline(
        DEMO, f"root={root}", f"seed={seed}", f"pretrain.steps={steps}",
        f"pretrain.pairs.level={level}", "tracking.enabled=false",
    )  # fmt: skip
    folders = {step.stage: step.folder for step in done}
    embed = json.loads((folders["embed"] / "manifest.json").read_text())["summary"]
    probes = json.loads((folders["probe"] / "probes.json").read_text())
    found = {"effective rank, gain": embed["effective_rank_gain"]["value"]}
    for target, metric in SCORES:
        name = f"{target}, {metric.upper()}"
        for row in probes["rows"]:
            if (row["target"], row["metric"]) == (target, metric):
                found.setdefault(name, row["value"])  # the encoder's row comes first
        for row in probes["differences"]:
            if (row["target"], row["metric"], row["baseline"]) == (
                target, metric, "untrained encoder",
            ):  # fmt: skip
                found[f"{name}, gain"] = row["value"]
    return found


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp(prefix="medssl-pairs-"))
    results = {
        level: [run(level, seed, options.steps, root) for seed in range(options.seeds)]
        for level in ("participant", "segment")
    }
    table = Table(
        "score", *(f"{level} pairs" for level in results), "participant − segment", box=None,
        title=f"Mean over {options.seeds} seeds (least to greatest), {options.steps} steps; "
        "gain: minus untrained encoders",
    )  # fmt: skip
    for name in results["participant"][0]:
        values = {level: np.array([r[name] for r in found]) for level, found in results.items()}
        cells = [f"{v.mean():+.3f} ({v.min():+.3f} to {v.max():+.3f})" for v in values.values()]
        gap = values["participant"] - values["segment"]
        ahead = f"{gap.mean():+.3f}, ahead in {int((gap > 0).sum())} of {len(gap)} seeds"
        table.add_row(name, *cells, ahead)
    Console(width=140, highlight=False).print(table)


if __name__ == "__main__":
    main()
