"""Stores written by the third version, with images and reports, are read for ever."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from medssl.errors import StoreError
from medssl.store import Store, export, verify, write_store

DATA = Path(__file__).parents[1] / "data"
DIGEST = "5cceb2a9515fd1376fc04de2e673edfc"
IMAGES = [0, 1, 3]
REPORTS = [2, 4]


@pytest.fixture(scope="module")
def made():
    """The script's formulas: what the committed bytes must decode to."""
    spec = importlib.util.spec_from_file_location("make_store_v3", DATA / "make_store_v3.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store():
    return Store.open(DATA / "store_v3")


def test_it_is_whole_and_its_records_are_not_new(store, made, tmp_path):
    assert verify(store.path, deep=True) == []
    assert (store.version, len(store), store.digest) == (1, 5, DIGEST)
    path = shutil.copytree(store.path, tmp_path / "store")
    assert write_store(path, made.records()).version == 1


def test_its_images_and_reports(store, made):
    left, right, later = (store.read_record(row) for row in IMAGES)
    np.testing.assert_array_equal(left, made.pixels(8))
    np.testing.assert_array_equal(right, made.pixels(8)[::-1])
    np.testing.assert_array_equal(later, made.pixels(16))
    assert (left.dtype, later.dtype, later.max()) == (np.uint8, np.uint16, 65535)
    assert [store.read_record(row) for row in REPORTS] == [made.REPORT] * 2


def test_its_studies_views_and_times(store, made):
    assert store.column("study").tolist() == ["e1", "e1", "e1", "e2", None]
    assert store.column("view").tolist() == ["PA", "lateral", None, "AP", None]
    np.testing.assert_array_equal(store.column("time"), [0, 0, 0, 12.5, np.nan])
    shown = [json.loads(text) if text else None for text in store.column("display")]
    steps = ["window 40/400 linear", "inverted"]
    assert shown == [steps, steps, None, steps, None]
    assert store.participants[["has_radiograph", "has_report"]].to_numpy().tolist() == [
        [True, True], [False, True],
    ]  # fmt: skip


def test_labels_beyond_what_can_be_measured_survive(store):
    names = store.column("record", np.array([0, 3]))
    assert store.record_labels["crp"].reindex(names).tolist() == [-np.inf, np.inf]


def test_a_changed_pixel_and_a_changed_word_are_found(store, tmp_path):
    path = shutil.copytree(store.path, tmp_path / "store")
    (shard,) = (path / "shards").iterdir()
    data = shard.read_bytes()
    assert data.count(b"enlarged") == 2
    shard.write_bytes(data.replace(b"enlarged", b"Enlarged", 1))
    (problem,) = verify(path, deep=True)
    assert problem.startswith("row 2")
    assert "its digest differs" in problem
    with tarfile.open(path / "shards" / shard.name) as archive:
        frame = next(member for member in archive if member.name.endswith(".b2"))
    broken = bytearray(data)
    broken[frame.offset_data + frame.size // 2] ^= 0xFF
    shard.write_bytes(bytes(broken))
    (problem,) = verify(path, deep=True)
    assert problem.startswith("row 0")


def test_exports_carry_images_texts_and_the_new_columns(store, tmp_path, made):
    rows = np.array([0, 1, 2, 4])
    export(store, tmp_path / "all.parquet", to="parquet", rows=rows)
    image, side, report, _ = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert (image["view"], image["time"], image["display"]) == ("PA", 0.0, made.DISPLAY)
    np.testing.assert_array_equal(np.reshape(side["data"], side["shape"]), made.pixels(8)[::-1])
    assert (report["text"], report["data"], report["study"]) == (made.REPORT, None, "e1")
    with pytest.raises(StoreError, match="several types"):  # 8 and 16 bits
        export(store, tmp_path / "mixed.parquet", to="parquet")
    export(store, tmp_path / "tars", to="webdataset")
    (tar,) = (tmp_path / "tars").iterdir()
    with tarfile.open(tar) as archive:
        files = {name: archive.extractfile(name).read() for name in archive.getnames()}
    name = store.column("record")[2]
    assert files[f"{name}.txt"].decode() == made.REPORT
    assert json.loads(files[f"{name}.json"])["time"] == 0.0
    later = store.column("record")[3]
    np.testing.assert_array_equal(np.load(io.BytesIO(files[f"{later}.npy"])), made.pixels(16))


def test_images_and_reports_are_appended_to_the_stores_of_before(made, tmp_path):
    for version, records in (("store_v1", 8), ("store_v2", 6)):
        path = shutil.copytree(DATA / version, tmp_path / version)
        before = Store.open(path)
        both = write_store(path, made.records())
        assert len(both) == records + 5
        assert both.records.slice(0, records).equals(before.records)
        assert verify(path, deep=True) == []
        assert Store.open(path, version=before.version).digest == before.digest
