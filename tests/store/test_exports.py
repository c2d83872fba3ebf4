from __future__ import annotations

import io
import json
import sys
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from medssl.errors import MissingExtraError, StoreError
from medssl.store import export, exports, write_store


@pytest.fixture
def store(tmp_path, recording, other):
    image = np.arange(20, dtype=np.uint16).reshape(4, 5)
    records = [
        *recording("p1", recording="Doe_Jane", quality=0.5),
        *recording("p2", length=16),
        other("p1", image),
        other("p2", "ohne Befund, groß", recording="t"),
    ]
    return write_store(tmp_path / "store", records)


def test_webdataset(store, tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "MAX_SHARD_BYTES", 4000)
    export(store, tmp_path / "out", to="webdataset")
    shards = sorted((tmp_path / "out").iterdir())
    assert len(shards) > 1
    samples: dict[str, dict[str, bytes]] = {}
    for shard in shards:
        with tarfile.open(shard) as archive:
            members = [(m.name, archive.extractfile(m).read()) for m in archive]
        keys = [name.split(".", 1)[0] for name, _ in members]
        assert keys == sorted(keys, key=keys.index)  # the files of a sample are neighbours
        for name, data in members:
            key, suffix = name.split(".", 1)
            samples.setdefault(key, {})[suffix] = data
    assert list(samples) == store.column("record").tolist()
    for row, sample in enumerate(samples.values()):
        metadata = json.loads(sample["json"])
        assert metadata["participant"] == store.column("participant")[row]
        assert metadata["shape"] == list(store.column("shape")[row])
        expected = store.read_record(row)
        if isinstance(expected, str):
            assert sample["txt"].decode() == expected
        else:
            found = np.load(io.BytesIO(sample["npy"]), allow_pickle=False)
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
    assert not any(b"Doe" in shard.read_bytes() for shard in shards)


def test_parquet(store, tmp_path):
    rows = np.concatenate([store.rows(modality="ppg"), store.rows(modality="report")])
    export(store, tmp_path / "out.parquet", to="parquet", rows=rows)
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["record"] for row in table] == store.column("record", rows).tolist()
    for row, found in zip(rows, table, strict=True):
        expected = store.read_record(int(row))
        if isinstance(expected, str):
            assert (found["text"], found["data"]) == (expected, None)
        else:
            data = np.array(found["data"], dtype=found["dtype"]).reshape(found["shape"])
            np.testing.assert_array_equal(data, expected)
    assert "recording" not in table[0]
    with pytest.raises(StoreError, match=r"several types \(<f4, <u2\)"):
        export(store, tmp_path / "all.parquet", to="parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_zarr(store, tmp_path):
    zarr = pytest.importorskip("zarr", reason="extra bench")
    export(store, tmp_path / "out", to="zarr")
    group = zarr.open_group(str(tmp_path / "out"), mode="r")
    table = pq.read_table(tmp_path / "out" / "records.parquet").to_pylist()
    assert [row["record"] for row in table] == store.column("record").tolist()
    for row, found in enumerate(table):
        expected = store.read_record(row)
        if isinstance(expected, str):
            assert found["text"] == expected
        else:
            array = group[found["array"]][found["position"]]
            np.testing.assert_array_equal(array, expected)
            assert array.dtype == expected.dtype


def test_zarr_that_is_not_installed(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"medssl\[bench\]"):
        export(store, tmp_path / "out", to="zarr")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["webdataset", "parquet"])
def test_a_failing_export_leaves_nothing(store, tmp_path, monkeypatch, to):
    rows = store.rows(modality="ppg")
    read = store.read_record

    def fail_late(row):
        if row == rows[-1]:
            raise OSError(28, "No space left on device")
        return read(row)

    monkeypatch.setattr(store, "read_record", fail_late)
    with pytest.raises(StoreError, match=r"No space left on device"):
        export(store, tmp_path / "out", to=to, rows=rows)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_targets_are_not_overwritten_and_formats_are_known(store, tmp_path):
    (tmp_path / "mine").write_text("x")
    for to in ("webdataset", "parquet", "zarr"):
        with pytest.raises(StoreError, match="exists already"):
            export(store, tmp_path / "mine", to=to)
    with pytest.raises(StoreError, match="choose one of webdataset, parquet, zarr"):
        export(store, tmp_path / "out", to="hdf5")
