"""Looking for damage: sizes, places, orphans and digests, as sentences."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medssl.errors import StoreError
from medssl.files import digest_bytes, digest_file
from medssl.store import schema
from medssl.store.index import check_records, digest_index, read_records, read_table
from medssl.store.layout import Layout, build_layout
from medssl.store.manifest import Manifest, index_folder, read_manifest, shard_path
from medssl.store.reader import Store
from medssl.types import Array

_MAX_ROWS = 5
"""Rows named in one sentence."""


def verify(path: str | Path, deep: bool = False) -> list[str]:
    """Everything that is wrong with a store.

    Args:
        path: Folder of the store.
        deep: Also read every shard: tar headers, and the content digest of every record.

    Returns:
        One sentence a problem; empty when there is none.
    """
    root = Path(path).absolute()
    try:
        manifest = read_manifest(root)
    except StoreError as error:
        return [str(error)]
    problems = [*_shards(root, manifest), *_orphans(root, manifest)]
    folder = index_folder(root, manifest.version)
    problems += _index_files(root, folder, manifest)
    try:
        check_records(folder / schema.RECORDS)
        records = read_records(folder / schema.RECORDS)
        participants = read_table(folder / schema.PARTICIPANTS)
        labels = _labels(folder, manifest)
    except StoreError as error:
        return [*problems, str(error)]
    if schema.PARTICIPANT in participants.column_names:
        problems += _tables(records, participants, labels, manifest)
    layout = build_layout(records, manifest.shards)
    problems += _places(layout)
    if deep:
        problems += _archives(root, manifest, layout)
        problems += _contents(root, layout, records)
    return problems


def _shards(root: Path, manifest: Manifest) -> Iterator[str]:
    for name, size in sorted(manifest.shards.items()):
        path = shard_path(root, name)
        if not path.is_file():
            yield f"shard {name} is missing"
        elif path.stat().st_size != size:
            yield f"shard {name} has {path.stat().st_size} bytes and should have {size}"


def _orphans(root: Path, manifest: Manifest) -> Iterator[str]:
    versions = {index_folder(root, number + 1).name for number in range(manifest.version)}
    for folder, expected in ((schema.SHARDS, set(manifest.shards)), (schema.INDEX, versions)):
        present = {entry.name for entry in (root / folder).glob("*")}
        for name in sorted(present - expected):
            yield f"{folder}/{name} belongs to no version; the next append removes it"
        if folder == schema.INDEX:
            yield from (f"{folder}/{name} is missing" for name in sorted(expected - present))


def _index_files(root: Path, folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, digest in sorted(manifest.files.items()):
        path = folder / name
        if not path.is_file():
            yield f"index file {path.relative_to(root)} is missing"
        elif digest_file(path) != digest:
            yield f"index file {path.relative_to(root)} is not the one that was written"


def _labels(folder: Path, manifest: Manifest) -> pa.Table | None:
    return read_table(folder / schema.LABELS) if schema.LABELS in manifest.files else None


def _tables(
    records: pa.Table, participants: pa.Table, labels: pa.Table | None, manifest: Manifest
) -> Iterator[str]:
    if digest_index(records, participants, labels) != manifest.digest:
        yield "the index digest is not the one in store.json"
    names = records.column(schema.RECORD)
    repeated = len(names) - len(pc.unique(names))
    if repeated:
        yield f"{repeated} record name(s) occur more than once"
    known = participants.column(schema.PARTICIPANT).combine_chunks()
    strangers = pc.invert(pc.is_in(records.column(schema.PARTICIPANT), value_set=known))
    count = pc.sum(strangers).as_py() or 0
    if count:
        yield f"{count} record(s) belong to a participant that the index does not list"


def _places(layout: Layout) -> Iterator[str]:
    for code in np.unique(layout.problem[layout.problem > 0]):
        rows = np.flatnonzero(layout.problem == code)
        yield f"{_name(rows)} {layout.problems[code]}"


def _name(rows: np.ndarray) -> str:
    shown = ", ".join(map(str, rows[:_MAX_ROWS]))
    more = len(rows) - _MAX_ROWS
    return f"row {shown}" + (f" and {more} more" if more > 0 else "")


def _archives(root: Path, manifest: Manifest, layout: Layout) -> Iterator[str]:
    """Compare the tar members of every shard with the index: other readers rely on them."""
    for code, name in enumerate(layout.shards):
        path = shard_path(root, name)
        if name not in manifest.shards or not path.is_file():
            continue
        rows = np.flatnonzero((layout.shard == code) & (layout.problem == 0))
        try:
            with tarfile.open(path, "r:") as archive:
                members = list(archive)
                yield from _npy_headers(archive, members, name)
        except (tarfile.TarError, OSError, EOFError) as error:
            yield f"shard {name} is not a whole tar archive ({error})"
            continue
        starts = np.array([member.offset_data for member in members] or [0], dtype=np.int64)
        ends = starts + np.array([member.size for member in members] or [0], dtype=np.int64)
        position = np.searchsorted(starts, layout.offset[rows], side="right") - 1
        outside = (position < 0) | (layout.offset[rows] + layout.size[rows] > ends[position])
        if outside.any():
            yield f"{_name(rows[outside])} lies in no member of shard {name}"


def _npy_headers(
    archive: tarfile.TarFile, members: list[tarfile.TarInfo], shard: str
) -> Iterator[str]:
    for member in members:
        if not member.name.endswith(".npy"):
            continue
        file = archive.extractfile(member)
        head = io.BytesIO(file.read(4096) if file else b"")
        try:
            np.lib.format.read_magic(head)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(head)
        except ValueError:
            yield f"member {member.name} of shard {shard} has a damaged header"
            continue
        if fortran or int(np.prod(shape)) * dtype.itemsize + head.tell() != member.size:
            yield f"member {member.name} of shard {shard} has a header that does not fit its size"


def _contents(root: Path, layout: Layout, records: pa.Table) -> Iterator[str]:
    store = Store.open(root)
    expected = records.column(schema.CONTENT_DIGEST).to_pylist()
    for row in range(len(records)):
        if layout.problem[row]:
            continue
        try:
            data = store.read_record(row)
        except StoreError as error:
            yield str(error)
            continue
        if _digest(data) != expected[row]:
            shard = layout.shards[layout.shard[row]]
            yield f"row {row} in shard {shard} is not what was stored: its digest differs"


def _digest(data: Array | str) -> str:
    """As `Record.content_digest`, for data without a record."""
    if isinstance(data, str):
        return digest_bytes(data.encode())
    return digest_bytes(f"{data.dtype.str}{data.shape}".encode() + data.tobytes())
