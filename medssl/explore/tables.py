"""What a store and a run hold, as tables: contents, ledger, embedded records with their labels."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from medssl.explore.outputs import RunOutputs
from medssl.ingest.ledger import Reason
from medssl.store import Store
from medssl.store import schema as columns
from medssl.types import Kind, Modality

SPLIT: Final = "split"
_FACTS: Final = (columns.SOURCE, columns.VIEW, columns.SITE, columns.DEVICE, columns.QUALITY)


def contents_table(store: Store) -> pd.DataFrame:
    """What a store holds: one line per source, modality, rate, units and shape of the records.

    Images of one longer side are on one line, as are texts. Hours are those of the stored segments;
    where segments overlap they count twice.
    """
    names = (
        columns.SOURCE, columns.MODALITY, columns.RATE, columns.UNITS, columns.SHAPE,
        columns.PARTICIPANT, columns.QUALITY,
    )  # fmt: skip
    frame = pd.DataFrame({name: store.column(name) for name in names})
    pairs = zip(frame[columns.MODALITY], frame[columns.SHAPE], strict=True)
    frame[columns.SHAPE] = [_form(Modality(name).kind, shape) for name, shape in pairs]
    length = [shape[-1] if shape else np.nan for shape in store.column(columns.SHAPE)]
    frame["hours"] = np.array(length) / frame[columns.RATE].astype(np.float64) / 3600
    # Images have no rate; a group without a key would be dropped.
    table: pd.DataFrame = frame.groupby(list(names[:5]), dropna=False, sort=False).agg(
        records=(columns.QUALITY, "size"),
        participants=(columns.PARTICIPANT, "nunique"),
        hours=("hours", lambda values: values.sum(min_count=1)),
        median_quality=(columns.QUALITY, "median"),
    )
    return table.reset_index()


def _form(kind: Kind, shape: tuple[int, ...]) -> str:
    """How records look that belong on one line."""
    if kind is Kind.TEXT:
        return "text"
    if kind is Kind.IMAGE and len(shape) == 2:
        return f"longer side {max(shape)}"
    return " × ".join(map(str, shape))


def ledger_table(store: Store) -> pd.DataFrame:
    """Inputs that gave no record: one line per source and reason, with what to do about it.

    Every input file is either behind a record or counted here. `store.ledger` has one line per
    file; its names may identify people, these lines do not.
    """
    ledger = store.ledger.to_pandas()
    counts = ledger.groupby(["source", "reason"]).size().rename("files").reset_index()
    known = {reason.value: reason.remedy for reason in Reason}
    counts["what to do"] = [
        known.get(reason, "A reason that this medssl does not know: upgrade it.")
        for reason in counts["reason"]
    ]
    table: pd.DataFrame = counts.sort_values(
        "files", ascending=False, kind="stable", ignore_index=True
    )
    return table


def records_table(run: RunOutputs) -> pd.DataFrame:
    """The embedded records with everything known of them, indexed by record; holds pseudonyms.

    Columns: participant, session, split, source, view, site, device, quality, then labels; a label
    of records goes before one of participants of the same name.
    """
    embeddings = run.embeddings
    people = embeddings.participants
    frame = pd.DataFrame(
        {columns.PARTICIPANT: people, columns.SESSION: embeddings.sessions},
        index=pd.Index(embeddings.records, name=columns.RECORD),
    )
    frame[SPLIT] = [run.splits.get(name) for name in people.tolist()]
    for name in _FACTS:
        frame[name] = run.store.column(name, run.rows)
    for name in run.labels.columns:
        frame[str(name)] = run.labels[name].reindex(people).to_numpy()
    for name in run.record_labels.columns:
        frame[str(name)] = run.record_labels[name].reindex(embeddings.records).to_numpy()
    return frame
