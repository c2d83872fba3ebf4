"""Writing shards: plain tar files whose members are mapped at their offset."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
import pyarrow as pa

from medssl.config import nearest
from medssl.errors import StoreError
from medssl.files import digest_bytes, sync_folder
from medssl.records import Record
from medssl.store import codec, schema
from medssl.types import Kind

MAX_SHARD_BYTES: Final = 256 * 2**20

END: Final = bytes(2 * tarfile.BLOCKSIZE)
"""Two empty blocks close a tar archive."""

_PSEUDONYM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DIMENSIONS: Final = {Kind.WAVEFORM: (2,), Kind.IMAGE: (2, 3), Kind.VOLUME: (3, 4)}
_SHARED: Final = (
    "participant", "session", "recording", "modality", "source_digest", "rate", "channels",
    "units", "study", "site", "device", "source", "filter", "overlap", "view", "time", "display",
    "grey_scale",
)  # fmt: skip


class ShardWriter:
    """Write records into numbered tar shards `NAME-00000.tar`, `NAME-00001.tar`, ….

    A shard appears under its final name only when it is whole and on disk; the names of its
    members hold the participant's pseudonym and a digest, never the name of the recording. Add
    the records of one participant one after the other: readers fetch them in one piece.

    Use it as a context manager: a block that raises leaves no partial shard.

    Args:
        folder: Where the shards go; it is created.
        name: What their file names begin with.
        max_bytes: A shard that would grow beyond this is closed first. A single larger record
            gets a shard of its own.
    """

    def __init__(self, folder: Path, name: str, *, max_bytes: int = MAX_SHARD_BYTES) -> None:
        if not _PSEUDONYM.fullmatch(name):
            msg = f"shard name {name!r}: use up to 64 letters, digits, - and _"
            raise StoreError(msg)
        self._folder = folder
        self._name = name
        self._max_bytes = max_bytes
        self._rows: list[dict[str, Any]] = []
        self._members: dict[str, None] = {}
        self._file: BinaryIO | None = None
        self._count = 0
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
            return
        try:
            self.close()
        except StoreError:
            self.abort()
            raise

    def add(self, records: Sequence[Record]) -> None:
        """Write one member.

        Args:
            records: Segments of one recording and modality with equal shape and type, or exactly
                one image, volume or report.

        Raises:
            StoreError: The records do not belong together, or cannot be stored.
        """
        if self._closed:
            msg = "the shard writer is closed: make a new one"
            raise StoreError(msg)
        kind = _check(records)
        if kind is Kind.TEXT:
            self._add_text(records[0])
        elif kind is Kind.WAVEFORM:
            self._add_stack(records)
        else:
            self._add_frame(records[0], kind)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write all that is added inside the block, or, when the block raises, nothing of it."""
        place = None if self._file is None else self._file.tell()
        before = self._count, len(self._rows), len(self._members)
        try:
            yield
        except BaseException:
            self._take_back(place, *before)
            raise

    def close(self) -> pa.Table:
        """Finish the last shard.

        Returns:
            One row of `schema.RECORDS_SCHEMA` a record, in the order they were added; calling it
            again gives the same table.
        """
        if not self._closed:
            self._finish()
            self._closed = True
        return pa.Table.from_pylist(self._rows, schema=schema.RECORDS_SCHEMA)

    def abort(self) -> None:
        """Drop the unfinished shard."""
        self._closed = True
        if self._file is not None:
            # Closing flushes, and a full disk refuses that once more.
            with suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)
            self._file = None

    def _add_text(self, record: Record) -> None:
        data = str(record.data).encode()
        offset = self._write(_member([record], "txt"), data)
        variant = codec.Variant(schema.UTF8, codec.TEXT_DTYPE, ())
        self._note(record, variant, offset, len(data), record.content_digest)

    def _add_frame(self, record: Record, kind: Kind) -> None:
        array = codec.little_endian(np.asarray(record.data))
        frame = codec.pack(array, kind)
        offset = self._write(_member([record], "b2"), frame)
        variant = codec.Variant(schema.BLOSC2, array.dtype.str, array.shape)
        self._note(record, variant, offset, len(frame), record.content_digest)

    def _add_stack(self, records: Sequence[Record]) -> None:
        arrays = [codec.little_endian(np.asarray(record.data)) for record in records]
        first = arrays[0]
        header = codec.npy_header((len(arrays), *first.shape), first.dtype.str)
        variant = codec.Variant(schema.NPY, first.dtype.str, first.shape)
        start = self._write(_member(records, "npy"), header, *(array.data for array in arrays))
        for position, (record, array) in enumerate(zip(records, arrays, strict=True)):
            offset = start + len(header) + position * array.nbytes
            self._note(record, variant, offset, array.nbytes, record.content_digest)

    def _write(self, member: str, *parts: bytes | memoryview) -> int:
        """Write one member and give the offset of its first byte."""
        if member in self._members:
            msg = f"the records of member {member} were added twice"
            raise StoreError(msg)
        size = sum(memoryview(part).nbytes for part in parts)
        info = tarfile.TarInfo(member)
        info.size = size
        header = info.tobuf(tarfile.GNU_FORMAT)
        padding = -size % tarfile.BLOCKSIZE
        file = self._file
        if file is not None and (
            file.tell() + len(header) + size + padding + len(END) > self._max_bytes
        ):
            self._finish()
            file = None
        with self._naming_errors():
            if file is None:
                file = self._file = self._partial.open("wb")
            file.write(header)
            start = file.tell()
            for part in parts:
                file.write(part)
            file.write(bytes(padding))
        self._members[member] = None
        return start

    @property
    def _shard(self) -> str:
        return f"{self._name}-{self._count:05d}.tar"

    @property
    def _partial(self) -> Path:
        return self._folder / f"{self._shard}.partial"

    def _finish(self) -> None:
        if self._file is None:
            return
        with self._naming_errors():
            self._file.write(END)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.rename(self._folder / self._shard)
            sync_folder(self._folder)
        self._file = None
        self._count += 1

    def _take_back(self, place: int | None, count: int, rows: int, members: int) -> None:
        """Go back to a place in shard `count`, or, where it had none, to before that shard."""
        if self._file is not None:
            # Closing flushes, and a full disk refuses that once more.
            with suppress(OSError):
                self._file.close()
            self._file = None
        while self._count >= count:
            finished = self._folder / self._shard
            if self._count > count or place is None:
                finished.unlink(missing_ok=True)
                self._partial.unlink(missing_ok=True)
            elif finished.exists():
                finished.rename(self._partial)
            self._count -= 1
        self._count = count
        if place is not None:
            with self._naming_errors():
                self._file = self._partial.open("r+b")
                self._file.truncate(place)
                self._file.seek(place)
        del self._rows[rows:]
        while len(self._members) > members:
            self._members.popitem()

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = (
                f"cannot write shard {self._folder / self._shard} "
                f"({error.strerror or error}): put that right and run again"
            )
            raise StoreError(msg) from error

    def _note(
        self, record: Record, variant: codec.Variant, offset: int, size: int, digest: str
    ) -> None:
        self._rows.append(
            {
                schema.RECORD: record.name,
                schema.PARTICIPANT: record.participant,
                schema.SESSION: record.session,
                schema.STUDY: record.study,
                schema.RECORDING: record.recording,
                schema.MODALITY: record.modality.value,
                schema.SOURCE: record.source,
                schema.START: record.start,
                schema.SHARD: self._shard,
                schema.OFFSET: offset,
                schema.SIZE: size,
                schema.ENCODING: variant.encoding,
                schema.DTYPE: variant.dtype,
                schema.SHAPE: list(variant.shape),
                schema.RATE: record.rate,
                schema.UNITS: record.units,
                schema.CHANNELS: list(record.channels),
                schema.SITE: record.site,
                schema.DEVICE: record.device,
                schema.QUALITY: record.quality,
                schema.FILTER: record.filter,
                schema.OVERLAP: record.overlap,
                schema.VIEW: record.view,
                schema.TIME: record.time,
                schema.DISPLAY: record.display,
                schema.GREY_SCALE: record.grey_scale,
                **{column: _known(record, name) for name, column in schema.GRADES.items()},
                schema.SOURCE_DIGEST: record.source_digest,
                schema.CONTENT_DIGEST: digest,
                schema.ADDED: 0,
            }
        )


