"""Copies of a store for other readers: WebDataset tars, one Parquet file, a Zarr group."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medssl.errors import StoreError, require
from medssl.files import publish_folder, replacing
from medssl.store import schema
from medssl.store.reader import Store
from medssl.store.shard import MAX_SHARD_BYTES
from medssl.types import Array, Rows

_BATCH: Final = 256
_ZARR_CHUNK_BYTES: Final = 2**20

_METADATA: Final = (
    schema.RECORD, schema.PARTICIPANT, schema.SESSION, schema.STUDY, schema.MODALITY,
    schema.SOURCE, schema.START, schema.DTYPE, schema.SHAPE, schema.RATE, schema.UNITS,
    schema.CHANNELS, schema.SITE, schema.DEVICE, schema.QUALITY, schema.FILTER,
    schema.OVERLAP, *schema.GRADES.values(), schema.VIEW, schema.TIME, schema.DISPLAY,
    schema.GREY_SCALE, schema.CONTENT_DIGEST,
)  # fmt: skip
"""What goes with the data. Not the recording's name: it may come from a file name."""


def export(
    store: Store,
    target: Path,
    *,
    to: Literal["webdataset", "parquet", "zarr"],
    rows: Rows | None = None,
) -> None:
    """Copy records into another format; `target` appears when it is whole.

    - `webdataset`: a folder of tars, one sample a record: `RECORD.npy` (or `.txt`), `RECORD.json`.
    - `parquet`: one file; `data` holds the samples in C order, `shape` their shape, `text` texts.
    - `zarr`: a group with one array for each modality, shape and type, records along the first
      axis, and `records.parquet` with the metadata (and texts) in the same order.

    Args:
        store: Where the records are.
        target: File (Parquet) or folder (others) to make; it must not exist.
        to: Format.
        rows: Which records; all when None.

    Raises:
        StoreError: The target exists, the format is unknown, or the disk refuses.
        MissingExtraError: Zarr is not installed.
    """
    writers = {"webdataset": _to_webdataset, "parquet": _to_parquet, "zarr": _to_zarr}
    if to not in writers:
        msg = f"cannot export to {to!r}: choose one of {', '.join(writers)}"
        raise StoreError(msg)
    target = Path(target)
    if target.exists():
        msg = f"{target} exists already: remove it or give another target"
        raise StoreError(msg)
    chosen = np.arange(len(store)) if rows is None else np.asarray(rows, dtype=np.int64)
    try:
        writers[to](store, target, chosen)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        msg = f"cannot export to {target} ({reason}): put that right and run again"
        raise StoreError(msg) from error


def _to_webdataset(store: Store, target: Path, rows: Rows) -> None:
    with _new_folder(target) as folder:
        archive: tarfile.TarFile | None = None
        count = 0
        try:
            for row, metadata in _with_metadata(store, rows):
                if archive is None or archive.offset > MAX_SHARD_BYTES:
                    if archive is not None:
                        archive.close()
                    path = folder / f"{count:06d}.tar"
                    archive = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115
                    count += 1
                data = store.read_record(row)
                name = metadata[schema.RECORD]
                if isinstance(data, str):
                    _add(archive, f"{name}.txt", data.encode())
                else:
                    _add(archive, f"{name}.npy", _npy(data))
                text = json.dumps(metadata, sort_keys=True, allow_nan=False)
                _add(archive, f"{name}.json", text.encode())
        finally:
            if archive is not None:
                archive.close()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _to_parquet(store: Store, target: Path, rows: Rows) -> None:
    dtypes = sorted(set(store.column(schema.DTYPE, rows)) - {"str"})
    if len(dtypes) > 1:
        msg = f"the rows hold samples of several types ({', '.join(dtypes)}): export one at a time"
        raise StoreError(msg)
    sample = pa.from_numpy_dtype(np.dtype(dtypes[0])) if dtypes else pa.null()
    columns = [
        *(schema.RECORDS_SCHEMA.field(name) for name in _METADATA),
        pa.field("data", pa.large_list(sample)),
        pa.field("text", pa.string()),
    ]
    layout = pa.schema(columns)
    with replacing(target) as temporary, pq.ParquetWriter(temporary, layout) as writer:
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            table = store.records.select(_METADATA).take(pa.array(part))
            found = [store.read_record(int(row)) for row in part]
            texts = pa.array([x if isinstance(x, str) else None for x in found], pa.string())
            data = _lists([None if isinstance(x, str) else x for x in found], sample)
            arrays = [*table.combine_chunks().columns, data, texts]
            writer.write_table(pa.table(arrays, schema=layout))


def _lists(arrays: list[Array | None], sample: pa.DataType) -> pa.Array:
    sizes = [0 if array is None else array.size for array in arrays]
    flat = [array.ravel() for array in arrays if array is not None]
    values = pa.array(np.concatenate(flat), sample) if flat else pa.array([], sample)
    missing = pa.array([array is None for array in arrays])
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
    return pa.LargeListArray.from_arrays(offsets, values, mask=missing)


def _to_zarr(store: Store, target: Path, rows: Rows) -> None:
    zarr = require("zarr", extra="bench", purpose="exporting to Zarr")
    forms: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    columns = (schema.MODALITY, schema.DTYPE, schema.SHAPE)
    for row, *form in zip(rows, *(store.column(name, rows) for name in columns), strict=True):
        forms.setdefault((form[0], form[1], form[2]), []).append(int(row))
    with _new_folder(target) as folder:
        group = zarr.create_group(store=str(folder))
        places: dict[int, tuple[str | None, int | None, str | None]] = {}
        for (modality, dtype, shape), members in sorted(forms.items()):
            if dtype == "str":
                for row in members:
                    places[row] = (None, None, str(store.read_record(row)))
                continue
            name = f"{modality}/{'x'.join(map(str, shape))}-{dtype[1:]}"
            nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
            step = max(1, _ZARR_CHUNK_BYTES // nbytes)
            array = group.create_array(
                name, shape=(len(members), *shape), dtype=dtype, chunks=(step, *shape)
            )
            for start in range(0, len(members), step):
                part = np.array(members[start : start + step])
                array[start : start + len(part)] = store.read(part)
            places.update({row: (name, i, None) for i, row in enumerate(members)})
        table = store.records.select(_METADATA).take(pa.array(rows))
        for position, (name, kind) in enumerate(
            (("array", pa.string()), ("position", pa.int64()), ("text", pa.string()))
        ):
            values = pa.array([places[int(row)][position] for row in rows], kind)
            table = table.append_column(name, values)
        pq.write_table(table, folder / schema.RECORDS)


def _with_metadata(store: Store, rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    table = store.records.select(_METADATA)
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        metadata = table.take(pa.array(part)).to_pylist()
        yield from zip((int(row) for row in part), metadata, strict=True)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    folder.mkdir()
    try:
        yield folder
        publish_folder(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
