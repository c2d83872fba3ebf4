"""Stores written by the second version, with filter, overlap and grades, are read for ever."""

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
from medssl.filters import Filter
from medssl.store import Store, export, schema, verify, write_store

DATA = Path(__file__).parents[1] / "data"
DIGEST = "2e276d920048046217fa43ad086e32df"


@pytest.fixture(scope="module")
def made():
    """The script's formulas: what the committed bytes must decode to."""
    spec = importlib.util.spec_from_file_location("make_store_v2", DATA / "make_store_v2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store():
    return Store.open(DATA / "store_v2")


def test_it_is_whole_and_its_records_are_not_new(store, made, tmp_path):
    assert verify(store.path, deep=True) == []
    assert (store.version, len(store), store.digest) == (1, 6, DIGEST)
    path = shutil.copytree(store.path, tmp_path / "store")
    assert write_store(path, made.records()).version == 1
    assert write_store(tmp_path / "new", made.records()).digest == DIGEST


def test_its_columns(store, made):
    nothing = [None, None]
    assert store.column("filter").tolist() == [made.FILTER] * 2 + nothing * 2
    np.testing.assert_array_equal(store.column("overlap"), [0.25] * 2 + [0.0] * 2 + [np.nan] * 2)
    for name, column in schema.GRADES.items():
        partly = 1.0 if name == "flat" else np.nan
        expected = [made.GRADES[name]] * 2 + [partly] * 2 + [np.nan] * 2
        np.testing.assert_array_equal(store.column(column), expected)
    # What could not be computed is missing, not a number.
    assert store.records.column("quality_template").null_count == 4


def test_its_contract_names_the_filter(store):
    contract = store.contract("ppg", np.arange(2))
    assert contract.filter == Filter(low=0.5, high=8)
    assert contract.overlap == 0.25


def test_its_signals(store, made):
    expected = np.stack([made.waveform(segment) for segment in (0, 1)] * 3)
    np.testing.assert_array_equal(store.read(np.arange(6)), expected)


@pytest.fixture
def older(tmp_path):
    return Store.open(shutil.copytree(DATA / "store_v1", tmp_path / "older"))


def test_what_a_store_of_before_lacks_is_null(older):
    assert older.records.schema.equals(schema.RECORDS_SCHEMA)
    assert older.column("filter").tolist() == [None] * 8
    for name in schema.LATER - {"filter"}:
        assert np.isnan(older.column(name, np.arange(2, 5)).astype(float)).all()


def test_graded_records_are_appended_to_a_store_of_before(older, made):
    held = older.records
    both = write_store(older.path, made.records())
    assert (both.version, len(both)) == (3, 14)
    assert both.records.slice(0, 8).equals(held)
    assert verify(older.path, deep=True) == []
    # The older version still opens, has its digest, and lacks the columns on disk.
    before = Store.open(older.path, version=2)
    assert before.digest == older.digest
    file = older.path / "index" / "v000002" / "records.parquet"
    assert not schema.LATER & set(pq.read_schema(file).names)


def test_exports_carry_the_new_columns(store, older, tmp_path, made):
    export(store, tmp_path / "new.parquet", to="parquet")
    first, *_, last = pq.read_table(tmp_path / "new.parquet").to_pylist()
    assert {name: first[column] for name, column in schema.GRADES.items()} == made.GRADES
    assert (first["filter"], first["overlap"]) == (made.FILTER, 0.25)
    assert {last[name] for name in schema.LATER} == {None}
    export(older, tmp_path / "old", to="webdataset")
    with tarfile.open(next((tmp_path / "old").iterdir())) as archive:
        name = next(name for name in archive.getnames() if name.endswith(".json"))
        metadata = json.load(io.BytesIO(archive.extractfile(name).read()))
    assert {metadata[name] for name in schema.LATER} == {None}


def test_segments_of_one_member_share_filter_and_overlap(recording, tmp_path, made):
    mixed = recording("p1", filter="{}") + recording("p1", count=4, overlap=1.0)[3:]
    found = write_store(tmp_path / "store", mixed)  # two members of one recording
    assert sorted(found.column("filter").tolist(), key=str) == [None, "{}", "{}", "{}"]
    with pytest.raises(StoreError, match="unknown quality component 'kurtois'; did you mean kurt"):
        write_store(tmp_path / "other", recording("p1", grades={"kurtois": 3.0}))
