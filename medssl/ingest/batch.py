"""Pass 2: read one batch of recordings, and write its own shards and index fragment."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from medssl.files import digest_file, digest_json
from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import recording_pseudonym, session_pseudonym
from medssl.ingest.discover import RecordingTask, refused
from medssl.ingest.labels import Evidence
from medssl.ingest.leads import require_consistent_leads, require_plausible_units
from medssl.ingest.ledger import LedgerRow, Reason, Unreadable
from medssl.ingest.record_labels import comment_evidence
from medssl.ingest.segment_tables import segment_label_rows
from medssl.ingest.segments import Segmenter
from medssl.ingest.sources import BaseSource
from medssl.ingest.sources.timed import timed
from medssl.ingest.waveforms.readers import open_recording
from medssl.ingest.waveforms.recording import Recording, parse_comments
from medssl.store import ShardWriter
from medssl.types import ParticipantId

logger = logging.getLogger(__name__)

FRAGMENT: Final = "fragment.parquet"
"""Index rows of one batch, beside its shards."""
LABELS: Final = "labels.parquet"
"""Labels of segments of one batch; absent when there are none."""

RecordingKey = tuple[str, str, str]
"""Source name, participant, recording: what a digest is remembered under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every batch of one ingest shares.

    Args:
        config: The configuration.
        folders: Folder of each source.
        staging: Where batches make folders of their own.
        known: Source digests in the store, by recording.
    """

    config: IngestConfig
    folders: tuple[Path, ...]
    staging: Path
    known: Mapping[RecordingKey, frozenset[str]]


@dataclass(slots=True)
class SourceTally:
    """Counts of one source in one batch."""

    recordings: int = 0
    records: int = 0
    seconds: float = 0.0
    jitters: list[float] = field(default_factory=list)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    participants: set[ParticipantId] = field(default_factory=set)


@dataclass(slots=True)
class BatchResult:
    """What one batch gave; small, whatever the recordings' size.

    Args:
        folder: Its shards and fragment; None when it wrote no record.
        ledger: Files that gave no record.
        stored_files: Files that records came from.
        already_stored: Files that the store holds.
        dropped_seconds: Signal that no record holds, by reason.
        participants: Everyone with records, old or new.
        evidence: Labels of participants in header comments.
        record_evidence: Labels of sessions and recordings in header comments.
        tallies: Counts by source name.
        held: Recordings that the store holds and whose segments have labels, with their digests.
    """

    folder: Path | None = None
    ledger: list[LedgerRow] = field(default_factory=list)
    stored_files: int = 0
    already_stored: int = 0
    dropped_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    participants: set[ParticipantId] = field(default_factory=set)
    evidence: Evidence = field(default_factory=Evidence)
    record_evidence: Evidence = field(default_factory=Evidence)
    tallies: dict[str, SourceTally] = field(default_factory=dict)
    held: list[tuple[RecordingTask, str]] = field(default_factory=list)


def process_batch(context: Context, tasks: Sequence[RecordingTask]) -> BatchResult:
    """Read, resample, cut, grade and store the recordings of some participants.

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
    with ShardWriter(folder, name, max_bytes=limit) as writer:
        for task in tasks:
            _process(context, task, writer, result, labels)
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
    context: Context, task: RecordingTask, writer: ShardWriter, result: BatchResult,
    labels: list[pa.Table],
) -> None:  # fmt: skip
    source = context.config.sources[task.source]
    folder = context.folders[task.source]
    name = recording_pseudonym(task.path, source=source.group, key=context.config.pseudonym_key)
    try:
        digest = _source_digest(task, folder)
        if digest in context.known.get((source.name, task.participant, name), ()):
            result.already_stored += len(task.files)
            result.participants.add(task.participant)
            if source.segment_rules:
                result.held.append((task, digest))
            return
        recording = _read(folder / task.file, source, folder, task.member)
        segmenter = Segmenter(
            recording, source, shared=_shared(context, task, recording, name, digest),
            graded=context.config.quality,
        )  # fmt: skip
        records = _store(segmenter, writer, result.dropped_seconds)
    except Unreadable as verdict:
        result.ledger += refused(task.files, source, folder, verdict.reason, verdict.detail)
        return
    tally = result.tallies.setdefault(source.name, SourceTally())
    tally.recordings += 1
    tally.records += len(records)
    tally.seconds += segmenter.covered_seconds
    tally.participants.add(task.participant)
    tally.taken.update(
        (channel.stored, name)
        for channel, name in zip(source.channels, recording.taken, strict=False)
        if channel.also
    )
    if timed(source):
        tally.jitters.append(recording.jitter)
    result.stored_files += len(task.files)
    result.participants.add(task.participant)
    for rule in source.label_rules:
        if rule.from_comments:
            comment_evidence(
                result.evidence if rule.level == "participant" else result.record_evidence,
                rule, recording.comments, participant=task.participant,
                session=segmenter.session, recording=name,
            )  # fmt: skip
    if source.segment_rules:
        table, unreadable = segment_label_rows(source, task.file, records, folder=folder)
        labels.append(table)
        result.record_evidence.unreadable.update(unreadable)


def _source_digest(task: RecordingTask, folder: Path) -> str:
    digests = []
    for path in (task.file, *task.companions):
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a file links outside the folder")
        try:
            stat = (folder / path).stat()
            digests.append(_digest(folder / path, stat.st_mtime_ns, stat.st_size))
        except OSError as error:
            raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    return digests[0] if len(digests) == 1 else digest_json(digests)


@lru_cache(maxsize=8)
def _digest(path: Path, mtime: int, size: int) -> str:
    """Digest of a file, remembered for the next recording in it as long as it does not change."""
    return digest_file(path)


def _read(path: Path, source: BaseSource, folder: Path, member: str) -> Recording:
    try:
        recording = open_recording(path, source, folder=folder, member=member)
        require_plausible_units(recording, source)
        require_consistent_leads(recording, path, source, folder=folder)
        return recording
    except Unreadable:
        raise
    except Exception as error:
        # One odd file must not end a run over thousands; the ledger keeps the verdict.
        logger.debug("a reader failed", exc_info=True)
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error


def _store(
    segmenter: Segmenter, writer: ShardWriter, dropped: dict[str, float]
) -> list[tuple[str, float]]:
    """Write all records of a recording, or none; return the name and start of each.

    Raises:
        Unreadable: It gives none.
    """
    written: list[tuple[str, float]] = []
    try:
        with writer.together():
            for records in segmenter.blocks():
                writer.add(records)
                written += [(record.name, record.start) for record in records]
    except Unreadable as verdict:
        if verdict.reason in {Reason.TOO_SHORT, Reason.GAPS}:
            dropped[verdict.reason.value] += segmenter.seconds
        raise
    for reason, seconds in segmenter.left_out.items():
        dropped[reason] += seconds
    return written


def _shared(
    context: Context, task: RecordingTask, recording: Recording, name: str, digest: str
) -> dict[str, Any]:
    """What all records of a recording have in common."""
    source = context.config.sources[task.source]
    session = session_pseudonym(
        _session(task, source, recording),
        participant=task.participant,
        key=context.config.pseudonym_key,
    )
    return {
        "participant": task.participant,
        "session": session,
        "recording": name,
        "modality": source.modality,
        "source_digest": digest,
        "site": task.site,
        "device": task.device,
        "source": source.name,
    }


def _session(task: RecordingTask, source: BaseSource, recording: Recording) -> str:
    if source.session is not None and source.session.comment is not None:
        return parse_comments(recording.comments).get(source.session.comment, "")
    return task.session
