"""Ingest: raw files to a store, in two passes, with an account of every file."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from medssl.errors import IngestError
from medssl.ingest.batch import process_batch, read_fragment, read_labels
from medssl.ingest.batch_state import BatchResult, Context, SourceTally
from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import links_table
from medssl.ingest.discover import Discovery, RecordingTask, discover, refused
from medssl.ingest.executor import Outcome, map_batches, refuse_inside_worker
from medssl.ingest.guards import refuse_nesting, require_cohorts, require_same_recipe
from medssl.ingest.held import known_digests, known_reports
from medssl.ingest.label_rules import LabelRule
from medssl.ingest.labels import Evidence, label_table, label_versions, table_evidence
from medssl.ingest.ledger import LedgerRow, Reason, ledger_table, nothing_stored
from medssl.ingest.record_labels import record_label_table, record_table_evidence
from medssl.ingest.report import IngestReport, Jitter, SourceReport
from medssl.ingest.segment_tables import held_segment_labels, join_segment_labels
from medssl.ingest.staging import staging_folder
from medssl.ingest.studies import refuse_shared_studies
from medssl.ingest.study_counts import count_studies, count_views
from medssl.ingest.times import count_from_firsts
from medssl.store import Store, append, schema
from medssl.types import ParticipantId

logger = logging.getLogger(__name__)


def ingest(
    config: IngestConfig, path: Path, *, progress: Callable[[int, int], None] | None = None
) -> IngestReport:
    """Read raw files into a store, or add them to one.

    Pass 1 lists the files and tells their participants; pass 2 reads, resamples, cuts and grades
    them, participant by participant. Every file ends as records or as a row of the ledger. Files
    that the store holds are left out, so an ingest may be repeated after new files came or after
    it was killed. The store's digest does not depend on `workers`.

    With several workers the calling script needs `if __name__ == "__main__":`.

    Args:
        config: What to read.
        path: Folder of the store.
        progress: Called with the recordings done and the recordings in all.

    Raises:
        IngestError: Nothing can be read as configured; says which line to correct.
        StoreError: The store cannot be written.
    """
    if config.workers > 1:
        refuse_inside_worker()
    path = Path(path).absolute()
    folders = tuple(source.folder() for source in config.sources)
    refuse_nesting(folders, path)
    store = Store.open(path) if (path / schema.MANIFEST).exists() else None
    if store is not None:
        require_same_recipe(config, store)
    found = [
        discover(source, position=position, key=config.pseudonym_key)
        for position, source in enumerate(config.sources)
    ]
    require_cohorts(config, found)
    refuse_shared_studies(config, folders, found)
    untied = count_from_firsts(config, found, store)
    tables = _read_label_tables(config, folders, found)
    account = _Account(config)
    account.add_discoveries(found, untied=untied)
    with staging_folder(path) as staging:
        context = Context(
            config=config, folders=folders, staging=staging, known=known_digests(store),
            reports=known_reports(store),
        )  # fmt: skip
        batches = list(_batches(found, config.files_per_task))
        total = sum(map(len, batches))
        done = 0
        for outcome in map_batches(
            partial(process_batch, context), batches, workers=config.workers
        ):
            account.add_outcome(context, outcome)
            done += len(outcome.items)
            if progress is not None:
                progress(done, total)
        return account.finish(path, staging, store, tables, found)


class _Account:
    """Everything that the driver keeps while batches come in."""

    def __init__(self, config: IngestConfig) -> None:
        self._config = config
        self._ledger: list[LedgerRow] = []
        self._fragments: list[Path] = []
        self._participants: set[ParticipantId] = set()
        self._evidence = Evidence()
        self._record_evidence = Evidence()
        self._dropped: defaultdict[str, float] = defaultdict(float)
        self._files: Counter[str] = Counter()
        self._tallies = {source.name: SourceTally() for source in config.sources}
        self._held: list[tuple[RecordingTask, str]] = []
        self._stored_files = 0
        self._already_stored = 0
        self._repeated_reports = 0
        self._timeless = 0

    def add_discoveries(self, found: Sequence[Discovery], *, untied: int) -> None:
        """Take over what pass 1 refused, and how many times it could not tie to the store's."""
        self._timeless = untied
        for source, discovery in zip(self._config.sources, found, strict=True):
            self._files[source.name] = discovery.files
            self._ledger += discovery.ledger
            self._timeless += discovery.timeless

    def add_outcome(self, context: Context, outcome: Outcome[RecordingTask, BatchResult]) -> None:
        """Take over a batch: its shards move into the staging folder itself."""
        for task in outcome.killed:
            source, folder = self._config.sources[task.source], context.folders[task.source]
            self._ledger += refused(
                task.files, source, folder, Reason.READER_FAILED, "the worker process died"
            )
        result = outcome.result
        if result is None:
            return
        self._ledger += result.ledger
        self._stored_files += result.stored_files
        self._already_stored += result.already_stored
        self._repeated_reports += result.repeated_reports
        for reason, seconds in result.dropped.seconds.items():
            self._dropped[reason] += seconds
        self._participants |= result.participants
        self._evidence.update(result.evidence)
        self._record_evidence.update(result.record_evidence)
        self._held += result.held
        for name, tally in result.tallies.items():
            mine = self._tallies[name]
            mine.recordings += tally.recordings
            mine.records += tally.records
            mine.seconds += tally.seconds
            mine.participants |= tally.participants
            mine.jitters += tally.jitters
            mine.taken.update(tally.taken)
            mine.encodings.update(tally.encodings)
        if result.folder is not None:
            for shard in result.folder.glob("*.tar"):
                shard.rename(context.staging / shard.name)
            self._fragments.append(result.folder)

    def finish(
        self,
        path: Path,
        staging: Path,
        store: Store | None,
        tables: Sequence[tuple[LabelRule, Evidence]],
        found: Sequence[Discovery],
    ) -> IngestReport:
        """Append everything to the store, and count it.

        Raises:
            IngestError: There is nothing to append to nothing.
        """
        reasons = Counter(row.reason for row in self._ledger)
        self._check_balance(reasons)
        self._warn_of_empty_sources()
        if store is None and not self._fragments:
            raise IngestError(nothing_stored(self._ledger))
        for rule, evidence in tables:
            own = rule.level == "participant"
            (self._evidence if own else self._record_evidence).update(evidence)
        known: pd.DataFrame | None = store.participants if store is not None else None
        labels, conflicts = label_table(
            self._evidence, self._names("participant"), self._participants, known=known
        )
        fragments = [read_fragment(folder) for folder in self._fragments]
        record_labels, more = record_label_table(
            self._record_evidence,
            [*self._names("record"), *self._names("session")],
            pa.concat_tables([*fragments, *([] if store is None else [store.records])]),
            known=None if store is None else store.record_labels,
        )
        segment_labels = [*map(read_labels, self._fragments), *self._labels_of_held(store)]
        record_labels, conflicted = join_segment_labels(
            record_labels, segment_labels, known=None if store is None else store.record_labels
        )
        after = append(
            path,
            staging=staging,
            records=pa.concat_tables(fragments or [schema.RECORDS_SCHEMA.empty_table()]),
            participants=labels,
            ledger=ledger_table(self._ledger),
            links=links_table(self._links(found)),
            labels=record_labels,
        )
        return self._report(after, reasons, labels, conflicts | more | conflicted)

    def _labels_of_held(self, store: Store | None) -> list[pa.Table]:
        """Labels of segments that the store holds already, by rules or files of today."""
        if store is None or not self._held:
            return []
        tables, unreadable = held_segment_labels(self._config, self._held, store.records)
        self._record_evidence.unreadable.update(unreadable)
        return tables

    def _names(self, level: str) -> list[str]:
        rules = [rule for source in self._config.sources for rule in source.named_rules]
        return [name for rule in rules if rule.level == level for name in rule.names]

    def _unreadable(self) -> Counter[str]:
        return self._evidence.unreadable + self._record_evidence.unreadable

    def _links(self, found: Sequence[Discovery]) -> dict[ParticipantId, tuple[str, str]]:
        return {
            participant: (source.group, original)
            for source, discovery in zip(self._config.sources, found, strict=True)
            for original, participant in discovery.originals.items()
            if participant in self._participants
        }

    def _check_balance(self, reasons: Counter[Reason]) -> None:
        accounted = self._stored_files + self._already_stored + sum(reasons.values())
        if accounted != sum(self._files.values()):
            msg = f"{sum(self._files.values())} files came in and {accounted} are accounted for"
            raise RuntimeError(msg)

    def _warn_of_empty_sources(self) -> None:
        """Lost whole, a source has a setting that does not fit, such as a column's name."""
        for name, files in self._files.items():
            reasons = Counter(row.reason.value for row in self._ledger if row.source == name)
            if files and reasons.total() == files:
                del reasons[Reason.NOT_A_RECORDING.value]
                told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
                logger.warning(
                    "source %s gave no record (%s): `medssl store ledger` tells why", name, told
                )

    def _report(
        self,
        after: Store,
        reasons: Counter[Reason],
        labels: pa.Table,
        conflicts: dict[str, int],
    ) -> IngestReport:
        with_records: set[ParticipantId] = set()
        for tally in self._tallies.values():
            with_records |= tally.participants
        return IngestReport(
            files=sum(self._files.values()),
            stored_files=self._stored_files,
            already_stored=self._already_stored,
            records=sum(tally.records for tally in self._tallies.values()),
            participants=len(with_records),
            sources={
                name: SourceReport(
                    files=self._files[name],
                    participants=len(tally.participants),
                    recordings=tally.recordings,
                    records=tally.records,
                    seconds=round(tally.seconds, 6),
                    channels=_by_channel(tally.taken),
                    encodings=dict(sorted(tally.encodings.items())),
                )
                for name, tally in self._tallies.items()
            },
            ledger={reason.value: count for reason, count in sorted(reasons.items())},
            jitter={
                name: Jitter.of(tally.jitters)
                for name, tally in self._tallies.items()
                if tally.jitters
            },
            assumed_participants=tuple(
                source.name
                for source in self._config.sources
                if source.participant is not None and source.participant.each_recording
            ),
            dropped_seconds={
                name: round(seconds, 6)
                for name, seconds in sorted(self._dropped.items())
                if seconds
            },
            studies=count_studies(after.records),
            views=count_views(after.records),
            repeated_reports=self._repeated_reports,
            times_unknown=self._timeless,
            label_conflicts=conflicts,
            labels_unreadable={
                name: count for name, count in sorted(self._unreadable().items()) if count
            },
            label_versions=label_versions(self._config),
            participants_without_labels=len(with_records - _labelled(labels, after)),
            digest=after.digest,
            version=after.version,
        )


