"""reduce: store → selection of the records that training may see."""

from __future__ import annotations

from medssl.reduction.config import ReduceConfig
from medssl.stages.base import Context, Result, Stage
from medssl.stages.ingest import store_folder

SELECTION = "selection.parquet"


def run(context: Context) -> Result:
    """Write the selection; nothing is copied or deleted."""
    from medssl.reduction.rules import reduce
    from medssl.store import Store

    store = Store.open(store_folder(context.inputs["ingest"]))
    selection = reduce(store, context.config)
    selection.write(context.out / SELECTION)
    counts = selection.counts()
    fraction = counts["kept"] / max(1, store.records.num_rows)
    return Result(digest=selection.digest, summary={"records": counts, "kept_fraction": fraction})


STAGE = Stage(name="reduce", version=1, config=ReduceConfig, run=run, needs=("ingest",))
