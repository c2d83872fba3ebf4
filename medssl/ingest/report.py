"""What an ingest did, in numbers: no names, no identifiers."""

from __future__ import annotations

from typing import Any

from medssl.config import StrictModel


class SourceReport(StrictModel):
    """Counts of one source.

    Args:
        files: Files in its folder.
        participants: Participants with records, of this run.
        recordings: Recordings that gave records.
        records: Records stored.
        seconds: Signal stored, counted once where segments overlap (seconds).
    """

    files: int = 0
    participants: int = 0
    recordings: int = 0
    records: int = 0
    seconds: float = 0.0


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
        dropped_seconds: Signal that no record holds, by reason: `tail` (no whole segment left),
            `gaps` (missing samples), `too_short` (seconds).
        label_conflicts: Labels left empty because values disagree, by label.
        labels_unreadable: Raw label values that could not be used, by label.
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
    dropped_seconds: dict[str, float]
    label_conflicts: dict[str, int]
    labels_unreadable: dict[str, int]
    participants_without_labels: int
    digest: str
    version: int

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON value."""
        return self.model_dump(mode="json")
