"""Reading a store: choosing rows, and fetching only the bytes of a record or a part of it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import UInt8

from medssl.config import nearest
from medssl.contracts import Contract
from medssl.errors import StoreError
from medssl.store import codec, schema
from medssl.store.contracts import find_contract
from medssl.store.index import check_records, read_records, read_table
from medssl.store.layout import COLUMNS, Layout, build_layout
from medssl.store.manifest import Manifest, index_folder, read_manifest
from medssl.store.mapping import ShardMaps, windows
from medssl.types import Array, Modality, Rows


class Store:
    """One version of a store, opened for reading.

    Opening reads no tables: columns and shards are read when they are first asked for. A store
    may be used in forked and spawned processes and pickled; only its path and version travel.
    Later appends do not change what an open store sees.

    Use `Store.open`.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.version = manifest.version
        self.digest = manifest.digest
        self.counts = manifest.counts
        self._manifest = manifest
        self._index = index_folder(path, manifest.version)
        self._maps = ShardMaps(path, manifest.shards)
        self._columns: dict[str, Array] = {}
        self._length = check_records(self._index / schema.RECORDS)

    @classmethod
    def open(cls, path: str | Path, *, version: int | None = None) -> Self:
        """Open a store.

        Args:
            path: Its folder.
            version: An older index version; the newest when None.

        Raises:
            StoreError: There is no store, no such version, it is damaged, or from a newer medssl.
        """
        # Absolute, so that a worker with another working directory finds it.
        root = Path(path).absolute()
        return cls(root, read_manifest(root, version))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (type(self), self.path, self.version, self.digest)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, version={self.version}, records={len(self)})"

    @cached_property
    def records(self) -> pa.Table:
        """One row per record, `schema.RECORDS_SCHEMA`."""
        return read_records(self._index / schema.RECORDS)

    @cached_property
    def participants(self) -> pd.DataFrame:
        """One row per participant: `added`, a presence flag per modality, then labels."""
        table = read_table(self._index / schema.PARTICIPANTS)
        if schema.PARTICIPANT not in table.column_names:
            path = self._index / schema.PARTICIPANTS
            msg = f"index file {path} has no column {schema.PARTICIPANT!r}: ingest again"
            raise StoreError(msg)
        frame: pd.DataFrame = table.to_pandas().set_index(schema.PARTICIPANT)
        return frame

    @cached_property
    def record_labels(self) -> pd.DataFrame:
        """Labels of records and of their sessions, by record; only of records that have any."""
        path = self._index / schema.LABELS
        if schema.LABELS not in self._manifest.files:
            return pd.DataFrame(index=pd.Index([], name=schema.RECORD, dtype=object))
        frame: pd.DataFrame = read_table(path).to_pandas().set_index(schema.RECORD)
        return frame

    @cached_property
    def ledger(self) -> pa.Table:
        """One row per input that gave no record, `schema.LEDGER_SCHEMA`."""
        return read_table(self._index / schema.LEDGER)

    @property
    def links(self) -> dict[str, str]:
        """Original identifiers by pseudonym, several joined by commas; empty when deleted."""
        path = self._index / schema.LINKS
        found: dict[str, str] = {}
        for link in read_table(path).to_pylist() if path.exists() else ():
            name, original = link[schema.PARTICIPANT], link["original"]
            known = found.get(name)
            found[name] = original if known in (None, original) else f"{known}, {original}"
        return found

    @cached_property
    def _layout(self) -> Layout:
        table = read_table(self._index / schema.RECORDS, list(COLUMNS))
        return build_layout(table, self._manifest.shards)

    def rows(
        self,
        *,
        modality: str | None = None,
        participants: Collection[str] | None = None,
        source: str | None = None,
    ) -> Rows:
        """Row numbers, ascending, of the records that meet every condition given.

        Raises:
            StoreError: There is no such modality or source in medssl or in this store.
        """
        keep = np.ones(len(self), dtype=np.bool_)
        if modality is not None:
            known = [str(member) for member in Modality]
            if modality not in known:
                msg = f"unknown modality {modality!r}{nearest(str(modality), known)}"
                raise StoreError(msg)
            keep &= self.column(schema.MODALITY) == str(modality)
        if source is not None:
            sources = self.column(schema.SOURCE)
            matches = sources == source
            if len(self) and not matches.any():
                known = sorted(set(sources))
                msg = f"no source {source!r} in the store at {self.path}{nearest(source, known)}"
                raise StoreError(msg)
            keep &= matches
        if participants is not None:
            wanted = pa.array(sorted(set(participants)), pa.string())
            column = pa.array(self.column(schema.PARTICIPANT), pa.string())
            keep &= pc.is_in(column, value_set=wanted).to_numpy(zero_copy_only=False)
        return np.flatnonzero(keep).astype(np.int64)

    def column(self, name: str, rows: Rows | None = None) -> Array:
        """One column of the records table.

        Numbers come as numbers (missing ones as NaN), names as objects (missing ones as None),
        shapes and channels as tuples. Without `rows` the array is shared and read-only.

        Raises:
            StoreError: There is no such column.
        """
        values = self._columns.get(name)
        if values is None:
            if name not in schema.RECORDS_SCHEMA.names:
                hint = nearest(name, schema.RECORDS_SCHEMA.names)
                msg = f"the records table has no column {name!r}{hint}"
                raise StoreError(msg)
            table = read_records(self._index / schema.RECORDS, [name])
            values = _to_numpy(table.column(0))
            values.flags.writeable = False
            self._columns[name] = values
        return values if rows is None else values[self._check_rows(rows)]

    def read(self, rows: Rows) -> Array:
        """Fetch many arrays of one shape and type at once.

        Args:
            rows: Row numbers, in any order, repeated or not.

        Returns:
            Array of shape (records, channels, time) for waveforms, (records, *shape) otherwise.

        Raises:
            StoreError: The rows differ in shape or type, are texts, or point outside a shard.
        """
        rows = self._check_rows(rows)
        layout = self._layout
        layout.check(rows)
        variant = layout.single_variant(rows)
        if variant.encoding == schema.UTF8:
            msg = "the rows are texts: read them with read_record"
            raise StoreError(msg)
        if variant.encoding == schema.NPY:
            return self._gather(rows, variant)
        out = np.empty((len(rows), *variant.shape), dtype=variant.dtype)
        for position, row in enumerate(rows):
            out[position] = self._unpack(int(row), variant)
        return out

    def read_record(self, row: int) -> Array | str:
        """Fetch one array or text.

        Raises:
            StoreError: The row points outside its shard, or its bytes are damaged.
        """
        variant = self._variant(row)
        if variant.encoding == schema.BLOSC2:
            return self._unpack(row, variant)
        if variant.encoding == schema.NPY:
            return self._view(row, variant).copy()
        try:
            return self._bytes(row).tobytes().decode()
        except UnicodeDecodeError as error:
            raise self._damaged(row, "is not UTF-8 text") from error

    def read_slice(self, row: int, *slices: slice) -> Array:
        """Fetch a part of one array, touching only its bytes.

        Args:
            row: Row number.
            slices: One slice an axis, without steps; missing ones take the whole axis.

        Raises:
            StoreError: The record is a text, points outside its shard, or is damaged.
            ValueError: More slices than axes, or a step.
        """
        variant = self._variant(row)
        if variant.encoding == schema.UTF8:
            msg = f"row {row} is a text: read it with read_record"
            raise StoreError(msg)
        if len(slices) > len(variant.shape) or any(s.step not in (None, 1) for s in slices):
            msg = f"give at most {len(variant.shape)} slices, without steps"
            raise ValueError(msg)
        if variant.encoding == schema.NPY:
            return self._view(row, variant)[slices].copy()
        return self._unpack(row, variant, slices)

    def contract(self, modality: str, rows: Rows | None = None) -> Contract:
        """What all waveforms of a modality have in common, as the contract of an encoder.

        Args:
            modality: A waveform modality.
            rows: Look at these rows only, as far as they are of that modality.

        Raises:
            StoreError: No such waveforms, or they differ in rate, channels, units or length.
        """
        return find_contract(self, modality, rows)

    def _gather(self, rows: Rows, variant: codec.Variant) -> Array:
        shards, offsets = self._layout.shard[rows], self._layout.offset[rows]
        names = self._layout.shards
        data = {code: self._maps[names[code]] for code in np.unique(shards).tolist()}
        nbytes = variant.nbytes
        found: np.ndarray
        if len(data) == 1:
            found = windows(data.popitem()[1], nbytes)[offsets]
        else:
            # Measured: with several shards a plain loop is faster than one index for each shard.
            found = np.empty((len(rows), nbytes), dtype=np.uint8)
            places = zip(shards.tolist(), offsets.tolist(), strict=True)
            for position, (code, start) in enumerate(places):
                found[position] = data[code][start : start + nbytes]
        return found.view(variant.dtype).reshape(-1, *variant.shape)

    def _variant(self, row: int) -> codec.Variant:
        rows = self._check_rows(np.array([row]))
        self._layout.check(rows)
        return self._layout.variants[int(self._layout.variant[row])]

    def _bytes(self, row: int) -> UInt8[np.ndarray, " bytes"]:
        layout = self._layout
        start = int(layout.offset[row])
        shard = self._maps[layout.shards[int(layout.shard[row])]]
        found: UInt8[np.ndarray, " bytes"] = shard[start : start + int(layout.size[row])]
        return found

    def _view(self, row: int, variant: codec.Variant) -> Array:
        return np.frombuffer(self._bytes(row), dtype=variant.dtype).reshape(variant.shape)

    def _unpack(self, row: int, variant: codec.Variant, slices: tuple[slice, ...] = ()) -> Array:
        try:
            return codec.unpack(self._bytes(row), variant, slices)
        except StoreError as error:
            raise self._damaged(row, str(error)) from error

    def _damaged(self, row: int, reason: str) -> StoreError:
        shard = self._layout.shards[self._layout.shard[row]]
        return StoreError(f"row {row} in shard {shard} {reason}: restore it from a copy")

    def _check_rows(self, rows: Rows) -> Rows:
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            msg = f"rows are a flat array of whole numbers, not {rows.dtype} of {rows.shape}"
            raise TypeError(msg)
        # Row numbers are names: -1 is not the last one.
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            msg = f"row numbers go from 0 to {len(self) - 1}, got {rows.min()} to {rows.max()}"
            raise IndexError(msg)
        checked: Rows = rows.astype(np.int64, copy=False)
        return checked


def _to_numpy(column: pa.ChunkedArray) -> Array:
    if pa.types.is_list(column.type):
        values = np.empty(len(column), dtype=object)
        # Equal tuples are shared: a million rows have few distinct shapes and channel lists.
        seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for position, items in enumerate(column.to_pylist()):
            key = tuple(items)
            values[position] = seen.setdefault(key, key)
        return values
    found: np.ndarray = column.to_pandas().to_numpy().copy()
    return found


def _reopen(kind: type[Store], path: Path, version: int, digest: str) -> Store:
    store = kind.open(path, version=version)
    if store.digest != digest:
        msg = f"the store at {path} was replaced while it was in use: open it again"
        raise StoreError(msg)
    return store
