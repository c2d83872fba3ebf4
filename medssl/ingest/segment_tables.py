"""Labels of segments as tables: of recordings just read, of those in the store, and all joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import recording_pseudonym
from medssl.ingest.discover import RecordingTask
from medssl.ingest.record_labels import without_disagreement
from medssl.ingest.sources import WaveformSource
from medssl.ingest.timed_labels import segment_labels
from medssl.store import schema


def segment_label_rows(
    source: WaveformSource, path: str, records: Sequence[tuple[str, float]], *, folder: Path
) -> tuple[pa.Table, Counter[str]]:
    """Labels of the segments of one recording, one row each that has any.

    Args:
        source: The source it belongs to.
        path: The recording, relative to the folder.
        records: Name and start (seconds) of each segment.
        folder: Folder of the source.

    Returns:
        The rows, and by label what could not be read.
    """
    names, starts = [name for name, _ in records], [start for _, start in records]
    # Neighbouring segments meet at one and the same number, so that nothing is counted twice.
    samples = np.rint(np.asarray(starts, dtype=np.float64) * source.rate)
    labels, unreadable = segment_labels(
        source.segment_rules,
        path,
        folder=folder,
        starts=samples / source.rate,
        stops=(samples + source.segment_length) / source.rate,
    )
    frame = pd.DataFrame(labels, index=pd.Index(names, name=schema.RECORD)).dropna(how="all")
    table = pa.Table.from_pandas(frame.reset_index(), preserve_index=False)
    return table.replace_schema_metadata(None), unreadable


def held_segment_labels(
    config: IngestConfig, held: Iterable[tuple[RecordingTask, str]], records: pa.Table
) -> tuple[list[pa.Table], Counter[str]]:
    """The same for recordings that the store holds: a rule may be younger than they are.

    Args:
        config: What is ingested.
        held: Recordings and the digests of their files.
        records: Records of the store.
    """
    columns = [schema.RECORDING, schema.SOURCE, schema.SOURCE_DIGEST, schema.RECORD, schema.START]
    labelled = [source.name for source in config.sources if source.segment_rules]
    chosen = pc.is_in(records.column(schema.SOURCE), pa.array(labelled, pa.string()))
    frame = records.select(columns).filter(chosen).to_pandas()
    groups = frame.groupby(columns[:3]).indices
    tables: list[pa.Table] = []
    unreadable: Counter[str] = Counter()
    for task, digest in held:
        source = config.sources[task.source]
        assert isinstance(source, WaveformSource)
        name = recording_pseudonym(task.path, source=source.group, key=config.pseudonym_key)
        rows = frame.iloc[groups.get((name, source.name, digest), [])]
        pairs = list(zip(rows[schema.RECORD], rows[schema.START], strict=True))
        table, wrong = segment_label_rows(source, task.file, pairs, folder=source.folder())
        tables.append(table)
        unreadable.update(wrong)
    return tables, unreadable


def join_segment_labels(
    labels: pa.Table, tables: Iterable[pa.Table | None], *, known: pd.DataFrame | None
) -> tuple[pa.Table, dict[str, int]]:
    """Labels of records together with those of segments, and conflicts by label.

    Args:
        labels: A column `record` and labels of recordings and sessions.
        tables: The same of segments; None for a batch without any.
        known: Labels of records in the store that is appended to.
    """
    given = [table for table in tables if table is not None and len(table)]
    if not given:
        return labels, {}
    frame = pa.concat_tables(given, promote_options="default").to_pandas()
    frame = frame.drop_duplicates(schema.RECORD).set_index(schema.RECORD)
    conflicts: dict[str, int] = {}
    checked = without_disagreement(frame, known, conflicts).to_pandas().set_index(schema.RECORD)
    joined = labels.to_pandas().set_index(schema.RECORD).join(checked, how="outer")
    table = pa.Table.from_pandas(joined.reset_index(), preserve_index=False)
    return table.replace_schema_metadata(None), conflicts
