"""What a study may not be: two people's, or one with two reports that differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medssl.ingest.config import IngestConfig
from medssl.ingest.discover import Discovery, RecordingTask, refused
from medssl.ingest.ledger import Reason, Unreadable
from medssl.types import Kind, ParticipantId


def refuse_shared_studies(
    config: IngestConfig, folders: Sequence[Path], found: Sequence[Discovery]
) -> None:
    """Refuse all recordings of a study that two participants of one cohort claim.

    Args:
        config: What is ingested.
        folders: Folder of each source.
        found: What pass 1 found; such tasks go to its ledger.
    """
    owners: defaultdict[tuple[str, str], set[ParticipantId]] = defaultdict(set)
    for source, discovery in zip(config.sources, found, strict=True):
        for task in discovery.tasks:
            if task.study:
                owners[source.group, task.study].add(task.participant)
    for source, folder, discovery in zip(config.sources, folders, found, strict=True):
        kept = []
        for task in discovery.tasks:
            people = len(owners[source.group, task.study]) if task.study else 1
            if people == 1:
                kept.append(task)
                continue
            detail = f"{people} participants in {source.group}"
            discovery.ledger += refused(
                task.files, source, folder, Reason.STUDY_OF_TWO_PARTICIPANTS, detail
            )
        discovery.tasks[:] = kept


@dataclass(slots=True)
class Reports:
    """Reports of some participants, compared with those of the same study.

    Args:
        differing: Reports whose study has others that differ → how many differ.
        repeated: Reports that say what another one of the study says, which is stored instead.
        held: Those of `repeated` that the store holds already.
    """

    differing: dict[RecordingTask, int] = field(default_factory=dict)
    repeated: set[RecordingTask] = field(default_factory=set)
    held: set[RecordingTask] = field(default_factory=set)


def compare_reports(
    config: IngestConfig,
    tasks: Iterable[RecordingTask],
    *,
    digest: Callable[[RecordingTask], str],
    known: Callable[[RecordingTask], bool],
    stored: Callable[[RecordingTask], Collection[str]],
) -> Reports:
    """Which reports differ from, or repeat, another one of their study.

    Args:
        config: What is ingested.
        tasks: All recordings of some participants.
        digest: Digest of a report's text; raises `Unreadable` where it has none.
        known: Whether the store holds this very report.
        stored: Digests of the reports that the store holds of its study.
    """
    studies: defaultdict[tuple[str, str, str], list[RecordingTask]] = defaultdict(list)
    for task in tasks:
        source = config.sources[task.source]
        if task.study and source.kind is Kind.TEXT:
            studies[task.participant, source.group, task.study].append(task)
    found = Reports()
    for group in studies.values():
        held = set(stored(group[0]))
        if len(group) == 1 and not held:
            continue
        new = [task for task in group if not _known(task, known)]
        texts = _digests(new, digest)
        different = held | set(texts.values())
        if len(different) > 1:
            found.differing.update(dict.fromkeys(texts, len(different)))
        elif held:
            found.held.update(texts)
            found.repeated.update(texts)
        else:
            found.repeated.update(list(texts)[1:])
    return found


def _known(task: RecordingTask, known: Callable[[RecordingTask], bool]) -> bool:
    """Whether the store holds a report; pass 2 says what is wrong with one that cannot be read."""
    try:
        return known(task)
    except Unreadable:
        return False


def _digests(
    tasks: Iterable[RecordingTask], digest: Callable[[RecordingTask], str]
) -> Mapping[RecordingTask, str]:
    """Digests of those that can be read: pass 2 says what is wrong with the others."""
    texts: dict[RecordingTask, str] = {}
    for task in tasks:
        try:
            texts[task] = digest(task)
        except Unreadable:
            continue
    return texts
