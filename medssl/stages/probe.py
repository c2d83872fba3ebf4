"""probe: embeddings × labels → scores with participant-level intervals, beside their baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medssl.evaluation.probes import ProbeConfig
from medssl.files import digest_json, write_json
from medssl.stages.base import Context, Result, Stage
from medssl.stages.embed import EMBEDDINGS, LAYER, UNTRAINED
from medssl.stages.ingest import store_folder

if TYPE_CHECKING:
    from medssl.evaluation.tables import ProbeTable

PROBES = "probes.json"
TABLE = "probes.md"
PREDICTIONS = "predictions.parquet"


def run(context: Context) -> Result:
    """Write the probe table, and the predictions behind it for the audit.

    Raises:
        LeakageError: The encoder was pretrained on participants of validation or test.
    """
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.probe import probe_store
    from medssl.sampling.splits import assign_splits
    from medssl.stages.data import read_pretraining
    from medssl.store import Store

    store = Store.open(store_folder(context.inputs["ingest"]))
    embeddings = Embeddings.read(context.inputs["embed"] / EMBEDDINGS)
    splits = assign_splits(store.participants, context.split, previous=context.assigned)
    table = probe_store(
        embeddings, store, context.config, splits,
        untrained=read_untrained(context),
        layers=read_layers(context),
        pretraining=read_pretraining(context.inputs["embed"], splits),
        progress=context.progress,
    )  # fmt: skip
    return leave_table(context, table, PROBES, TABLE)


def leave_table(context: Context, table: ProbeTable, json: str, markdown: str) -> Result:
    """Write a probe table under two names, and the predictions behind it."""
    from medssl.evaluation.predictions import write_predictions

    value = table.to_dict()
    write_json(context.out / json, value)
    (context.out / markdown).write_text(table.to_markdown(), encoding="utf-8")
    write_predictions(context.out / PREDICTIONS, table.predictions)
    context.run.artifacts(context.out / json)
    context.run.artifacts(context.out / markdown)
    scores = {}
    for row in table.rows:
        prefix = "/".join(_tag(word) for word in (row.target, row.features, row.metric))
        scores[prefix] = {
            "value": row.interval.value, "low": row.interval.low, "high": row.interval.high,
            "n": row.n_score,
        }  # fmt: skip
    return Result(digest=digest_json(value), summary={"scores": scores})


def read_untrained(context: Context) -> list:  # type: ignore[type-arg]
    """Embeddings of all untrained encoders that the embed stage left."""
    from medssl.evaluation.embeddings import Embeddings

    files = sorted(context.inputs["embed"].glob(UNTRAINED.format(seed="*")))
    return [Embeddings.read(file) for file in files]


def read_layers(context: Context) -> dict:  # type: ignore[type-arg]
    """Embeddings from other layers that the embed stage left, by name of the layer."""
    from medssl.evaluation.embeddings import Embeddings

    found = {}
    for file in sorted(context.inputs["embed"].glob(LAYER.format(number="*"))):
        embeddings = Embeddings.read(file)
        found[embeddings.metadata["layer"]] = embeddings
    return found


def _tag(text: str) -> str:
    """A name that MLflow takes as part of a metric's name."""
    return "".join(c if c.isalnum() or c in "_-. " else "_" for c in text)


STAGE = Stage(
    name="probe", version=4, config=ProbeConfig, run=run,
    needs=("ingest", "embed"), reads=("split",),
)  # fmt: skip
