"""Peak memory of ingests, measured in a process where nothing else allocates."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path

from medssl.config import validate
from medssl.ingest import IngestConfig, ingest
from medssl.ingest.waveforms import preprocess


def main() -> None:
    """Ingest with each configuration in turn, and tell the peak of each (bytes)."""
    task = json.loads(sys.stdin.read())
    if task["block_bytes"] is not None:
        preprocess.BLOCK_BYTES = task["block_bytes"]
    peaks, records = [], []
    for number, values in enumerate(task["configs"]):
        config = validate(IngestConfig, values, where="ingest")
        tracemalloc.start()
        report = ingest(config, Path(task["folder"]) / f"store{number}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        records.append(report.records)
    sys.stdout.write(json.dumps({"peaks": peaks, "records": records}))


if __name__ == "__main__":
    main()
