"""Manifests: tables that list recordings and tell whose they are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from medssl.errors import IngestError
from medssl.ingest.manifest_rule import ManifestRule
from medssl.ingest.tables import read_table, require_columns


@dataclass(slots=True)
class Manifest:
    """A manifest, compared with the files that are there.

    Args:
        rows: Recording → its row, as column → text.
        absent: Paths of rows whose file is not there, as a reader of the ledger looks for them.
    """

    rows: dict[str, Mapping[str, str]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)


def read_manifest(
    rule: ManifestRule, folder: Path, *, recordings: Sequence[str], files: Iterable[str]
) -> Manifest:
    """Read a manifest and find the recording of each row.

    Args:
        rule: The source's rule.
        folder: Folder of the source.
        recordings: Files that the source takes for recordings.
        files: All its files; a row that names one of them that is no recording of this source is
            left to another source.

    Raises:
        IngestError: The table or a column is absent, or two rows say two things of one recording.
    """
    path = folder / rule.table
    table = read_table(path, header_row=rule.header_row)
    require_columns(table.columns, rule.columns, path=path)
    names = by_name(recordings)
    others = set(files)
    found = Manifest()
    absent: dict[str, Mapping[str, str]] = {}
    first_row = rule.header_row + 1
    for number, whole in enumerate(table.rows, start=first_row):
        if not rule.takes(whole):
            continue
        row = {name: whole.get(name, "") for name in rule.columns}
        said = row[rule.file]
        if not said:
            msg = f"manifest {path}: row {number} (empty rows not counted) names no file: add it"
            raise IngestError(msg)
        places = places_of(said, rule.table)
        recording = next((names[place] for place in places if place in names), None)
        if recording is None and any(place in others for place in places):
            continue
        name, rows = (places[0], absent) if recording is None else (recording, found.rows)
        if rows.setdefault(name, row) != row:
            msg = f"manifest {path}: two rows name {name} and differ: delete one of them"
            raise IngestError(msg)
    found.absent = list(absent)
    return found


def by_name(recordings: Iterable[str]) -> dict[str, str]:
    """Paths with and, where that names one recording only, without their ending → recording.

    >>> by_name(["a/1.csv", "a/2.csv", "a/2.txt"])
    {'a/1.csv': 'a/1.csv', 'a/2.csv': 'a/2.csv', 'a/2.txt': 'a/2.txt', 'a/1': 'a/1.csv'}
    """
    paths = list(recordings)
    bare: dict[str, list[str]] = {}
    for path in paths:
        bare.setdefault(PurePosixPath(path).with_suffix("").as_posix(), []).append(path)
    short = {name: same[0] for name, same in bare.items() if len(same) == 1}
    return {path: path for path in paths} | {n: p for n, p in short.items() if n not in paths}


def places_of(said: str, table: str) -> tuple[str, ...]:
    r"""Where a path in a table may point: below the source's folder, or below the table's own.

    >>> places_of(r".\a\1.csv", "tables/list.csv")
    ('a/1.csv', 'tables/a/1.csv')
    """
    name = said.replace("\\", "/")
    parents = ("", PurePosixPath(table.replace("\\", "/")).parent.as_posix())
    return tuple(
        dict.fromkeys(posixpath.normpath(posixpath.join(parent, name)) for parent in parents)
    )
