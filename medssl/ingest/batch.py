"""Pass 2: read one batch of recordings, and write its own shards and index fragment."""

from __future__ import annotations

import logging
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medssl.errors import IngestError
from medssl.files import digest_file, digest_json
from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import recording_pseudonym, session_pseudonym
from medssl.ingest.discover import RecordingTask, refused
from medssl.ingest.labels import Evidence
from medssl.ingest.ledger import LedgerRow, Reason, Unreadable
from medssl.ingest.record_labels import comment_evidence
from medssl.ingest.sources import BaseSource
from medssl.ingest.waveforms.preprocess import resampled
from medssl.ingest.waveforms.quality import grade
from medssl.ingest.waveforms.readers import open_recording
from medssl.ingest.waveforms.recording import Recording, parse_comments
from medssl.ingest.waveforms.segment import cut
from medssl.records import Record
from medssl.store import ShardWriter
from medssl.types import ParticipantId

logger = logging.getLogger(__name__)

FRAGMENT: Final = "fragment.parquet"
"""Index rows of one batch, beside its shards."""

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
    with ShardWriter(folder, name, max_bytes=limit) as writer:
        for task in tasks:
            _process(context, task, writer, result)
        rows = writer.close()
    if len(rows):
        pq.write_table(rows, folder / FRAGMENT)
        result.folder = folder
    else:
        folder.rmdir()
    return result


def read_fragment(folder: Path) -> pa.Table:
    """Index rows that a batch wrote."""
    return pq.read_table(folder / FRAGMENT, use_threads=False)


def _process(
    context: Context, task: RecordingTask, writer: ShardWriter, result: BatchResult
) -> None:
    source = context.config.sources[task.source]
    folder = context.folders[task.source]
    name = recording_pseudonym(task.path, source=source.group, key=context.config.pseudonym_key)
    try:
        digest = _source_digest(task, folder)
        if digest in context.known.get((source.name, task.participant, name), ()):
            result.already_stored += len(task.files)
            result.participants.add(task.participant)
            return
        recording = _read(folder / task.path, source, folder)
        records = _records(context, task, recording, name, digest, result.dropped_seconds)
    except Unreadable as verdict:
        result.ledger += refused(task.files, source, folder, verdict.reason, verdict.detail)
        return
    writer.add(records)
    tally = result.tallies.setdefault(source.name, SourceTally())
    tally.recordings += 1
    tally.records += len(records)
    tally.seconds += _covered_seconds(records, source)
    tally.participants.add(task.participant)
    result.stored_files += len(task.files)
    result.participants.add(task.participant)
    raw = parse_comments(recording.comments) if source.labels else {}
    for rule in source.labels:
        if rule.comments:
            comment_evidence(
                result.evidence if rule.level == "participant" else result.record_evidence,
                rule, {label: raw.get(text, "") for label, text in rule.comments.items()},
                participant=task.participant, session=records[0].session, recording=name,
            )  # fmt: skip


def _source_digest(task: RecordingTask, folder: Path) -> str:
    digests = []
    for path in task.files:
        if not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise Unreadable(Reason.PATH_OUTSIDE_FOLDER, "a file links outside the folder")
        try:
            digests.append(digest_file(folder / path))
        except OSError as error:
            raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error
    return digests[0] if len(digests) == 1 else digest_json(digests)


def _read(path: Path, source: BaseSource, folder: Path) -> Recording:
    try:
        return open_recording(path, source, folder=folder)
    except Unreadable:
        raise
    except Exception as error:
        # One odd file must not end a run over thousands; the ledger keeps the verdict.
        logger.debug("a reader failed", exc_info=True)
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error


def _records(
    context: Context,
    task: RecordingTask,
    recording: Recording,
    name: str,
    digest: str,
    dropped: dict[str, float],
) -> list[Record]:
    """The recording's segments as records.

    Raises:
        Unreadable: It gives none.
    """
    source = context.config.sources[task.source]
    try:
        signal = resampled(recording, source.rate)
    except IngestError as error:
        rates = ", ".join(f"{track.rate:g}" for track in recording.tracks)
        detail = f"{rates} Hz cannot become {source.rate:g} Hz exactly"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, detail) from error
    pieces = cut(signal, length=source.segment_length, step=source.step)
    if not len(pieces.starts):
        length = signal.shape[1]
        reason = Reason.TOO_SHORT if length < source.segment_length else Reason.GAPS
        dropped[reason.value] += length / source.rate
        raise Unreadable(reason, f"{length / source.rate:.3g} s at {source.rate:g} Hz")
    dropped["tail"] += pieces.tail / source.rate
    dropped[Reason.GAPS.value] += pieces.gaps / source.rate
    session = session_pseudonym(
        _session(task, source, recording),
        participant=task.participant,
        key=context.config.pseudonym_key,
    )
    shared: dict[str, Any] = {
        "participant": task.participant,
        "session": session,
        "recording": name,
        "modality": source.modality,
        "source_digest": digest,
        "rate": source.rate,
        "channels": recording.channels,
        "units": recording.units,
        "site": source.site,
        "device": source.device,
        "source": source.name,
    }
    graded = context.config.quality
    return [
        Record(
            **shared,
            data=segment,
            start=float(start / source.rate),
            quality=grade(segment, source.rate, source.modality).score if graded else None,
        )
        for start, segment in zip(pieces.starts, pieces.segments, strict=True)
    ]


def _session(task: RecordingTask, source: BaseSource, recording: Recording) -> str:
    if source.session is not None and source.session.comment is not None:
        return parse_comments(recording.comments).get(source.session.comment, "")
    return task.session


def _covered_seconds(records: Sequence[Record], source: BaseSource) -> float:
    starts = np.array([record.start for record in records])
    new = np.minimum(np.diff(starts), source.segment_seconds).sum()
    return float(new + source.segment_length / source.rate)