def _known(record: Record, component: str) -> float | None:
    """One grade; what could not be computed is missing, not a number."""
    value = record.grades.get(component)
    return None if value is None or np.isnan(value) else float(value)


def _member(records: Sequence[Record], suffix: str) -> str:
    first = records[0]
    # WebDataset takes what precedes the first dot as the sample: here, the participant.
    origin = digest_bytes("\0".join(record.name for record in records).encode())[:20]
    return f"{first.participant}.{origin}.{first.modality.value}.{suffix}"


def _check(records: Sequence[Record]) -> Kind:
    """Refuse what cannot be one member, before a byte is written."""
    if not records:
        msg = "a member needs at least one record"
        raise StoreError(msg)
    first = records[0]
    kind = first.modality.kind
    if not _PSEUDONYM.fullmatch(first.participant):
        msg = (
            "a participant's pseudonym names files in the store: "
            "use up to 64 letters, digits, - and _"
        )
        raise StoreError(msg)
    if kind is not Kind.WAVEFORM and len(records) > 1:
        msg = f"{len(records)} {first.modality} records in one member: add them one by one"
        raise StoreError(msg)
    for record in records:
        _check_data(record, kind)
        unknown = sorted(set(record.grades) - set(schema.GRADES))
        if unknown:
            hint = nearest(unknown[0], list(schema.GRADES))
            msg = f"unknown quality component {unknown[0]!r}{hint}"
            raise StoreError(msg)
        for name in _SHARED:
            if getattr(record, name) != getattr(first, name):
                msg = f"the segments of one member differ in {name}: add them apart"
                raise StoreError(msg)
    if kind is Kind.WAVEFORM:
        layouts = {(np.shape(r.data), np.asarray(r.data).dtype) for r in records}
        if len(layouts) > 1:
            msg = f"the segments of one member differ in shape or type: {sorted(map(str, layouts))}"
            raise StoreError(msg)
    return kind


