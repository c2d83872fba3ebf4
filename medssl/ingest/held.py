"""What the store that is appended to holds already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from medssl.ingest.batch_state import RecordingKey, StudyKey
from medssl.store import Store, schema
from medssl.types import Modality


def known_digests(store: Store | None) -> Mapping[RecordingKey, frozenset[str]]:
    """Source digests of each recording."""
    if store is None:
        return {}
    names = [schema.SOURCE, schema.PARTICIPANT, schema.RECORDING, schema.SOURCE_DIGEST]
    rows = store.records.select(names).group_by(names).aggregate([]).to_pylist()
    known: dict[RecordingKey, set[str]] = {}
    for row in rows:
        key = (row[schema.SOURCE], row[schema.PARTICIPANT], row[schema.RECORDING])
        known.setdefault(key, set()).add(row[schema.SOURCE_DIGEST])
    return {key: frozenset(digests) for key, digests in known.items()}


def known_reports(store: Store | None) -> Mapping[StudyKey, frozenset[str]]:
    """Content digests of the reports of each study."""
    if store is None:
        return {}
    rows = store.rows(modality=Modality.REPORT)
    names = (schema.PARTICIPANT, schema.STUDY, schema.CONTENT_DIGEST)
    known: defaultdict[StudyKey, set[str]] = defaultdict(set)
    for person, study, digest in zip(*(store.column(n, rows) for n in names), strict=True):
        if study is not None:
            known[person, study].add(digest)
    return {key: frozenset(digests) for key, digests in known.items()}
