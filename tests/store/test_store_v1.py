"""Stores written by the first version are read for ever."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from medssl.store import Store, verify, write_store

DATA = Path(__file__).parents[1] / "data"
DIGEST = "b8e8623c266993403a14fec2a1d292f3"


@pytest.fixture(scope="module")
def made():
    """The script's formulas: what the committed bytes must decode to."""
    spec = importlib.util.spec_from_file_location("make_store_v1", DATA / "make_store_v1.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store():
    return Store.open(DATA / "store_v1")


def test_it_is_whole(store):
    assert verify(store.path, deep=True) == []
    assert (store.version, len(store), store.digest) == (2, 8, DIGEST)


def test_waveforms(store, made):
    rows = store.rows(modality="ppg", participants=["p1", "p2"])
    expected = [made.waveform(p, s) for p in (1, 2) for s in range(3)]
    np.testing.assert_array_equal(store.read(rows), np.stack(expected))
    np.testing.assert_array_equal(
        store.read_slice(int(rows[4]), slice(1, 2), slice(10, 20)), expected[4][1:2, 10:20]
    )
    contract = store.contract("ppg")
    assert (contract.rate, contract.channels) == (64.0, ("green", "infrared"))
    assert (contract.units, contract.length) == ("counts", 64)


def test_volume_and_report(store, made):
    volume, report = (int(store.rows(modality=m)[0]) for m in ("volume", "report"))
    found = store.read_record(volume)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, made.volume())
    crop = store.read_slice(volume, slice(3, 7), slice(-5, None), slice(2, 9))
    np.testing.assert_array_equal(crop, made.volume()[3:7, -5:, 2:9])
    assert store.read_record(report) == made.REPORT


def test_tables(store):
    assert store.participants["age"].tolist() == pytest.approx([34.0, np.nan], nan_ok=True)
    assert store.participants["sex"].tolist() == ["F", "M"]
    assert store.participants["has_volume"].tolist() == [False, True]
    assert store.column("added").tolist() == [1] * 3 + [2] * 5
    assert set(store.column("site")) == {"north", None}
    assert len(store.ledger) == 0


def test_its_first_version(store):
    first = Store.open(store.path, version=1)
    assert len(first) == 3
    np.testing.assert_array_equal(first.read(np.arange(3)), store.read(np.arange(3)))


def test_records_keep_their_names_and_can_be_appended_to(store, made, tmp_path, recording):
    path = shutil.copytree(store.path, tmp_path / "store")
    again = write_store(path, made.records(1) + made.records(2))
    assert (again.version, again.digest) == (2, DIGEST)  # nothing of it was new
    assert write_store(path, recording("p3")).version == 3
    assert verify(path, deep=True) == []
