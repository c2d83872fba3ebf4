"""reduce: store → selection of the records that training may see."""

from __future__ import annotations

from medssl.reduction.config import ReduceConfig
from medssl.stages.base import Context, Result, Stage
from medssl.stages.ingest import store_folder

SELECTION = "selection.parquet"


def run(context: Context) -> Result:
    """Write the selection; nothing is copied or deleted."""
    from medssl.reduction.rules import count_ungraded, reduce
    from medssl.store import Store

    store = Store.open(store_folder(context.inputs["ingest"]))
    selection = reduce(store, context.config)
    selection.write(context.out / SELECTION)
    counts = selection.counts()
    fraction = counts["kept"] / max(1, store.records.num_rows)
    summary = {"records": counts, "kept_fraction": fraction}
    summary |= {"not_graded": count_ungraded(store, context.config, selection)}
    return Result(digest=selection.digest, summary=summary)


STAGE = Stage(name="reduce", version=2, config=ReduceConfig, run=run, needs=("ingest",))
