"""What an ingest did, in numbers: no names, no identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from pydantic import Field

from medssl.config import StrictModel


class SourceReport(StrictModel):
    """Counts of one source.

    Args:
        files: Files in its folder.
        participants: Participants with records, of this run.
        recordings: Recordings that gave records.
        records: Records stored.
        seconds: Signal stored, counted once where segments overlap (seconds).
        channels: For each channel with several accepted names, how many recordings had which.
        encodings: How the bytes of reports were read, and of how many.
    """

    files: int = 0
    participants: int = 0
    recordings: int = 0
    records: int = 0
    seconds: float = 0.0
    channels: dict[str, dict[str, int]] = Field(default_factory=dict)
    encodings: dict[str, int] = Field(default_factory=dict)


class StudyCounts(StrictModel):
    """Studies of a store.

    Args:
        complete: With images and a report.
        images_only: Without a report.
        reports_only: Without an image.
    """

    complete: int
    images_only: int
    reports_only: int


class Jitter(StrictModel):
    """How uneven the times of a source's recordings are.

    Args:
        median: Root mean square distance from an even grid, of the middle recording (seconds).
        max: The same, of the worst recording (seconds).
    """

    median: float
    max: float

    @classmethod
    def of(cls, jitters: Sequence[float]) -> Jitter:
        """Of one root mean square a recording.

        >>> Jitter.of([0.001, 0.002, 0.006])
        Jitter(median=0.002, max=0.006)
        """
        return cls(median=round(median(jitters), 9), max=round(max(jitters), 9))


class IngestReport(StrictModel):
    """Counts of one ingest; `files` = `stored_files` + `already_stored` + the ledger's sum.

    Args:
        files: Files in all folders.
        stored_files: Files that records came from.
        already_stored: Files that the store held before.
        records: Records stored by this run.
        participants: Participants with records, of this run.
        sources: The same by source.
        ledger: Files without a record, by reason code.
        jitter: Distance of the samples' times from an even grid, of sources with times: the median
            and the largest root mean square of a recording (seconds).
        assumed_participants: Sources in which each recording counts as a participant of its own,
            because nobody knows who is who.
        dropped_seconds: Signal that no record holds, by reason: `tail` (no whole segment left),
            `gaps` (missing samples), `too_short` (seconds).
        studies: Studies of the whole store by what they have; None without images and reports.
        views: Images of the whole store by view.
        repeated_reports: Files and rows that say what another one of their study says.
        times_unknown: Recordings without a time because what is told is none, or because nothing
            ties it to the times of their participant that the store holds.
        label_conflicts: Labels left empty because values disagree, by label.
        labels_unreadable: Raw label values that could not be used, by label.
        label_versions: Versions of labels, where the configuration gives one, by label.
        participants_without_labels: Participants of this run with no label at all.
        digest: Digest of the store's index afterwards.
        version: The store's version afterwards.
    """

    files: int
    stored_files: int
    already_stored: int
    records: int
    participants: int
    sources: dict[str, SourceReport]
    ledger: dict[str, int]
    jitter: dict[str, Jitter] = Field(default_factory=dict)
    assumed_participants: tuple[str, ...] = ()
    dropped_seconds: dict[str, float]
    studies: StudyCounts | None = None
    views: dict[str, int] = Field(default_factory=dict)
    repeated_reports: int = 0
    times_unknown: int = 0
    label_conflicts: dict[str, int]
    labels_unreadable: dict[str, int]
    label_versions: dict[str, str] = Field(default_factory=dict)
    participants_without_labels: int
    digest: str
    version: int

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON value."""
        return self.model_dump(mode="json")
