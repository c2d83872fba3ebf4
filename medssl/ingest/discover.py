"""Pass 1: list a source's files, and tell which are recordings and whose."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from medssl.errors import IngestError
from medssl.files import digest_file
from medssl.ingest.deidentify import pseudonym
from medssl.ingest.labels import read_table, require_columns
from medssl.ingest.ledger import LedgerRow, Reason
from medssl.ingest.rules import ParticipantRule, SessionRule
from medssl.ingest.sources import BaseSource, WfdbSource
from medssl.ingest.waveforms.wfdb_header import named_files
from medssl.types import ParticipantId

_PAPERS: Final = re.compile(
    r"(readme|licen[cs]es?|copying|changelog|changes|records|records-.*|sha256sums.*|reference"
    r"|annotators)(\.(txt|md|csv|rst|html?|pdf))?",
    re.IGNORECASE,
)
"""Files that accompany data sets and are no recordings, whatever `include` says."""

_SIGNAL_SUFFIXES: Final = frozenset({".dat", ".mat", ".xyz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTask:
    """One recording to read.

    Args:
        source: Position of its source in the configuration.
        path: POSIX path relative to the source's folder.
        companions: Further files that belong to it, such as the signal files of a WFDB header.
        participant: Pseudonym of its participant.
        session: Original session; empty when there is no rule or a header comment tells it.
    """

    source: int
    path: str
    companions: tuple[str, ...]
    participant: ParticipantId
    session: str

    @property
    def files(self) -> tuple[str, ...]:
        """All files of the recording."""
        return (self.path, *self.companions)


@dataclass(slots=True)
class Discovery:
    """What pass 1 found in one source.

    Args:
        files: Files in the folder.
        tasks: Recordings to read.
        ledger: Files that are none.
        originals: Original participant identifier → pseudonym.
    """

    files: int = 0
    tasks: list[RecordingTask] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    originals: dict[str, ParticipantId] = field(default_factory=dict)


def discover(source: BaseSource, *, position: int, key: str) -> Discovery:
    """List the files of a source: recordings with their participants, and the rest as ledger rows.

    Reads names and, of WFDB recordings, headers; no signals.

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
    chosen = [path for path in files if _is_recording(path, source.patterns, tables)]
    wfdb = isinstance(source, WfdbSource)
    claims = {path: claims_of(folder, path) if wfdb else () for path in chosen}
    owners = owners_of(claims)
    listing = set(files)
    companions: dict[str, list[str]] = {path: [] for path in chosen}
    for file, header in owners.items():
        if file in listing and file not in companions:
            companions[header].append(file)
    claimed = {file for named in companions.values() for file in named} | set(chosen)
    for path in files:
        if path not in claimed:
            found.ledger += refused([path], source, folder, _leftover(path), "")
    tell = _participant_teller(source.participant, folder)
    for path in chosen:
        own = [path, *sorted(companions[path])]
        if any(owners[file] != path for file in claims[path]):
            found.ledger += refused(own, source, folder, Reason.DUPLICATE_SOURCE, "")
            continue
        original = tell(path)
        if not original:
            found.ledger += refused(own, source, folder, Reason.NO_PARTICIPANT, "")
            continue
        participant = found.originals.setdefault(
            original, pseudonym(original, source=source.group, key=key)
        )
        found.tasks.append(
            RecordingTask(
                source=position,
                path=path,
                companions=tuple(own[1:]),
                participant=participant,
                session=_session(source.session, path),
            )
        )
    _require_tasks(source, found, chosen)
    return found


