"""Pass 1: list a source's files, and tell which are recordings and whose."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from medssl.errors import IngestError
from medssl.files import digest_file
from medssl.ingest.deidentify import pseudonym
from medssl.ingest.ledger import LedgerRow, Reason, Unreadable
from medssl.ingest.listing import escaped, is_paper, is_text, list_files, matches
from medssl.ingest.manifest import Manifest, read_manifest
from medssl.ingest.members import Member
from medssl.ingest.readers import list_members
from medssl.ingest.sidecars import sidecar_of
from medssl.ingest.sources import ReportTableSource, Source, WfdbSource
from medssl.ingest.tellers import Teller, Told
from medssl.ingest.waveforms.wfdb_text import named_files
from medssl.types import Kind, ParticipantId

_SIGNAL_SUFFIXES: Final = frozenset({".dat", ".mat", ".xyz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTask:
    """One recording to read.

    Args:
        source: Position of its source in the configuration.
        path: POSIX path relative to the source's folder; of a file with several recordings
            followed by `#` and the key of this one.
        companions: Further files that belong to it, such as the signal files of a WFDB header.
        notes: Files that hold nothing but labels of its segments: they are no part of its digest.
        participant: Pseudonym of its participant.
        session: Original session; empty when there is no rule or a header comment tells it.
        study: Original study; empty without one.
        view: View of an image, if that is told.
        time: When it was made, if that is told: in days, at last from its participant's first.
        site: Where it was recorded, if that is told.
        device: What it was recorded with, if that is told.
        member: Key of the recording in its file; empty when the file holds one.
        repeats: Further places in the file that hold the same.
    """

    source: int
    path: str
    companions: tuple[str, ...]
    participant: ParticipantId
    session: str
    study: str = ""
    view: str | None = None
    time: float | None = None
    site: str | None = None
    device: str | None = None
    member: str = ""
    repeats: int = 0
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The file to open."""
        return self.path.removesuffix(f"#{self.member}") if self.member else self.path

    @property
    def files(self) -> tuple[str, ...]:
        """All files of the recording, by the names under which they are counted."""
        return (self.path, *self.companions, *self.notes)


@dataclass(slots=True)
class Discovery:
    """What pass 1 found in one source.

    Args:
        files: Files in the folder, and files that only its manifest knows.
        tasks: Recordings to read.
        ledger: Files that are none.
        originals: Original participant identifier → pseudonym.
        aliases: Another identifier of a participant → the original one.
        timeless: Recordings of which a time is told that cannot be read.
    """

    files: int = 0
    tasks: list[RecordingTask] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    originals: dict[str, ParticipantId] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    timeless: int = 0

    @property
    def people(self) -> dict[str, ParticipantId]:
        """Every identifier by which a table may call a participant → pseudonym."""
        known = {alias: self.originals.get(name) for alias, name in self.aliases.items()}
        return self.originals | {name: person for name, person in known.items() if person}


def discover(source: Source, *, position: int, key: str) -> Discovery:
    """List the files of a source: recordings with their participants, and the rest as ledger rows.

    Reads names and, of WFDB recordings, headers; of files with several recordings what tells them
    apart. No signals.

    Args:
        source: The source.
        position: Its position in the configuration.
        key: Secret behind the pseudonyms.

    Raises:
        IngestError: There is nothing to read, or no participant can be told.
    """
    folder = source.folder()
    found = Discovery()
    files = []
    for path in list_files(folder):
        found.files += 1
        if not is_text(path):
            found.ledger += refused([path], source, folder, Reason.UNREADABLE_NAME, "")
            continue
        reason = _unusable(folder / path, folder)
        if reason is None:
            files.append(path)
        else:
            found.ledger += refused([path], source, folder, reason, "")
    tables = {table for table in _tables(source) if table}
    named = [path for path in files if _is_recording(path, source.patterns, tables)]
    beside = {sidecar_of(path, source) for path in named}
    beside |= {file for path in named for file in notes_of(path, source)}
    chosen = [path for path in named if path not in beside]
    wfdb = isinstance(source, WfdbSource)
    claims = without_segments({path: claims_of(folder, path) if wfdb else () for path in chosen})
    chosen = list(claims)
    owners = owners_of(claims)
    companions = _companions(source, chosen, owners, set(files))
    claimed = {file for own in companions.values() for file in own} | set(chosen)
    notes = _notes(source, chosen, set(files) - claimed)
    claimed |= {file for own in notes.values() for file in own}
    for path in files:
        if path not in claimed:
            found.ledger += refused([path], source, folder, _leftover(path, signals=wfdb), "")
    manifest = _manifest(source, folder, found, chosen, files)
    teller = Teller(source, folder, manifest)
    found.aliases = source.participant.aliases if source.participant is not None else {}
    for path in chosen:
        own = [path, *sorted(companions[path]), *notes[path]]
        try:
            if any(owners[file] != path for file in claims[path]):
                raise Unreadable(Reason.DUPLICATE_SOURCE)
            if manifest is not None and path not in manifest.rows:
                raise Unreadable(Reason.NOT_LISTED)
            members = _members(source, folder, path)
        except Unreadable as verdict:
            found.ledger += refused(own, source, folder, verdict.reason, verdict.detail)
            continue
        # Each recording of a file counts as a file; what lies beside it goes with the first.
        found.files += len(members) - 1
        for place, member in enumerate(members):
            names = [path if member is None else member.path_in(path), *(own[1:] * (place == 0))]
            try:
                told = teller.tell(path, member)
            except Unreadable as verdict:
                found.ledger += refused(names, source, folder, verdict.reason, verdict.detail)
                continue
            participant = found.originals.setdefault(
                told.participant, pseudonym(told.participant, source=source.group, key=key)
            )
            found.timeless += told.timeless
            found.tasks.append(_task(position, participant, told, member, names, notes[path]))
    _require_tasks(source, found, chosen)
    return found


