from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medssl.errors import StoreError
from medssl.store import schema, write_store
from medssl.store.index import conform, digest_index

PEOPLE = {
    "participant": ["p1", "p2"],
    "added": [1, 1],
    "has_ppg": [True, True],
    "age": [50.0, None],
    "sex": [None, "F"],
    "smoker": [True, None],
    "visits": [2, 3],
}


@pytest.fixture
def tables(tmp_path, recording):
    records = recording("p1") + recording("p2", quality=0.25)
    return write_store(tmp_path / "store", records).records, pa.table(PEOPLE)


def replace(table, name, row, value):
    rows = table.to_pylist()
    rows[row] |= {name: value}
    return pa.Table.from_pylist(rows, schema=table.schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("record", "r0"),
        ("participant", "p3"),
        ("session", "s2"),
        ("study", "x"),
        ("start", 0.5),
        ("dtype", "<f8"),
        ("shape", [32, 1]),
        ("rate", 65.0),
        ("units", None),
        ("units", ""),
        ("channels", ["c", "0"]),
        ("channels", ["c1"]),
        ("quality", 0.5),
        ("filter", "{}"),
        ("overlap", 0.0),
        ("quality_kurtosis", 3.0),
        ("missing_share", 0.0),
        ("content_digest", "0"),
    ],
)
def test_every_property_of_a_record_counts(tables, name, value):
    records, people = tables
    changed = replace(records, name, 1, value)
    assert digest_index(changed, people) != digest_index(records, people)


@pytest.mark.parametrize("name", ["shard", "offset", "size", "encoding", "added"])
def test_where_and_when_a_record_was_stored_does_not_count(tables, name):
    records, people = tables
    value = 77 if pa.types.is_integer(records.schema.field(name).type) else "elsewhere"
    changed = replace(records, name, 1, value)
    assert digest_index(changed, people) == digest_index(records, people)


def test_labels_count_and_derived_columns_do_not(tables):
    records, people = tables
    digest = digest_index(records, people)
    for name, value in {"age": 51.0, "sex": "M", "smoker": False, "visits": 9}.items():
        assert digest_index(records, replace(people, name, 0, value)) != digest
    assert digest_index(records, replace(people, "added", 0, 4)) == digest
    assert digest_index(records, people.drop_columns(["added", "has_ppg"])) == digest
    null_is_not_zero = replace(people, "age", 1, 0.0)
    assert digest_index(records, null_is_not_zero) != digest
    assert digest_index(records, people.rename_columns({"age": "years"})) != digest


def test_columns_that_came_later_count_once_they_hold_something(tables):
    records, people = tables
    digest = digest_index(records, people)
    assert all(records.column(name).null_count == len(records) for name in schema.LATER)
    assert digest_index(records.drop_columns(list(schema.LATER)), people) == digest
    graded = replace(records, "flat_share", 2, 0.0)
    assert digest_index(graded, people) != digest
    others = [name for name in schema.LATER if name != "flat_share"]
    assert digest_index(graded.drop_columns(others), people) == digest_index(graded, people)


def test_row_order_counts(tables):
    records, people = tables
    swapped = records.take(pa.array([1, 0, 2, 3, 4, 5]))
    assert digest_index(swapped, people) != digest_index(records, people)


def test_files_and_chunks_do_not_count(tables, tmp_path):
    records, people = tables
    digest = digest_index(records, people)
    pieces = pa.concat_tables([records.slice(0, 2), records.slice(2, 1), records.slice(3)])
    assert pieces.column(0).num_chunks == 3
    assert digest_index(pieces, people) == digest
    pq.write_table(pieces, tmp_path / "a.parquet", row_group_size=2)
    assert digest_index(pq.read_table(tmp_path / "a.parquet"), people) == digest


def test_conform_orders_casts_and_fills(tables):
    records, _ = tables
    mixed = records.select(records.column_names[::-1]).drop_columns(["study"])
    where = mixed.schema.get_field_index("size")
    mixed = mixed.set_column(where, "size", records.column("size").cast(pa.int32()))
    assert conform(mixed, schema.RECORDS_SCHEMA, what="records").equals(records)


def test_conform_refuses(tables):
    records, _ = tables

    def with_column(name, values):
        return records.set_column(records.schema.get_field_index(name), name, values)

    cases = {
        "no column 'shard'": records.drop_columns(["shard"]),
        "1 of the records have no session": with_column("session", pa.array([None] + ["s"] * 5)),
        "column 'offset' of the records is string": with_column("offset", pa.array(["x"] * 6)),
    }
    for reason, table in cases.items():
        with pytest.raises(StoreError, match=reason):
            conform(table, schema.RECORDS_SCHEMA, what="records")


def test_digests_are_the_same_on_every_machine():
    """A fixed number: a change of it makes every stored digest wrong."""
    records = schema.RECORDS_SCHEMA.empty_table()
    assert digest_index(records, pa.table(PEOPLE)) == "b2fc5a866101bbc881de6adf2e024daa"


def test_nan_is_one_value(tables):
    records, people = tables
    quiet = np.array([np.nan, 1.0])
    other = quiet.view(np.int64).copy()
    other[0] |= 1
    where = people.schema.get_field_index("age")
    digests = {
        digest_index(records, people.set_column(where, "age", pa.array(values)))
        for values in (quiet, other.view(np.float64))
    }
    assert len(digests) == 1