def list_files(folder: Path) -> Iterator[str]:
    """Every file below a folder, as a sorted POSIX path relative to it; links are not followed.

    Raises:
        IngestError: A folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        msg = f"cannot list a folder below {folder} ({error.strerror}): make it readable"
        raise IngestError(msg) from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*names, *links]):
            yield Path(parent, name).relative_to(folder).as_posix()


@lru_cache(maxsize=64)
def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression; `**/` also matches no folder at all."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(meaning.get(part, re.escape(part)) for part in parts)
    return re.compile(expression, re.IGNORECASE | re.DOTALL)


def matches(path: str, pattern: str) -> bool:
    """Whether a relative POSIX path matches a glob; upper and lower case are the same.

    >>> matches("a.txt", "**/*.txt"), matches("x/y/a.txt", "**/*.txt"), matches("x/a.txt", "*.txt")
    (True, True, False)
    """
    return _glob(pattern).fullmatch(path) is not None


def _is_recording(path: str, patterns: tuple[str, ...], tables: set[str]) -> bool:
    if path in tables or is_paper(path):
        return False
    return any(matches(path, pattern) for pattern in patterns)


def _tables(source: BaseSource) -> tuple[str | None, ...]:
    return (source.participant.table, *(rule.table for rule in source.labels))


def _unusable(path: Path, folder: Path) -> Reason | None:
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        return Reason.PATH_OUTSIDE_FOLDER
    return None if path.is_file() else Reason.NOT_A_RECORDING


def _leftover(path: str) -> Reason:
    # A header beside it does not help: it is broken, or names other files.
    signal = PurePosixPath(path).suffix.lower() in _SIGNAL_SUFFIXES
    return Reason.ORPHAN_DATA_FILE if signal else Reason.NOT_A_RECORDING


def is_text(path: str) -> bool:
    r"""Whether a path is text, and not bytes that file systems let stand for a name.

    >>> is_text("Jürgen.txt"), is_text(os.fsdecode(b"J\xfcrgen.txt"))
    (True, False)
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(path: str) -> str:
    return path if is_text(path) else os.fsencode(path).decode("utf-8", "backslashreplace")


def is_paper(path: str) -> bool:
    """Whether a file accompanies a data set, such as a readme or a licence.

    >>> is_paper("a/README.txt"), is_paper("a/rec_1.txt")
    (True, False)
    """
    return _PAPERS.fullmatch(PurePosixPath(path).name) is not None


def claims_of(folder: Path, header: str) -> tuple[str, ...]:
    """Relative paths of the files that a header names, in its own folder."""
    try:
        names = named_files(folder / header)
    except OSError:
        return ()  # pass 2 says why it cannot be read
    parent = PurePosixPath(header).parent
    return tuple((parent / name).as_posix() for name in names if name != "~")


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


class _Teller:
    """Tells a file's participant by one rule."""

    def __init__(self, rule: ParticipantRule, table: Mapping[str, str]) -> None:
        self._pattern = re.compile(rule.pattern) if rule.pattern else None
        self._from_parent = rule.from_parent
        self._table = table

    def __call__(self, path: str) -> str | None:
        if self._pattern is not None:
            match = self._pattern.search(path)
            return match.group("participant") if match else None
        file = PurePosixPath(path)
        if self._from_parent:
            return file.parent.name
        return self._table.get(path) or self._table.get(file.with_suffix("").as_posix())


def _participant_teller(rule: ParticipantRule, folder: Path) -> _Teller:
    if rule.table is None:
        return _Teller(rule, {})
    path = folder / rule.table
    rows = read_table(path, header_row=rule.header_row)
    file, column = rule.file or "", rule.column or ""
    require_columns(rows.columns, [file, column], path=path)
    table: dict[str, str] = {}
    for row in rows.rows:
        name = PurePosixPath(row.get(file, "").replace("\\", "/")).as_posix()
        if table.setdefault(name, row.get(column, "")) != row.get(column, ""):
            msg = f"table {path} gives one file two participants: correct it"
            raise IngestError(msg)
    return _Teller(rule, table)


def _session(rule: SessionRule | None, path: str) -> str:
    if rule is None:
        return ""
    if rule.from_parent:
        return PurePosixPath(path).parent.as_posix()
    match = re.search(rule.pattern, path) if rule.pattern else None
    return (match.group("session") or "") if match else ""


def refused(
    paths: Iterable[str], source: BaseSource, folder: Path, reason: Reason, detail: str
) -> list[LedgerRow]:
    """Ledger rows for files that gave no record."""
    return [
        LedgerRow(
            source=source.name,
            path=_escaped(path),
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


def _require_tasks(source: BaseSource, found: Discovery, chosen: list[str]) -> None:
    if found.tasks:
        return
    if not chosen:
        msg = (
            f"source {source.name}: none of {found.files} files in {source.folder()} matches "
            f"{', '.join(source.patterns)}; correct path or include"
        )
        raise IngestError(msg)
    told = sum(row.reason is Reason.NO_PARTICIPANT for row in found.ledger)
    if told:
        msg = (
            f"source {source.name}: the participant rule matches none of {len(chosen)} "
            "recordings; correct participant: pattern"
        )
        raise IngestError(msg)