def _task(
    position: int, participant: ParticipantId, told: Told, member: Member | None,
    names: Sequence[str], notes: Collection[str],
) -> RecordingTask:  # fmt: skip
    """A recording to read; the first of its names is its own."""
    return RecordingTask(
        source=position,
        path=names[0],
        companions=tuple(name for name in names[1:] if name not in notes),
        notes=tuple(name for name in names[1:] if name in notes),
        participant=participant,
        session=told.session,
        study=told.study,
        view=told.view,
        time=told.time,
        site=told.site,
        device=told.device,
        member="" if member is None else member.key,
        repeats=0 if member is None else member.repeats,
    )


def _members(source: Source, folder: Path, path: str) -> Sequence[Member | None]:
    """The recordings in a file; None stands for the file itself.

    Raises:
        Unreadable: It cannot be read, or holds none.
    """
    members = list_members(folder / path, source, folder=folder)
    if members is None:
        return (None,)
    if not members:
        empty = Reason.TOO_SHORT if source.kind is Kind.WAVEFORM else Reason.EMPTY_REPORT
        raise Unreadable(empty, "no recording in the file")
    return members


def _companions(
    source: Source, chosen: list[str], owners: Mapping[str, str], files: set[str]
) -> dict[str, list[str]]:
    """Recording → files that belong to it: what its header names, and its sidecar."""
    companions: dict[str, list[str]] = {path: [] for path in chosen}
    for file, header in owners.items():
        if file in files and file not in companions:
            companions[header].append(file)
    taken: set[str] = set()
    for path in chosen:
        sidecar = sidecar_of(path, source)
        # Of two recordings with one sidecar both have its comments, and the first counts it.
        if sidecar in files and sidecar not in taken and sidecar not in owners:
            companions[path].append(sidecar)
            taken.add(sidecar)
    return companions


def notes_of(path: str, source: Source) -> tuple[str, ...]:
    """Where files with labels of a recording's segments would be."""
    files = (rule.file_of(path) for rule in source.segment_rules)
    return tuple(dict.fromkeys(file for file in files if file is not None))


def _notes(source: Source, chosen: list[str], free: set[str]) -> dict[str, list[str]]:
    """Recording → files with labels of its segments; the first of several recordings counts one.

    Raises:
        IngestError: A rule finds no file beside any recording.
    """
    for rule in source.segment_rules:
        if chosen and free.isdisjoint(file for path in chosen if (file := rule.file_of(path))):
            msg = (
                f"source {source.name}: none of {len(chosen)} recordings has a file beside it for "
                f"the labels {', '.join(rule.names)}; correct annotations or series"
            )
            raise IngestError(msg)
    notes: dict[str, list[str]] = {}
    for path in chosen:
        notes[path] = [file for file in notes_of(path, source) if file in free]
        free.difference_update(notes[path])
    return notes


