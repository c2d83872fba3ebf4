"""Appending to a store: one writer at a time, and the store is the old one or the new one."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import filelock
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from medssl.errors import StoreError
from medssl.files import digest_file, publish_folder, sync_folder
from medssl.records import Record
from medssl.store import schema
from medssl.store.index import conform, digest_index, read_records, read_table, write_table
from medssl.store.layout import build_layout
from medssl.store.manifest import (
    SHARD_NAME,
    Manifest,
    exists,
    index_folder,
    read_manifest,
    shard_path,
    write_manifest,
)
from medssl.store.merge import fresh_records, merge_labels, merge_participants, merge_rows
from medssl.store.reader import Store
from medssl.store.shard import ShardWriter
from medssl.types import Kind

_log = logging.getLogger(__name__)

_PARTICIPANTS = pa.schema(
    [pa.field(schema.PARTICIPANT, pa.string()), pa.field(schema.ADDED, pa.int32())]
)
_LABELS = pa.schema([pa.field(schema.RECORD, pa.string())])


def append(
    path: Path,
    *,
    staging: Path,
    records: pa.Table,
    participants: pa.Table,
    ledger: pa.Table,
    links: pa.Table | None = None,
    labels: pa.Table | None = None,
) -> Store:
    """Add finished shards to a store, or make the store.

    Records that the store already holds (by name) are skipped, so the same append may be
    repeated; without anything new no version is made. Rows that exist keep their numbers, and
    no shard and no older index is touched. Until `store.json` is replaced, as the last step, the
    store is the old one, whatever happens; the next writer removes what a killed one left.

    Args:
        path: Folder of the store.
        staging: Folder with the shards that `records` names; they are taken from there.
        records: What `ShardWriter.close` gave, of one or several writers.
        participants: A column `participant` and labels. Participants of `records` that are
            missing here get no labels.
        ledger: Inputs that gave no record.
        links: Pseudonyms and original identifiers, kept beside the index in a file of its own.
        labels: A column `record` and labels of records, also of those in the store already.

    Raises:
        StoreError: Another process is writing, the tables or shards are not as they should be,
            a label contradicts the store, or the disk is full.
    """
    records = conform(records, schema.RECORDS_SCHEMA, what="records")
    ledger = conform(ledger, schema.LEDGER_SCHEMA, what="ledger rows")
    if links is None:
        links = schema.LINKS_SCHEMA.empty_table()
    links = conform(links, schema.LINKS_SCHEMA, what="links")
    for name in pc.unique(records.column(schema.SHARD)).to_pylist():
        if not SHARD_NAME.fullmatch(name):
            msg = f"shard name {name!r} is not one that ShardWriter gives"
            raise StoreError(msg)
    path = Path(path).absolute()
    with _writing(path):
        tables, version = _read_current(path)
        fresh = fresh_records(tables[schema.RECORDS], records)
        merged = _merge(tables, fresh, participants, ledger, links, version=version + 1)
        merged[schema.LABELS] = merge_labels(
            tables[schema.LABELS],
            _LABELS.empty_table() if labels is None else labels,
            merged[schema.RECORDS],
        )
        used = sorted(pc.unique(fresh.column(schema.SHARD)).to_pylist())
        if version == 0 or any(not merged[name].equals(tables[name]) for name in tables):
            sizes = _take_shards(path, staging, used, version=version + 1)
            _check_places(fresh, sizes)
            _commit(path, merged, sizes, version=version + 1)
        _clear(staging, records)
    return Store.open(path)


def write_store(
    path: Path,
    records: Iterable[Record],
    *,
    participants: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
) -> Store:
    """Store records that are at hand: sorts them by participant and recording, and appends them.

    All records are held in memory; `medssl.ingest` is for more than that.

    Args:
        path: Folder of the store; made if absent, else appended to.
        records: In any order.
        participants: Labels, with the participant as index or as column `participant`.
        labels: Labels of records or sessions, with the record's name as index or as column
            `record`.

    Raises:
        StoreError: As for `append`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        staging = Path(folder)
        with ShardWriter(staging, "part") as writer:
            for member in _members(records):
                writer.add(member)
            table = writer.close()
        return append(
            path,
            staging=staging,
            records=table,
            participants=_label_table(participants, key=schema.PARTICIPANT),
            ledger=schema.LEDGER_SCHEMA.empty_table(),
            labels=_label_table(labels, key=schema.RECORD),
        )


