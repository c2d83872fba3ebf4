"""Pass 2: read one batch of recordings, and write its own shards and index fragment."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from medssl.files import digest_json
from medssl.ingest.batch_state import BatchResult, Context, SourceTally
from medssl.ingest.deidentify import session_pseudonym
from medssl.ingest.digests import source_digest
from medssl.ingest.discover import RecordingTask, refused
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.record_labels import recording_key, session_key
from medssl.ingest.records_of import Made, Work, make_records
from medssl.ingest.segment_tables import segment_label_rows
from medssl.ingest.sources import Source, WaveformSource
from medssl.ingest.studies import Reports
from medssl.ingest.waveforms.recording import parse_comments
from medssl.store import ShardWriter
from medssl.types import ParticipantId

FRAGMENT: Final = "fragment.parquet"
"""Index rows of one batch, beside its shards."""
LABELS: Final = "labels.parquet"
"""Labels of segments of one batch; absent when there are none."""


def process_batch(context: Context, tasks: Sequence[RecordingTask]) -> BatchResult:
    """Read and store the recordings, images and reports of some participants.

    A bad file becomes ledger rows and never raises; a full disk does. May be repeated: every call
    writes into a new folder.

    Args:
        context: What all batches share.
        tasks: Recordings, those of one participant side by side.
    """
    result = BatchResult()
    folder = Path(tempfile.mkdtemp(dir=context.staging))
    limit = context.config.shard_mb * 1_000_000
    # Names only need to differ inside one staging folder, and not to depend on the workers.
    name = "w" + digest_json([[task.source, task.participant, task.path] for task in tasks])[:16]
    labels: list[pa.Table] = []
    reports = context.compare(tasks)
    with ShardWriter(folder, name, max_bytes=limit) as writer:
        for task in tasks:
            _process(context, task, writer, reports, result, labels)
        rows = writer.close()
    if len(rows):
        pq.write_table(rows, folder / FRAGMENT)
        if labels:
            pq.write_table(pa.concat_tables(labels, promote_options="default"), folder / LABELS)
        result.folder = folder
    else:
        folder.rmdir()
    return result


def read_fragment(folder: Path) -> pa.Table:
    """Index rows that a batch wrote."""
    return pq.read_table(folder / FRAGMENT, use_threads=False)


def read_labels(folder: Path) -> pa.Table | None:
    """Labels of segments that a batch wrote, if it did."""
    path = folder / LABELS
    return pq.read_table(path, use_threads=False) if path.exists() else None


def _process(
    context: Context, task: RecordingTask, writer: ShardWriter, reports: Reports,
    result: BatchResult, labels: list[pa.Table],
) -> None:  # fmt: skip
    """One file: its records go to the writer and their counts to the result, or its ledger rows."""
    source, folder = context.config.sources[task.source], context.folders[task.source]
    try:
        digest = source_digest(task, source, folder)
        if context.knows(task, digest):
            _count_held(task, source, digest, result)
            return
        if task in reports.differing:
            detail = f"{reports.differing[task]} reports of the study differ"
            raise Unreadable(Reason.SEVERAL_REPORTS, detail)
        if task in reports.repeated:
            _count_repeated(task, result, held=task in reports.held)
            return
        work = Work(
            task=task, source=source, folder=folder, graded=context.config.quality,
            shared=partial(_shared, context, task, digest),
        )  # fmt: skip
        made = make_records(work, writer, result.dropped)
    except Unreadable as verdict:
        result.ledger += refused(task.files, source, folder, verdict.reason, verdict.detail)
        return
    _count(task, source, made, result)
    _note_labels(context, task, made, result)
    if source.segment_rules and isinstance(source, WaveformSource):
        table, unreadable = segment_label_rows(source, task.file, made.records, folder=folder)
        labels.append(table)
        result.record_evidence.unreadable.update(unreadable)


def _count_held(task: RecordingTask, source: Source, digest: str, result: BatchResult) -> None:
    """A file that the store holds."""
    result.already_stored += len(task.files)
    result.participants.add(task.participant)
    if source.segment_rules:
        result.held.append((task, digest))


def _count_repeated(task: RecordingTask, result: BatchResult, *, held: bool) -> None:
    """A report that says what another one of its study says."""
    if held:
        result.already_stored += len(task.files)
    else:
        result.stored_files += len(task.files)
    result.repeated_reports += 1 + task.repeats
    result.participants.add(task.participant)


def _count(task: RecordingTask, source: Source, made: Made, result: BatchResult) -> None:
    """A file that gave records."""
    tally = result.tallies.setdefault(source.name, SourceTally())
    tally.recordings += 1
    tally.records += len(made.records)
    tally.seconds += made.seconds
    tally.participants.add(task.participant)
    if isinstance(source, WaveformSource):
        tally.taken.update(
            (channel.stored, name)
            for channel, name in zip(source.channels, made.taken, strict=False)
            if channel.also
        )
    if made.jitter is not None:
        tally.jitters.append(made.jitter)
    if made.encoding:
        tally.encodings[made.encoding] += 1
    result.repeated_reports += task.repeats
    result.stored_files += len(task.files)
    result.participants.add(task.participant)


def _note_labels(context: Context, task: RecordingTask, made: Made, result: BatchResult) -> None:
    """What comments and reports say, at the level of each rule."""
    source = context.config.sources[task.source]
    pairs = parse_comments(made.comments)
    for rule in source.label_rules:
        if rule.from_comments:
            evidence = result.evidence_of(rule.level)
            place = _place(context, task, made, rule.level)
            evidence.add(place, rule, rule.raw_of_comments(made.comments, pairs))
    for found in source.finding_rules:
        evidence = result.evidence_of(found.level)
        place = _place(context, task, made, found.level)
        evidence.tell(place, found.labels_of(made.text))


def _place(context: Context, task: RecordingTask, made: Made, level: str) -> ParticipantId:
    """Under which evidence of a level is gathered."""
    if level == "participant":
        return task.participant
    if level == "session":
        return session_key(task.participant, made.session)
    return recording_key(context.name_of(task))


def _shared(
    context: Context, task: RecordingTask, digest: str, comments: tuple[str, ...]
) -> dict[str, Any]:
    """What all records of a file have in common."""
    source, key = context.config.sources[task.source], context.config.pseudonym_key
    session = _session(task, source, comments)
    return {
        "participant": task.participant,
        "session": session_pseudonym(session, participant=task.participant, key=key),
        "study": context.study_of(task),
        "recording": context.name_of(task),
        "modality": source.modality,
        "source_digest": digest,
        "site": task.site,
        "device": task.device,
        "source": source.name,
        "time": task.time,
    }


def _session(task: RecordingTask, source: Source, comments: tuple[str, ...]) -> str:
    if source.session is not None and source.session.comment is not None:
        return parse_comments(comments).get(source.session.comment, "")
    return task.session
