"""Joining what is appended with what a store holds: no row moves, nothing is stored twice."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medssl.errors import StoreError
from medssl.store import schema
from medssl.store.index import DERIVED, PRESENCE, RECORDED

_log = logging.getLogger(__name__)

_ORDER = (
    schema.PARTICIPANT, schema.SESSION, schema.RECORDING, schema.MODALITY, schema.START,
    schema.RECORD,
)  # fmt: skip


def fresh_records(current: pa.Table, new: pa.Table) -> pa.Table:
    """The new records that a store does not hold yet, in an order that no worker decides.

    Args:
        current: Records of the store.
        new: Records to append.

    Raises:
        StoreError: A record is known under the same name with other content.
    """
    known = pa.concat_tables(
        [current.select([schema.RECORD, schema.CONTENT_DIGEST]),
         new.select([schema.RECORD, schema.CONTENT_DIGEST])]
    )  # fmt: skip
    names = known.column(schema.RECORD)
    first = pc.index_in(names, value_set=pc.unique(names)).to_numpy()
    # Position of the first row with the same name, for each row.
    codes, start = np.unique(first, return_index=True)
    origin = start[np.searchsorted(codes, first)]
    digests = known.column(schema.CONTENT_DIGEST)
    changed = pc.sum(pc.not_equal(digests, digests.take(pa.array(origin)))).as_py() or 0
    if changed:
        msg = (
            f"{changed} record(s) are known with other content: ingest with the settings of "
            "before, or into a new store"
        )
        raise StoreError(msg)
    repeated = origin != np.arange(len(known))
    skipped = int(repeated.sum())
    if skipped:
        _log.info("%d record(s) are in the store already and were skipped", skipped)
    kept = new.filter(pa.array(~repeated[len(current) :]))
    return kept.sort_by([(name, "ascending") for name in _ORDER])


def merge_participants(
    current: pa.Table, new: pa.Table, records: pa.Table, *, version: int
) -> pa.Table:
    """One row per participant: known ones first, in their order, then new ones by name.

    Args:
        current: Participants of the store.
        new: Participants to append with their labels; a participant may have several rows.
        records: All records, after appending; they decide the presence flags.
        version: The index version that new participants are added in.

    Raises:
        StoreError: A label has two values for one participant, or a column has two types.
    """
    if schema.PARTICIPANT not in new.column_names:
        msg = f"the participants table needs a column {schema.PARTICIPANT!r}"
        raise StoreError(msg)
    if new.column(schema.PARTICIPANT).null_count:
        msg = "the participants table has rows without a participant"
        raise StoreError(msg)
    named = new.column(schema.PARTICIPANT).cast(pa.string())
    everyone = {*named.to_pylist(), *pc.unique(records.column(schema.PARTICIPANT)).to_pylist()}
    old = current.column(schema.PARTICIPANT).to_pylist()
    ids = pa.array(old + sorted(everyone - set(old)), pa.string())
    added = current.column(schema.ADDED).to_pylist() + [version] * (len(ids) - len(old))
    columns: dict[str, pa.Array] = {
        schema.PARTICIPANT: ids,
        schema.ADDED: pa.array(added, pa.int32()),
        **_presence(ids, records),
    }
    # Rows of one participant are folded one after the other, so that each is compared.
    rank = named.to_pandas().to_frame("name").groupby("name").cumcount().to_numpy()
    parts = [current, *(new.filter(pa.array(rank == k)) for k in range(rank.max(initial=-1) + 1))]
    own = {schema.PARTICIPANT, *DERIVED}
    labels = dict.fromkeys(name for part in (current, new) for name in part.column_names)
    for name in [name for name in labels if name not in own]:
        columns[name] = _merge_label(name, ids, [p for p in parts if name in p.column_names])
    return pa.table(columns)


def merge_labels(current: pa.Table, new: pa.Table, records: pa.Table) -> pa.Table:
    """Labels of records: one row for each record that has any, in the order of the records.

    Args:
        current: Labels in the store.
        new: Labels to add, by record; a record has at most one row.
        records: All records, after appending.

    Raises:
        StoreError: A record is unknown or has two rows, or a label has two values or types.
    """
    if schema.RECORD not in new.column_names:
        msg = f"the labels of records need a column {schema.RECORD!r}"
        raise StoreError(msg)
    named = new.column(schema.RECORD).cast(pa.string())
    if len(pc.unique(named)) < len(named):
        msg = "the labels of records name a record twice: give each one row"
        raise StoreError(msg)
    known = records.column(schema.RECORD)
    strangers = pc.sum(pc.invert(pc.is_in(named, value_set=pc.unique(known)))).as_py() or 0
    if strangers:
        msg = f"{strangers} labelled record(s) are not in the store: leave them out"
        raise StoreError(msg)
    held = pa.chunked_array([*current.column(schema.RECORD).chunks, *named.chunks], pa.string())
    ids = known.filter(pc.is_in(known, value_set=pc.unique(held))).combine_chunks()
    columns: dict[str, pa.Array] = {schema.RECORD: ids}
    names = dict.fromkeys(name for part in (current, new) for name in part.column_names)
    for name in names:
        if name != schema.RECORD:
            parts = [part for part in (current, new) if name in part.column_names]
            columns[name] = _merge_label(name, ids, parts, key=schema.RECORD)
    return pa.table(columns)


def _presence(ids: pa.Array, records: pa.Table) -> dict[str, pa.Array]:
    flags = {}
    for modality, name in zip(RECORDED, PRESENCE, strict=True):
        of_modality = pc.equal(records.column(schema.MODALITY), str(modality))
        having = pc.unique(records.column(schema.PARTICIPANT).filter(of_modality))
        flags[name] = pc.is_in(ids, value_set=having)
    return flags


def _merge_label(
    name: str, ids: pa.Array, parts: list[pa.Table], *, key: str = schema.PARTICIPANT
) -> pa.Array:
    """One label for all participants or records in `ids`, from the tables that know them."""
    try:
        kind = (
            pa.unify_schemas(
                [pa.schema([pa.field(name, _plain(part.column(name)).type)]) for part in parts],
                promote_options="permissive",
            )
            .field(0)
            .type
        )
    except pa.ArrowException as error:
        found = sorted({str(part.column(name).type) for part in parts})
        msg = f"label column {name!r} has several types ({', '.join(found)}): give it one"
        raise StoreError(msg) from error
    merged = pa.nulls(len(ids), kind)
    for part in parts:
        place = pc.index_in(ids, value_set=part.column(key).cast(pa.string()))
        values = _without_nan(_plain(part.column(name)).cast(kind)).take(place)
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        conflicts = pc.sum(pc.not_equal(merged, values)).as_py() or 0
        if conflicts:
            msg = (
                f"label {name!r} has two different values for {conflicts} {key}(s): "
                "correct the label tables"
            )
            raise StoreError(msg)
        merged = pc.coalesce(merged, values)
    return merged


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Categories as their values: two tables rarely number them alike."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null and NaN both mean that a label is not known."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def merge_rows(current: pa.Table, new: pa.Table) -> pa.Table:
    """The rows of both tables, each once, in the order they first appear.

    >>> both = merge_rows(pa.table({"a": ["x", "y"]}), pa.table({"a": ["y", "z"]}))
    >>> both.column("a").to_pylist()
    ['x', 'y', 'z']
    """
    together = pa.concat_tables([current, new])
    repeated = together.to_pandas().duplicated().to_numpy()
    return together.filter(pa.array(~repeated))