def _check_data(record: Record, kind: Kind) -> None:
    where = f"record {record.name} ({record.modality})"
    if kind is Kind.TEXT:
        if not isinstance(record.data, str) or not record.data:
            msg = f"{where}: a report is a text that is not empty"
            raise StoreError(msg)
        return
    if not isinstance(record.data, np.ndarray):
        msg = f"{where}: data is a {type(record.data).__name__}, not a NumPy array"
        raise StoreError(msg)
    array = record.data
    dtype = array.dtype.newbyteorder("<").str
    if dtype not in codec.DTYPES:
        msg = f"{where}: samples of type {array.dtype} cannot be stored; convert them to numbers"
        raise StoreError(msg)
    if array.ndim not in _DIMENSIONS[kind]:
        expected = " or ".join(map(str, _DIMENSIONS[kind]))
        msg = f"{where}: shape {array.shape}; a {kind} has {expected} dimensions"
        raise StoreError(msg)
    problem = codec.Variant(schema.NPY, dtype, array.shape).problem
    if problem:
        msg = f"{where}: it {problem}"
        raise StoreError(msg)
    if kind is Kind.WAVEFORM and (
        record.rate is None or not record.rate > 0 or len(record.channels) != array.shape[0]
    ):
        msg = f"{where}: a waveform needs a rate above 0 Hz and one name for each channel"
        raise StoreError(msg)
