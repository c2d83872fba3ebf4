from __future__ import annotations

import stat
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from medssl.errors import StoreError
from medssl.files import digest_file
from medssl.store import Store, verify, write_store
from medssl.store.schema import LEDGER_SCHEMA, LINKS_SCHEMA, RECORDS_SCHEMA


def files(store: Path) -> dict[str, str]:
    return {
        str(path.relative_to(store)): digest_file(path)
        for path in store.rglob("*")
        if path.is_file() and path.name not in (".store.lock",)
    }


def names(store: Store) -> list[str]:
    return store.column("record").tolist()


def test_first_append_makes_the_store(tmp_path, recording, stage, add):
    rows = stage(tmp_path / "staging", [recording("p1"), recording("p2")])
    store = add(tmp_path / "store", tmp_path / "staging", rows)
    assert (store.version, len(store)) == (1, 6)
    assert store.counts == {"records": 6, "participants": 2, "ledger": 0, "ppg": 6}
    assert list((tmp_path / "staging").iterdir()) == []
    assert store.records.schema.equals(RECORDS_SCHEMA)
    assert verify(store.path, deep=True) == []


def test_append_keeps_rows_and_rewrites_nothing(tmp_path, recording):
    path = tmp_path / "store"
    old = write_store(path, recording("p5") + recording("p7"))
    before, values = files(path), old.read(np.arange(6))
    new = write_store(path, recording("p6") + recording("p1") + recording("p5", recording="b"))
    after = files(path)
    assert {name for name in before if before[name] != after.get(name)} == {"store.json"}
    assert names(new)[:6] == names(old)
    assert new.column("added").tolist() == [1] * 6 + [2] * 9
    assert new.participants["added"].to_dict() == {"p5": 1, "p7": 1, "p1": 2, "p6": 2}
    np.testing.assert_array_equal(new.read(np.arange(6)), values)
    assert (new.version, new.digest != old.digest) == (2, True)
    assert verify(path, deep=True) == []


def test_an_open_store_does_not_see_later_appends(tmp_path, recording):
    old = write_store(tmp_path / "store", recording("p1"))
    write_store(tmp_path / "store", recording("p2"))
    assert len(old.records) == 3
    pinned = Store.open(tmp_path / "store", version=1)
    assert (pinned.digest, len(pinned)) == (old.digest, 3)
    np.testing.assert_array_equal(pinned.read(np.arange(3)), old.read(np.arange(3)))
    with pytest.raises(StoreError, match="no version 3; the newest is 2"):
        Store.open(tmp_path / "store", version=3)


def test_known_records_are_skipped(tmp_path, recording):
    path = tmp_path / "store"
    old = write_store(path, recording("p1"))
    before = files(path)
    assert write_store(path, recording("p1")).version == 1
    assert files(path) == before
    new = write_store(path, recording("p1") + recording("p2"))
    assert names(new) == names(old) + names(new)[3:]
    assert len(set(names(new))) == len(new) == 6


def test_repeating_an_append_with_the_same_staging_changes_nothing(tmp_path, recording, stage, add):
    rows = stage(tmp_path / "staging", [recording("p1")])
    store = add(tmp_path / "store", tmp_path / "staging", rows)
    # As after a kill between the commit and the clearing of the staging folder.
    stage(tmp_path / "staging", [recording("p1")])
    again = add(tmp_path / "store", tmp_path / "staging", rows)
    assert (again.version, again.digest) == (1, store.digest)
    assert list((tmp_path / "staging").iterdir()) == []


def test_known_records_with_other_content_are_refused(tmp_path, recording, segment):
    path = tmp_path / "store"
    records = recording("p1")
    write_store(path, records)
    before = files(path)
    changed = segment("p1", records[1].data + 1, start=records[1].start)
    assert changed.name == records[1].name
    with pytest.raises(StoreError, match=r"1 record.* other content"):
        write_store(path, [changed])
    assert files(path) == before


def test_order_of_arrival_and_shard_sizes_leave_the_digest_alone(tmp_path, recording, stage, add):
    recordings = [recording(f"p{n}", count=40) for n in range(4)]
    stores = []
    for name, order in (("a", [0, 1, 2, 3]), ("b", [2, 0, 3, 1])):
        tables = [stage(tmp_path / f"staging-{name}", [recordings[n]], name=f"b{n}") for n in order]
        rows = pa.concat_tables(tables)
        stores.append(add(tmp_path / name, tmp_path / f"staging-{name}", rows))
    whole = write_store(tmp_path / "c", [r for records in recordings[::-1] for r in records])
    assert len({store.digest for store in (*stores, whole)}) == 1
    assert names(stores[0]) == names(stores[1]) == names(whole)
    np.testing.assert_array_equal(
        *(store.read(np.arange(160)) for store in stores)  # also from other shards
    )


