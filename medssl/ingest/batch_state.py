"""What the batches of one ingest share, and what each of them gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import recording_pseudonym, study_pseudonym
from medssl.ingest.digests import source_digest, text_digest
from medssl.ingest.discover import RecordingTask
from medssl.ingest.labels import Evidence
from medssl.ingest.ledger import LedgerRow
from medssl.ingest.records_of import Dropped
from medssl.ingest.studies import Reports, compare_reports
from medssl.types import ParticipantId

RecordingKey = tuple[str, str, str]
"""Source name, participant, recording: what a digest is remembered under."""
StudyKey = tuple[str, str]
"""Participant and study, as the store calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every batch of one ingest shares.

    Args:
        config: The configuration.
        folders: Folder of each source.
        staging: Where batches make folders of their own.
        known: Source digests in the store, by recording.
        reports: Content digests of the reports in the store, by study.
    """

    config: IngestConfig
    folders: tuple[Path, ...]
    staging: Path
    known: Mapping[RecordingKey, frozenset[str]]
    reports: Mapping[StudyKey, frozenset[str]] = field(default_factory=dict)

    def name_of(self, task: RecordingTask) -> str:
        """Pseudonym of a recording."""
        group = self.config.sources[task.source].group
        return recording_pseudonym(task.path, source=group, key=self.config.pseudonym_key)

    def study_of(self, task: RecordingTask) -> str | None:
        """Pseudonym of a study, if any."""
        key = self.config.pseudonym_key
        found = study_pseudonym(task.study, participant=task.participant, key=key)
        return found if task.study else None

    def knows(self, task: RecordingTask, digest: str) -> bool:
        """Whether the store holds a recording as its files are now."""
        name = self.config.sources[task.source].name
        return digest in self.known.get((name, task.participant, self.name_of(task)), ())

    def compare(self, tasks: Sequence[RecordingTask]) -> Reports:
        """Which reports of some participants differ from, or repeat, others of their study."""

        def known(task: RecordingTask) -> bool:
            source, folder = self.config.sources[task.source], self.folders[task.source]
            return self.knows(task, source_digest(task, source, folder))

        def digest(task: RecordingTask) -> str:
            return text_digest(task, self.config.sources[task.source], self.folders[task.source])

        def stored(task: RecordingTask) -> frozenset[str]:
            return self.reports.get((task.participant, self.study_of(task) or ""), frozenset())

        return compare_reports(self.config, tasks, digest=digest, known=known, stored=stored)


@dataclass(slots=True)
class SourceTally:
    """Counts of one source in one batch."""

    recordings: int = 0
    records: int = 0
    seconds: float = 0.0
    jitters: list[float] = field(default_factory=list)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    participants: set[ParticipantId] = field(default_factory=set)


@dataclass(slots=True)
class BatchResult:
    """What one batch gave; small, whatever the recordings' size.

    Args:
        folder: Its shards and fragment; None when it wrote no record.
        ledger: Files that gave no record.
        stored_files: Files that records came from.
        already_stored: Files that the store holds.
        repeated_reports: Reports that say what another one of their study says.
        dropped: Signal that no record holds.
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
    repeated_reports: int = 0
    dropped: Dropped = field(default_factory=Dropped)
    participants: set[ParticipantId] = field(default_factory=set)
    evidence: Evidence = field(default_factory=Evidence)
    record_evidence: Evidence = field(default_factory=Evidence)
    tallies: dict[str, SourceTally] = field(default_factory=dict)
    held: list[tuple[RecordingTask, str]] = field(default_factory=list)

    def evidence_of(self, level: str) -> Evidence:
        """Where labels of a level are gathered."""
        return self.evidence if level == "participant" else self.record_evidence
