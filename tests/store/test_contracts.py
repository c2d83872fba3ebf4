from __future__ import annotations

import numpy as np
import pytest

from medssl.errors import StoreError
from medssl.filters import Filter
from medssl.store import write_store

BAND = Filter(low=0.5, high=40)


def test_filter_and_overlap_are_found(tmp_path, recording):
    records = recording("p1", filter=BAND.text, overlap=0.25)
    contract = write_store(tmp_path / "store", records).contract("ppg")
    assert contract.filter == BAND
    assert contract.overlap == 0.25
    assert contract.step == contract.length - 16


def test_records_without_either_have_neither(tmp_path, recording):
    contract = write_store(tmp_path / "store", recording("p1")).contract("ppg")
    assert (contract.filter, contract.overlap) == (None, 0.0)


def test_differently_filtered_records_have_no_common_contract(tmp_path, recording):
    records = recording("p1", filter=BAND.text) + recording("p2", filter=Filter(high=40).text)
    store = write_store(tmp_path / "store", records + recording("p3"))
    with pytest.raises(StoreError) as caught:
        store.contract("ppg")
    assert "3 with 64 Hz, c0, mV, 32 samples, filter 0.5 to 40 Hz, Butter" in str(caught.value)
    assert "filter below 40 Hz" in str(caught.value)
    assert "select one kind" in str(caught.value)
    rows = np.flatnonzero(store.column("participant") == "p2")
    assert store.contract("ppg", rows).filter == Filter(high=40)


def test_of_different_overlaps_the_smallest_holds_for_all(tmp_path, recording):
    records = recording("p1", overlap=0.25) + recording("p2", overlap=0.125)
    store = write_store(tmp_path / "store", records)
    assert store.contract("ppg").overlap == 0.125
    store = write_store(tmp_path / "store", recording("p3"))
    assert store.contract("ppg").overlap == 0.0