def test_labels_are_merged_and_presence_is_counted(tmp_path, recording, other):
    path = tmp_path / "store"
    first = pd.DataFrame({"age": [50.0, np.nan]}, index=["p1", "p2"])
    write_store(path, recording("p1") + recording("p2"), participants=first)
    second = pd.DataFrame({"participant": ["p2", "p3"], "age": [61, 70], "sex": ["F", "M"]})
    store = write_store(path, [other("p2", "normal")], participants=second)
    frame = store.participants
    assert frame.index.name == "participant"
    assert frame["age"].to_dict() == {"p1": 50.0, "p2": 61.0, "p3": 70.0}
    assert frame["sex"].to_dict() == {"p1": None, "p2": "F", "p3": "M"}
    assert frame["added"].tolist() == [1, 1, 2]
    assert frame["has_ppg"].tolist() == [True, True, False]
    assert frame["has_report"].tolist() == [False, True, False]
    assert frame["has_ecg"].tolist() == [False, False, False]


def test_labels_alone_make_a_version_and_another_digest(tmp_path, recording):
    path = tmp_path / "store"
    old = write_store(path, recording("p1"))
    new = write_store(path, [], participants=pd.DataFrame({"age": [50]}, index=["p1"]))
    assert (new.version, len(new)) == (2, 3)
    assert new.digest != old.digest


def test_contradicting_labels_are_refused(tmp_path, recording):
    path = tmp_path / "store"
    labels = pd.DataFrame({"sex": ["F", "M"], "age": [1.0, 2.0]}, index=["p1", "p2"])
    write_store(path, recording("p1") + recording("p2"), participants=labels)
    before = files(path)
    with pytest.raises(StoreError, match="'sex' has two different values for 2 participant"):
        write_store(path, [], participants=labels.assign(sex=["M", "F"]))
    with pytest.raises(StoreError, match="'sex' has several types"):
        write_store(path, [], participants=labels.assign(sex=[1, 0]))
    twice = pd.DataFrame({"participant": ["p9", "p9"], "age": [3.0, 4.0]})
    with pytest.raises(StoreError, match="'age' has two different values for 1 participant"):
        write_store(path, [], participants=twice)
    assert files(path) == before


def test_ledger_and_links_grow_and_repeat_nothing(tmp_path, recording, stage, add):
    def ledger(*paths):
        fields = {"source": "clinic", "source_digest": "d", "reason": "truncated"}
        rows = [{**fields, "path": path, "detail": "", "version": "1"} for path in paths]
        return pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA)

    def links(**originals):
        rows = [{"participant": p, "source": "c", "original": o} for p, o in originals.items()]
        return pa.Table.from_pylist(rows, schema=LINKS_SCHEMA)

    path, staging = tmp_path / "store", tmp_path / "staging"
    rows = stage(staging, [recording("p1")])
    add(path, staging, rows, ledger=ledger("a", "b"), links=links(p1="Doe"))
    file = path / "index" / "v000001" / "links.parquet"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store = add(path, staging, rows, ledger=ledger("b", "c"), links=links(p1="Doe"))
    assert store.ledger.column("path").to_pylist() == ["a", "b", "c"]
    assert store.counts["ledger"] == 3
    assert store.links == {"p1": "Doe"}
    # The ledger says what happened to inputs; the data are the same.
    assert Store.open(path, version=1).digest == store.digest
    for links_file in path.glob("index/*/links.parquet"):
        links_file.unlink()
    assert Store.open(path).links == {}
    assert verify(path, deep=True) == []
    assert write_store(path, recording("p2")).version == 3


def test_appending_copies_where_hard_links_are_not_possible(tmp_path, recording, monkeypatch):
    def refuse(self, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = write_store(tmp_path / "store", recording("p1"))
    assert verify(store.path, deep=True) == []


def test_memory_of_an_append_does_not_grow_with_the_shards(tmp_path, recording, stage, add):
    large = recording("p1", count=1, length=8_000_000)  # 32 MB
    rows = stage(tmp_path / "staging", [large])
    tracemalloc.start()
    try:
        store = add(tmp_path / "store", tmp_path / "staging", rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(store) == 1
    assert peak < 4_000_000


def test_wrong_tables_are_refused_before_anything_is_written(tmp_path, recording, stage, add):
    staging, path = tmp_path / "staging", tmp_path / "store"
    rows = stage(staging, [recording("p1")])
    where = RECORDS_SCHEMA.get_field_index("shard")
    shards = {"gone.tar": "not in", "../b.tar": "not one that ShardWriter gives"}
    for name, reason in shards.items():
        moved = rows.set_column(where, RECORDS_SCHEMA.field("shard"), pa.array([name] * 3))
        with pytest.raises(StoreError, match=reason):
            add(path, staging, moved)
    where = RECORDS_SCHEMA.get_field_index("offset")
    shifted = rows.set_column(where, RECORDS_SCHEMA.field("offset"), pa.array([1 << 40] * 3))
    with pytest.raises(StoreError, match="outside its shard"):
        add(path, staging, shifted)
    with pytest.raises(StoreError, match="no column 'record'"):
        add(path, staging, rows.drop_columns(["record"]))
    with pytest.raises(StoreError, match="needs a column 'participant'"):
        add(path, staging, rows, participants=pa.table({"id": ["p1"]}))
    assert not (path / "store.json").exists()
    assert not list(path.rglob("*.tar"))
    assert len(add(path, staging, rows)) == 3


def test_a_folder_with_other_files_is_not_taken(tmp_path, recording):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="is no store: give a new folder"):
        write_store(tmp_path, recording("p1"))
    assert (tmp_path / "thesis.txt").read_text() == "mine"
