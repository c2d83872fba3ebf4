"""Labels of recordings and sessions: from tables and header comments to the records they cover."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa

from medssl.errors import IngestError
from medssl.ingest.deidentify import recording_pseudonym, session_pseudonym
from medssl.ingest.discover import Discovery, RecordingTask
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.labels import Evidence, joined_keys, label_table
from medssl.ingest.manifest import places_of
from medssl.ingest.sources import Source
from medssl.ingest.tables import RawTable, read_table, require_columns
from medssl.store import schema
from medssl.types import ParticipantId

logger = logging.getLogger(__name__)


def recording_key(recording: str) -> ParticipantId:
    """Under which evidence about one recording is gathered."""
    return ParticipantId(recording)


def session_key(participant: str, session: str) -> ParticipantId:
    """Under which evidence about one session is gathered: its name is unique in the participant."""
    return ParticipantId(f"{participant}/{session}")


def record_table_evidence(
    rule: LabelRule, source: Source, folder: Path, found: Discovery, *, key: str
) -> Evidence:
    """What a table says about recordings or sessions.

    A recording's key is its path in the source's folder, with or without its ending, or its bare
    name where that names one recording only. Where header comments tell sessions, those of a table
    are taken as they stand: pass 1 has not read them.

    Args:
        rule: A rule with a table and the level `record` or `session`.
        source: The source it belongs to.
        folder: Folder of the source.
        found: What pass 1 found there.
        key: Secret behind the pseudonyms.

    Raises:
        IngestError: The table or a column is absent, or it matches nothing at all.
    """
    evidence = Evidence()
    if rule.table is None or rule.key is None:
        return evidence
    path = folder / rule.table
    table = read_table(path, header_row=rule.header_row)
    extra = [rule.session] if rule.session is not None else []
    require_columns(table.columns, [rule.key, *extra, *rule.table_columns], path=path)
    places = (
        _recording_places(rule, table, source, found, key=key)
        if rule.level == "record"
        else _session_places(rule, table, source, found, key=key)
    )
    for row, place in zip(table.rows, places, strict=True):
        if place is not None:
            evidence.add(place, rule, rule.raw_of_row(row))
    if found.tasks and not any(places):
        held = (
            f"column {rule.key!r} of {path.name} matches none of {len(found.tasks)} recordings; "
            "it must hold their paths or names"
            if rule.level == "record"
            else f"columns {rule.key!r} and {rule.session!r} of {path.name} match no session of "
            f"{len(found.tasks)} recordings; they must hold participants and sessions as read"
        )
        msg = f"source {source.name}: {held}"
        raise IngestError(msg)
    return evidence


def _recording_places(
    rule: LabelRule, table: RawTable, source: Source, found: Discovery, *, key: str
) -> list[ParticipantId | None]:
    """Which recording each row of a table is about."""
    names = recording_names(found.tasks)
    if rule.strip_zeros:
        names = _without_zeros(rule, names)
    tasks: list[RecordingTask | None] = []
    several = 0
    for row in table.rows:
        said = rule.joined(row.get(rule.key or "", ""))
        spelt = [name for name in (said, *places_of(said, rule.table or "")) if name in names]
        tasks.append(next((task for name in spelt if (task := names[name]) is not None), None))
        several += bool(spelt) and tasks[-1] is None
    if several:
        logger.warning(
            "source %s: %d row(s) of a label table name several recordings and were left out: "
            "give paths below the source",
            source.name, several,
        )  # fmt: skip
    return [
        recording_key(recording_pseudonym(task.path, source=source.group, key=key))
        if task is not None
        else None
        for task in tasks
    ]


def _without_zeros(
    rule: LabelRule, names: Mapping[str, RecordingTask | None]
) -> dict[str, RecordingTask | None]:
    """The same names as the rule compares them; None where two recordings get one name."""
    joined: dict[str, RecordingTask | None] = {}
    for name, task in names.items():
        short = rule.joined(name)
        joined[short] = task if joined.get(short, task) is task else None
    return joined


def recording_names(tasks: Sequence[RecordingTask]) -> dict[str, RecordingTask | None]:
    """What each text names: one recording, or None for several. Paths go before bare names."""
    paths = [PurePosixPath(task.path) for task in tasks]
    names: dict[str, RecordingTask | None] = {}
    for spelt in (
        [{path.as_posix()} for path in paths],
        [{path.with_suffix("").as_posix()} for path in paths],
        [
            {path.name, path.stem} | ({task.member} - {""})
            for path, task in zip(paths, tasks, strict=True)
        ],
    ):
        counts = Counter(name for some in spelt for name in some)
        for task, some in zip(tasks, spelt, strict=True):
            for name in some:
                names.setdefault(name, task if counts[name] == 1 else None)
    return names


def _session_places(
    rule: LabelRule, table: RawTable, source: Source, found: Discovery, *, key: str
) -> list[ParticipantId | None]:
    """Which session each row of a table is about."""

    def place(participant: ParticipantId, session: str) -> ParticipantId:
        pseudonym = session_pseudonym(session, participant=participant, key=key)
        return session_key(participant, pseudonym)

    later = source.session is not None and source.session.comment is not None
    known = {place(task.participant, task.session) for task in found.tasks}
    people = joined_keys(rule, found.people, source=source.name)
    places: list[ParticipantId | None] = []
    for row in table.rows:
        participant = people.get(rule.joined(row.get(rule.key or "", "")))
        own = None if participant is None else place(participant, row.get(rule.session or "", ""))
        places.append(own if later or own in known else None)
    return places


def record_label_table(
    evidence: Evidence, names: Iterable[str], records: pa.Table, *, known: pd.DataFrame | None
) -> tuple[pa.Table, dict[str, int]]:
    """One row for each record whose recording or session has a label, and conflicts by label.

    Args:
        evidence: What was seen, under `recording_key` and `session_key`.
        names: Labels that the configuration gives at these levels.
        records: All records, old and new, with participant, session and recording.
        known: Labels of records in the store that is appended to.
    """
    empty = pa.table({schema.RECORD: pa.array([], pa.string())})
    wanted = list(dict.fromkeys(names))
    if not evidence.seen or not wanted:
        return empty, {}
    columns = [schema.RECORD, schema.PARTICIPANT, schema.SESSION, schema.RECORDING]
    frame = records.select(columns).to_pandas()
    table, conflicts = label_table(evidence, wanted, list(evidence.seen), known=None)
    values = table.to_pandas().set_index(schema.PARTICIPANT)
    places = (
        frame[schema.RECORDING],
        frame[schema.PARTICIPANT] + "/" + frame[schema.SESSION],
    )
    stray = len(values.index.difference(pd.Index(np.concatenate(places))))
    if stray:
        logger.warning("labels of %d recording(s) or session(s) belong to no record", stray)
    names_of_records = frame[schema.RECORD]
    parts = [values.reindex(place.to_numpy()).set_axis(names_of_records) for place in places]
    merged = parts[0].combine_first(parts[1])[wanted].dropna(how="all")
    return without_disagreement(merged, known, conflicts), conflicts


def without_disagreement(
    labels: pd.DataFrame, known: pd.DataFrame | None, conflicts: dict[str, int]
) -> pa.Table:
    """Labels as a table; where the store holds another value, the label is left empty."""
    for name in labels.columns:
        if known is not None and name in known.columns:
            held = known[name].reindex(labels.index)
            differs = held.notna() & labels[name].notna() & (held != labels[name])
            if differs.any():
                conflicts[name] = conflicts.get(name, 0) + int(differs.sum())
                labels = labels.assign(**{name: labels[name].mask(differs)})
    frame = labels.rename_axis(schema.RECORD).reset_index()
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