def _members(records: Iterable[Record]) -> Iterator[list[Record]]:
    def origin(record: Record) -> tuple[str, ...]:
        shape = "" if isinstance(record.data, str) else str(record.data.shape)
        dtype = "" if isinstance(record.data, str) else record.data.dtype.str
        return (
            record.participant, record.session, record.recording, record.modality.value,
            record.source_digest, repr(record.rate), repr(record.channels), shape, dtype,
            *map(repr, (record.units, record.study, record.site, record.device, record.source)),
            *map(repr, (record.filter, record.overlap)),
        )  # fmt: skip

    ordered = sorted(records, key=lambda record: (origin(record), record.start))
    for _, group in itertools.groupby(ordered, key=origin):
        members = list({record.name: record for record in group}.values())
        together = members[0].modality.kind is Kind.WAVEFORM
        yield from [members] if together else [[record] for record in members]


def _label_table(labels: pd.DataFrame | None, *, key: str) -> pa.Table:
    if labels is None:
        return pa.table({key: pa.array([], pa.string())})
    if key not in labels.columns:
        labels = labels.rename_axis(key).reset_index()
    try:
        table = pa.Table.from_pandas(labels, preserve_index=False)
    except pa.ArrowException as error:
        reason = " ".join(str(part) for part in error.args)
        msg = f"the {key}s table has a column of mixed types: {reason}"
        raise StoreError(msg) from error
    return table.replace_schema_metadata(None)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Hold the store's lock; clear leftovers before and after; name what the disk refuses."""
    lock = filelock.FileLock(path / schema.LOCK, timeout=0)
    try:
        path.mkdir(parents=True, exist_ok=True)
        # The lock belongs to the process: it ends with it, also when it is killed.
        with lock:
            _remove_leftovers(path)
            try:
                yield
            finally:
                _remove_leftovers(path)
    except filelock.Timeout as error:
        msg = f"another process is writing to the store at {path}: run again when it has ended"
        raise StoreError(msg) from error
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        msg = f"cannot write the store at {path} ({reason}): put that right and run again"
        raise StoreError(msg) from error


def _remove_leftovers(path: Path) -> None:
    """Remove what no manifest refers to: the work of writers that were killed or failed."""
    manifest = read_manifest(path) if exists(path) else None
    if manifest is None:
        foreign = [
            entry.name
            for entry in path.iterdir()
            if not entry.name.startswith(".") and entry.name not in (schema.SHARDS, schema.INDEX)
        ]
        if foreign:
            msg = f"{path} holds other files and is no store: give a new folder"
            raise StoreError(msg)
    version = manifest.version if manifest else 0
    shards = manifest.shards if manifest else {}
    versions = {index_folder(path, number + 1).name for number in range(version)}
    for entry in _entries(path / schema.SHARDS):
        if entry.name not in shards and entry.name.endswith((".tar", ".partial")):
            entry.unlink()
    for entry in _entries(path / schema.INDEX):
        if entry.is_dir() and entry.name not in versions:
            shutil.rmtree(entry)
    for entry in path.glob(f".{schema.MANIFEST}.*.partial"):
        entry.unlink()


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _read_current(path: Path) -> tuple[dict[str, pa.Table], int]:
    empty = {
        schema.RECORDS: schema.RECORDS_SCHEMA.empty_table(),
        schema.PARTICIPANTS: _PARTICIPANTS.empty_table(),
        schema.LEDGER: schema.LEDGER_SCHEMA.empty_table(),
        schema.LINKS: schema.LINKS_SCHEMA.empty_table(),
        schema.LABELS: _LABELS.empty_table(),
    }
    if not exists(path):
        return empty, 0
    manifest = read_manifest(path)
    version = manifest.version
    folder = index_folder(path, version)
    tables = {name: read_table(folder / name) for name in manifest.files if name != schema.RECORDS}
    tables[schema.RECORDS] = read_records(folder / schema.RECORDS)
    tables.setdefault(schema.LABELS, empty[schema.LABELS])
    # Whoever deleted the links did so for good: an append only adds those of its own.
    links = folder / schema.LINKS
    tables[schema.LINKS] = read_table(links) if links.exists() else empty[schema.LINKS]
    return tables, version


