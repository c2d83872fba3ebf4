"""How well each component of signal quality tells noisy ECG from readable ECG.

    python benchmarks/quality.py CINC2017   # half a minute; the folder with REFERENCE.csv

The records of the PhysioNet/CinC Challenge 2017 that its experts called too noisy to read (`~`)
against all others, ingested as ten-second segments at 128 Hz. AUROC of each component over segments
and over the means of records; 0.5 says nothing. A record counts as noisy as a whole, also where
only a part of it is, so that no component can reach 1.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from medssl.config import validate
from medssl.ingest import IngestConfig, ingest
from medssl.store import Store
from medssl.store.schema import GRADES, PARTICIPANT, QUALITY

MIN_TEMPLATE = 0.6
BAD_WHEN_HIGH = frozenset({"flat", "clipped", "missing"})


def grades(folder: Path) -> pd.DataFrame:
    """Quality and components of every segment, with its record and whether that is noisy."""
    source = {
        "name": "cinc2017", "format": "wfdb", "path": str(folder), "modality": "ecg", "rate": 128,
        "segment_seconds": 10, "channels": "ECG", "units": "mV",
        "participant": {"pattern": r"(?P<participant>A\d+)\.hea"},
    }  # fmt: skip
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "store"
        ingest(validate(IngestConfig, {"sources": [source]}, where="ingest"), path)
        store = Store.open(path)
        columns = {"quality": QUALITY, **GRADES}
        frame = pd.DataFrame({name: store.column(column) for name, column in columns.items()})
        originals = store.links
        frame["record"] = [originals[name] for name in store.column(PARTICIPANT)]
    with (folder / "REFERENCE.csv").open(encoding="utf-8") as file:
        rhythms = dict(csv.reader(file))
    frame["rhythm"] = [rhythms[name] for name in frame["record"]]
    frame["noisy"] = frame["rhythm"] == "~"
    return frame


def auroc(frame: pd.DataFrame, name: str) -> float:
    """Probability that a readable one has the better value; ties count half."""
    values = frame[name].to_numpy(dtype=np.float64)
    return float(roc_auc_score(~frame["noisy"], -values if name in BAD_WHEN_HIGH else values))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    segments = grades(parser.parse_args().folder)
    records = segments.drop(columns="rhythm").groupby("record").mean().astype({"noisy": bool})
    table = Table(
        "component", "AUROC of segments", "of records", "median, readable", "median, noisy",
        title=f"{len(segments):,} segments of {len(records):,} records, "
        f"{int(records['noisy'].sum())} of them noisy",
    )  # fmt: skip
    for name in ("quality", *GRADES):
        medians = segments.groupby("noisy")[name].median()
        table.add_row(
            name, f"{auroc(segments, name):.3f}", f"{auroc(records, name):.3f}",
            f"{medians[False]:.2f}", f"{medians[True]:.2f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    kept = (segments["template"] >= MIN_TEMPLATE).groupby(segments["rhythm"]).mean()
    shares = ", ".join(f"{rhythm} {share:.0%}" for rhythm, share in kept.items())
    console.print(f"template of {MIN_TEMPLATE} or better, by rhythm: {shares}")


if __name__ == "__main__":
    main()