def _manifest(
    source: Source, folder: Path, found: Discovery, chosen: list[str], files: list[str]
) -> Manifest | None:
    """The source's manifest; its rows without a file become rows of the ledger."""
    if source.manifest is None:
        return None
    manifest = read_manifest(source.manifest, folder, recordings=chosen, files=files)
    found.files += len(manifest.absent)
    found.ledger += [
        LedgerRow(
            source=source.name, path=escaped(path), source_digest="", reason=Reason.MISSING_FILE
        )
        for path in manifest.absent
    ]
    return manifest


def _is_recording(path: str, patterns: tuple[str, ...], tables: set[str]) -> bool:
    if path in tables or is_paper(path):
        return False
    return any(matches(path, pattern) for pattern in patterns)


def _tables(source: Source) -> tuple[str | None, ...]:
    """Tables that are read for what they say of other files."""
    if isinstance(source, ReportTableSource):
        return ()  # the labels of reports may stand in the table that the reports stand in
    rules = (source.participant, source.manifest, *source.label_rules)
    return tuple(rule.table for rule in rules if rule is not None)


def _unusable(path: Path, folder: Path) -> Reason | None:
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        return Reason.PATH_OUTSIDE_FOLDER
    return None if path.is_file() else Reason.NOT_A_RECORDING


def _leftover(path: str, *, signals: bool) -> Reason:
    # A header beside it does not help: it is broken, or names other files.
    signal = signals and PurePosixPath(path).suffix.lower() in _SIGNAL_SUFFIXES
    return Reason.ORPHAN_DATA_FILE if signal else Reason.NOT_A_RECORDING


def claims_of(folder: Path, header: str) -> tuple[str, ...]:
    """Relative paths of the files that a header names, in its own folder."""
    try:
        names = named_files(folder / header)
    except OSError:
        return ()  # pass 2 says why it cannot be read
    parent = PurePosixPath(header).parent
    return tuple((parent / name).as_posix() for name in names if name != "~")


def without_segments(claims: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Headers that are recordings of their own: those that no other names as its segment.

    >>> without_segments({"r.hea": ("r_1.hea", "r_1.dat"), "r_1.hea": ("r_1.dat",)})
    {'r.hea': ('r_1.hea', 'r_1.dat')}
    """
    segments = {file for header, files in claims.items() for file in files if file != header}
    return {header: files for header, files in claims.items() if header not in segments}


def owners_of(claims: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The header that each signal file belongs to: its namesake, else the first that names it."""
    owners: dict[str, str] = {}
    # A header with an ending in capitals cannot be read and takes nothing from one that can.
    headers = sorted(claims, key=lambda header: PurePosixPath(header).suffix != ".hea")
    for namesake in (True, False):
        for header in headers:
            for file in claims[header]:
                same = PurePosixPath(file).stem == PurePosixPath(header).stem
                if same is namesake:
                    owners.setdefault(file, header)
    return owners


def refused(
    paths: Iterable[str], source: Source, folder: Path, reason: Reason, detail: str
) -> list[LedgerRow]:
    """Ledger rows for files that gave no record."""
    return [
        LedgerRow(
            source=source.name,
            path=escaped(path),
            source_digest=safe_digest(folder / path, folder),
            reason=reason,
            detail=detail,
        )
        for path in paths
    ]


def safe_digest(path: Path, folder: Path) -> str:
    """Digest of a regular file inside the folder; empty text when there is none to read."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
        return digest_file(path) if inside and path.is_file() else ""
    except OSError:
        return ""


def _require_tasks(source: Source, found: Discovery, chosen: list[str]) -> None:
    if found.tasks:
        return
    if not chosen:
        msg = (
            f"source {source.name}: none of {found.files} files in {source.folder()} matches "
            f"{', '.join(source.patterns)}; correct path or include"
        )
        raise IngestError(msg)
    reasons = {row.reason for row in found.ledger}
    if Reason.NO_STUDY in reasons:
        msg = (
            f"source {source.name}: the study rule matches none of {len(chosen)} recordings; "
            "correct study"
        )
        raise IngestError(msg)
    if Reason.NO_PARTICIPANT in reasons:
        msg = (
            f"source {source.name}: the participant rule matches none of {len(chosen)} "
            "recordings; correct participant: pattern"
        )
        raise IngestError(msg)
    if Reason.NOT_LISTED in reasons and source.manifest is not None:
        rows = "the rows that `where` takes" if source.manifest.where else "the manifest"
        msg = (
            f"source {source.name}: column {source.manifest.file!r} of {rows} names none of "
            f"{len(chosen)} recordings; it must hold paths relative to {source.folder()}"
        )
        raise IngestError(msg)