def _merge(
    tables: dict[str, pa.Table],
    fresh: pa.Table,
    participants: pa.Table,
    ledger: pa.Table,
    links: pa.Table,
    *,
    version: int,
) -> dict[str, pa.Table]:
    position = schema.RECORDS_SCHEMA.get_field_index(schema.ADDED)
    added = pa.array(np.full(len(fresh), version, dtype=np.int32))
    shards = pc.binary_join_element_wise(f"v{version:06d}", fresh.column(schema.SHARD), "-")
    placed = fresh.set_column(position, schema.RECORDS_SCHEMA.field(schema.ADDED), added)
    position = schema.RECORDS_SCHEMA.get_field_index(schema.SHARD)
    placed = placed.set_column(position, schema.RECORDS_SCHEMA.field(schema.SHARD), shards)
    records = pa.concat_tables([tables[schema.RECORDS], placed])
    return {
        schema.RECORDS: records,
        schema.PARTICIPANTS: merge_participants(
            tables[schema.PARTICIPANTS], participants, records, version=version
        ),
        schema.LEDGER: merge_rows(tables[schema.LEDGER], ledger),
        schema.LINKS: merge_rows(tables[schema.LINKS], links),
    }


def _take_shards(path: Path, staging: Path, names: list[str], *, version: int) -> dict[str, int]:
    """Give staged shards a second name in the store; staging stays whole until the commit."""
    folder = path / schema.SHARDS
    folder.mkdir(exist_ok=True)
    sizes = {}
    for name in names:
        staged = staging / name
        if not staged.is_file():
            msg = f"shard {name} is not in {staging}: pass the folder that its writer used"
            raise StoreError(msg)
        target = shard_path(path, f"v{version:06d}-{name}")
        try:
            target.hardlink_to(staged)
        except OSError:
            # Another file system, or one without hard links.
            shutil.copyfile(staged, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        sizes[target.name] = target.stat().st_size
    sync_folder(folder)
    return sizes


def _check_places(fresh: pa.Table, sizes: dict[str, int]) -> None:
    """Refuse rows that a reader would refuse, before they are in the store."""
    prefix = len("v000000-")
    layout = build_layout(fresh, {name[prefix:]: size for name, size in sizes.items()})
    layout.check(np.arange(len(fresh)))


def _commit(
    path: Path, tables: dict[str, pa.Table], sizes: dict[str, int], *, version: int
) -> None:
    final = index_folder(path, version)
    temporary = final.with_name(f".{final.name}.partial")
    temporary.mkdir(parents=True)
    if len(tables[schema.LABELS]) == 0:
        tables = {name: table for name, table in tables.items() if name != schema.LABELS}
    for name, table in tables.items():
        write_table(temporary / name, table)
    # The one file that leads back to people is not for other accounts.
    (temporary / schema.LINKS).chmod(0o600)
    records, participants = tables[schema.RECORDS], tables[schema.PARTICIPANTS]
    modalities = pc.value_counts(records.column(schema.MODALITY)).to_pylist()
    manifest = Manifest(
        version=version,
        digest=digest_index(records, participants, tables.get(schema.LABELS)),
        shards={**(read_manifest(path).shards if version > 1 else {}), **sizes},
        counts={
            "records": len(records),
            "participants": len(participants),
            "ledger": len(tables[schema.LEDGER]),
            **{item["values"]: item["counts"] for item in modalities},
        },
        files={n: digest_file(temporary / n) for n in tables if n != schema.LINKS},
    )
    write_manifest(temporary / schema.MANIFEST, manifest)
    sync_folder(temporary)
    publish_folder(temporary, final)
    sync_folder(path)
    write_manifest(path / schema.MANIFEST, manifest)


def _clear(staging: Path, records: pa.Table) -> None:
    """Remove the staged shards, which the store now holds under names of its own."""
    for name in pc.unique(records.column(schema.SHARD)).to_pylist():
        (staging / name).unlink(missing_ok=True)
