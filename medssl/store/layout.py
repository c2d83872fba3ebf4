"""Where the bytes of every record lie, checked as untrusted input before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int32, Int64, UInt8

from medssl.errors import StoreError
from medssl.store import codec, schema
from medssl.types import Rows

COLUMNS: Final = (
    schema.SHARD, schema.OFFSET, schema.SIZE, schema.ENCODING, schema.DTYPE, schema.SHAPE,
)  # fmt: skip

_OUTSIDE: Final = "lies outside its shard"
_NO_SHARD: Final = "names a shard that the store does not have"
_MISFIT: Final = "has a size that does not fit its shape and type"
_TOO_LARGE: Final = f"claims more than the {codec.MAX_RECORD_BYTES} bytes allowed"


@dataclass(frozen=True, slots=True)
class Layout:
    """Place and form of every record, as arrays over rows.

    Args:
        shards: Shard file names that `shard` refers to.
        variants: Encodings, types and shapes that `variant` refers to.
        shard: Position in `shards`.
        offset: First byte inside the shard.
        size: Number of stored bytes.
        variant: Position in `variants`.
        problem: Position in `problems`; 0 means none.
        problems: What can be wrong.
    """

    shards: list[str]
    variants: list[codec.Variant]
    shard: Int32[np.ndarray, " rows"]
    offset: Int64[np.ndarray, " rows"]
    size: Int64[np.ndarray, " rows"]
    variant: Int32[np.ndarray, " rows"]
    problem: UInt8[np.ndarray, " rows"]
    problems: list[str]

    def check(self, rows: Rows) -> None:
        """Refuse rows whose bytes cannot be read safely.

        Raises:
            StoreError: Names the first such row and what is wrong with it.
        """
        bad = np.flatnonzero(self.problem[rows])
        if bad.size:
            row = rows[bad[0]]
            reason = self.problems[self.problem[row]]
            msg = f"row {row} of the index {reason}: the index is damaged, restore it from a copy"
            raise StoreError(msg)

    def single_variant(self, rows: Rows) -> codec.Variant:
        """The form that all these rows share.

        Raises:
            StoreError: There are no rows, or they differ.
        """
        if rows.size == 0:
            msg = "no rows to read: check what selected them"
            raise StoreError(msg)
        codes = self.variant[rows]
        if (codes != codes[0]).any():
            found = [self.variants[code] for code in np.unique(codes)[:5]]
            shown = ", ".join(f"{v.shape} {v.dtype}" for v in found)
            msg = f"the rows differ in shape or type ({shown}): read rows of one kind at a time"
            raise StoreError(msg)
        return self.variants[int(codes[0])]


def build_layout(records: pa.Table, sizes: Mapping[str, int]) -> Layout:
    """Read places from the index and compare them with the shards' sizes.

    Args:
        records: The columns `COLUMNS` of the records table.
        sizes: Size in bytes of every shard, by file name.
    """
    shard, shards = _encode(records.column(schema.SHARD))
    variant, variants = _variants(records)
    offset = records.column(schema.OFFSET).to_numpy()
    size = records.column(schema.SIZE).to_numpy()
    problems = ["", _NO_SHARD, _OUTSIDE, _MISFIT, _TOO_LARGE]
    problem = np.zeros(len(records), dtype=np.uint8)
    lengths = np.array([sizes.get(name, -1) for name in shards], dtype=np.int64)
    length = lengths[shard] if shards else np.zeros(0, dtype=np.int64)
    # Every comparison stays inside int64: size ≤ length is known before length - size is taken.
    outside = (offset < 0) | (size < 1) | (size > length)
    outside |= offset > length - np.where(outside, 0, size)
    problem[size > codec.MAX_RECORD_BYTES] = problems.index(_TOO_LARGE)
    problem[outside] = problems.index(_OUTSIDE)
    problem[length < 0] = problems.index(_NO_SHARD)
    # Per form first, then spread over the rows: images may all differ in shape.
    expected = np.full(len(variants), -1, dtype=np.int64)
    refused = np.zeros(len(variants), dtype=np.uint8)
    for code, form in enumerate(variants):
        reason = form.problem
        if reason:
            if reason not in problems and len(problems) < 255:
                problems.append(reason)
            refused[code] = problems.index(reason) if reason in problems else len(problems) - 1
        elif form.encoding == schema.NPY:
            expected[code] = form.nbytes
    if variants:
        problem[(expected[variant] >= 0) & (size != expected[variant])] = problems.index(_MISFIT)
        problem = np.where(refused[variant] > 0, refused[variant], problem)
    return Layout(shards, variants, shard, offset, size, variant, problem, problems)


def _encode(column: pa.ChunkedArray) -> tuple[Int32[np.ndarray, " rows"], list[Any]]:
    encoded = pc.dictionary_encode(column).unify_dictionaries()
    if encoded.num_chunks == 0:
        return np.zeros(0, dtype=np.int32), []
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    return codes.astype(np.int32), encoded.chunk(0).dictionary.to_pylist()


def _variants(records: pa.Table) -> tuple[Int32[np.ndarray, " rows"], list[codec.Variant]]:
    """Number the distinct (encoding, type, shape) without visiting the rows one by one."""
    encoding, encodings = _encode(records.column(schema.ENCODING))
    dtype, dtypes = _encode(records.column(schema.DTYPE))
    shape = records.column(schema.SHAPE)
    ndim = pc.list_value_length(shape).to_numpy().astype(np.int64)
    flat = pc.fill_null(pc.list_flatten(shape), -1).to_numpy()
    starts = np.cumsum(ndim) - ndim
    codes = _combine(encoding.astype(np.int64), dtype)
    codes = _combine(codes, ndim)
    for axis in range(min(int(ndim.max(initial=0)), codec.MAX_DIMENSIONS + 1)):
        has = ndim > axis
        lengths = np.full(len(ndim), -1, dtype=np.int64)
        lengths[has] = flat[starts[has] + axis]
        codes = _combine(codes, lengths)
    first = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    variants = [
        codec.Variant(
            encodings[encoding[row]],
            dtypes[dtype[row]],
            # One axis more than allowed is enough to be refused.
            tuple(flat[starts[row] :][: min(ndim[row], codec.MAX_DIMENSIONS + 1)].tolist()),
        )
        for row in first
    ]
    return codes.astype(np.int32), variants


def _combine(
    codes: Int64[np.ndarray, " rows"], values: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " rows"]:
    if values.size == 0 or (values == values[0]).all():
        return codes
    found, distinct = pd.factorize(values)
    combined: np.ndarray = pd.factorize(codes * len(distinct) + found)[0]
    return combined