def _labelled(labels: pa.Table, store: Store) -> set[ParticipantId]:
    """Participants with a label of their own, of a session or of a record."""
    rows = labels.to_pylist()
    own = {row.pop(schema.PARTICIPANT): row for row in rows}
    found = {name for name, row in own.items() if any(v is not None for v in row.values())}
    known = set(store.record_labels.index)
    if known:
        pairs = zip(store.column(schema.RECORD), store.column(schema.PARTICIPANT), strict=True)
        found |= {person for record, person in pairs if record in known}
    return found


def _by_channel(taken: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Channel → name in the files → recordings."""
    counts: dict[str, dict[str, int]] = {}
    for (channel, name), count in sorted(taken.items()):
        counts.setdefault(channel, {})[name] = count
    return counts


def _read_label_tables(
    config: IngestConfig, folders: Sequence[Path], found: Sequence[Discovery]
) -> list[tuple[LabelRule, Evidence]]:
    key = config.pseudonym_key
    return [
        (
            rule,
            table_evidence(rule, folder, discovery.people, source=source.name)
            if rule.level == "participant"
            else record_table_evidence(rule, source, folder, discovery, key=key),
        )
        for source, folder, discovery in zip(config.sources, folders, found, strict=True)
        for rule in source.label_rules
    ]


def _batches(found: Sequence[Discovery], size: int) -> Iterator[list[RecordingTask]]:
    """Whole participants, in the order of their pseudonyms, about `size` recordings a batch."""
    tasks = [task for discovery in found for task in discovery.tasks]
    tasks.sort(key=lambda task: (task.participant, task.source, task.path))
    batch: list[RecordingTask] = []
    for task in tasks:
        if len(batch) >= size and task.participant != batch[-1].participant:
            yield batch
            batch = []
        batch.append(task)
    if batch:
        yield batch
