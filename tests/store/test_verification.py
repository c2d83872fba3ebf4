from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medssl.store import Store, verify, write_store
from medssl.store.schema import RECORDS_SCHEMA


@pytest.fixture
def path(tmp_path, recording, other):
    volume = np.random.default_rng(0).integers(0, 999, size=(9, 9, 9), dtype=np.int16)
    write_store(tmp_path / "store", [*recording("p1"), other("p1", volume)])
    return write_store(tmp_path / "store", [other("p1", "clear", recording="t")]).path


def flip(file, position):
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def test_a_whole_store_has_no_problems(path):
    assert verify(path) == []
    assert verify(str(path), deep=True) == []


def test_deep_finds_one_flipped_byte_of_any_record(path):
    store = Store.open(path)
    for row in range(len(store)):
        shard = path / "shards" / store.column("shard")[row]
        whole = shard.read_bytes()
        flip(shard, int(store.column("offset")[row] + store.column("size")[row] // 2))
        assert verify(path) == []
        (problem,) = verify(path, deep=True)
        assert f"row {row} " in problem
        shard.write_bytes(whole)


def test_deep_finds_damaged_tar_and_npy_headers(path):
    store = Store.open(path)
    row = int(store.rows(modality="ppg")[0])
    shard = path / "shards" / store.column("shard")[row]
    start = int(store.column("offset")[row]) - 128
    whole = shard.read_bytes()
    flip(shard, start)  # the .npy magic
    assert any("damaged header" in problem for problem in verify(path, deep=True))
    shard.write_bytes(whole.replace(b"'shape': (3, 1, 32)", b"'shape': (4, 1, 32)"))
    assert any("does not fit its size" in problem for problem in verify(path, deep=True))
    shard.write_bytes(whole)
    flip(shard, start - 512)  # the tar header's name
    assert any("not a whole tar" in p or "no member" in p for p in verify(path, deep=True))


def test_finds_truncated_missing_and_orphan_files(path):
    first, second = sorted((path / "shards").iterdir())
    first.write_bytes(first.read_bytes()[:-512])
    second.unlink()
    (path / "shards" / "stranger.tar").write_bytes(b"")
    (path / "index" / ".v000003.partial").mkdir()
    problems = verify(path)
    assert len(problems) == 4
    for name in (first.name, second.name, "stranger.tar", ".v000003.partial"):
        assert sum(name in problem for problem in problems) == 1


def test_the_next_append_removes_orphans(path, recording):
    (path / "shards" / "v000003-part-00000.tar").write_bytes(b"rest of a killed writer")
    (path / "shards" / "x.tar.partial").write_bytes(b"")
    (path / "index" / ".v000003.partial").mkdir()
    (path / "index" / "v000003").mkdir()
    (path / ".store.json.0a1b2c3d.partial").write_bytes(b"")
    assert len(verify(path)) == 4
    write_store(path, recording("p2"))
    assert verify(path, deep=True) == []
    assert not list(path.rglob("*.partial"))


def test_finds_changes_of_the_index(path):
    file = path / "index" / "v000002" / "records.parquet"
    whole = file.read_bytes()
    rows = pq.read_table(file).to_pylist()

    def problems(edited):
        pq.write_table(pa.Table.from_pylist(edited, schema=RECORDS_SCHEMA), file)
        return " | ".join(verify(path))

    assert "not the one that was written" in problems(rows[::-1])
    assert "not the one that was written" in problems([rows[0] | {"offset": 0}, *rows[1:]])
    file.write_bytes(whole)
    labels = path / "index" / "v000002" / "participants.parquet"
    pq.write_table(pq.read_table(labels).append_column("age", pa.array([1])), labels)
    assert "participants.parquet is not the one" in " | ".join(verify(path))


def test_a_missing_old_version_is_found(path):
    shutil.rmtree(path / "index" / "v000001")
    assert verify(path) == ["index/v000001 is missing"]


def test_no_store_is_a_problem(tmp_path):
    (problem,) = verify(tmp_path)
    assert "no store at" in problem
