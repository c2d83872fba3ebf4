from __future__ import annotations

import multiprocessing
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest

from medssl.errors import StoreError
from medssl.store import Store, mapping, write_store
from medssl.types import Modality


@pytest.fixture(scope="module")
def original(tmp_path_factory, recording, other):
    """Two participants in six shards; the second has no waveform."""
    volume = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    path = tmp_path_factory.mktemp("original") / "store"
    for number in range(5):
        records = recording("p1", recording=f"r{number}", source="ward")
        write_store(path, records + recording("p1", modality=Modality.ECG, recording=f"e{number}"))
    return write_store(path, [other("p2", volume), other("p2", "clear", recording="t")]).path


@pytest.fixture
def store(original, tmp_path):
    return Store.open(shutil.copytree(original, tmp_path / "store"))


def check(store: Store) -> str:
    """Read a bit of everything; the answer is compared between processes."""
    rows = store.rows(modality="ppg")
    volume = store.read_record(int(store.rows(modality="volume")[0]))
    text = store.read_record(int(store.rows(modality="report")[0]))
    return f"{store.read(rows).sum():.9f} {volume.sum()} {text} {len(store.participants)}"


def test_batches_are_the_single_records_in_the_order_asked(store):
    rows = np.random.default_rng(0).choice(store.rows(modality="ppg"), size=200)
    batch = store.read(rows)
    assert batch.shape == (200, 1, 32)
    np.testing.assert_array_equal(batch, np.stack([store.read_record(int(r)) for r in rows]))
    in_one_shard = rows[store.column("shard", rows) == store.column("shard", rows[:1])[0]]
    np.testing.assert_array_equal(
        store.read(in_one_shard), np.stack([store.read_record(int(r)) for r in in_one_shard])
    )


def test_what_is_read_belongs_to_the_reader(store):
    first = store.read(np.array([0]))
    first += 1
    single = store.read_record(0)
    single += 1
    part = store.read_slice(0, slice(0, 1))
    part += 1
    np.testing.assert_array_equal(first[0], single)
    np.testing.assert_array_equal(store.read(np.array([0])) + 1, first)


def test_rows_meet_every_condition(store):
    frame = store.records.to_pandas()
    everything = store.rows()
    assert everything.dtype == np.int64
    np.testing.assert_array_equal(everything, np.arange(len(frame)))
    both = store.rows(modality=Modality.PPG, participants={"p1", "nobody"}, source="ward")
    mask = (frame["modality"] == "ppg") & (frame["source"] == "ward")
    np.testing.assert_array_equal(both, np.flatnonzero(mask))
    assert store.rows(participants=["nobody"]).size == 0
    assert store.rows(modality="respiration").size == 0
    with pytest.raises(StoreError, match="did you mean ppg"):
        store.rows(modality="pgg")
    with pytest.raises(StoreError, match="did you mean ward"):
        store.rows(source="wad")


def test_columns(store):
    rates = store.column("rate")
    assert rates.dtype == np.float64
    waveforms = np.isin(store.column("modality"), ["ppg", "ecg"])
    np.testing.assert_array_equal(np.isnan(rates), ~waveforms)
    assert set(store.column("units")) == {"mV", None}
    row = store.rows(modality="volume")
    assert store.column("shape", row).tolist() == [(4, 5, 6)]
    assert store.column("channels", row).tolist() == [()]
    with pytest.raises(ValueError, match="read-only"):
        rates[0] = 1
    with pytest.raises(StoreError, match="did you mean quality"):
        store.column("qualty")


def test_wrong_reads_say_why(store):
    volume, report = (int(store.rows(modality=m)[0]) for m in ("volume", "report"))
    with pytest.raises(StoreError, match="differ in shape or type"):
        store.read(np.array([0, volume]))
    with pytest.raises(StoreError, match="texts"):
        store.read(np.array([report]))
    with pytest.raises(StoreError, match="text"):
        store.read_slice(report, slice(0, 1))
    with pytest.raises(StoreError, match="no rows"):
        store.read(np.array([], dtype=np.int64))
    for row in (-1, len(store)):
        with pytest.raises(IndexError, match="row numbers go from 0"):
            store.read(np.array([row]))
        with pytest.raises(IndexError, match="row numbers go from 0"):
            store.read_record(row)
    with pytest.raises(TypeError, match="whole numbers"):
        store.read(np.array([0.5]))
    with pytest.raises(ValueError, match="without steps"):
        store.read_slice(volume, slice(0, 4, 2))
    with pytest.raises(ValueError, match="at most 2"):
        store.read_slice(0, slice(0, 1), slice(0, 1), slice(0, 1))


def test_contract(store, tmp_path, recording):
    contract = store.contract("ppg")
    assert (contract.rate, contract.units, contract.length) == (64.0, "mV", 32)
    assert contract.channels == ("c0",)
    with pytest.raises(StoreError, match="does not tell the contract of volume"):
        store.contract("volume")
    with pytest.raises(StoreError, match="no respiration records"):
        store.contract("respiration")
    path = tmp_path / "differing"
    write_store(path, recording("p1"))
    mixed = write_store(path, recording("p2", rate=128.0, units=None))
    with pytest.raises(StoreError, match=r"3 with 64 Hz, c0, mV, 32 samples; 3 with 128 Hz"):
        mixed.contract("ppg")
    assert mixed.contract("ppg", np.arange(3)).rate == 64.0
    with pytest.raises(StoreError, match="no units"):
        mixed.contract("ppg", np.arange(3, 6))


def test_forked_processes_read(store, in_child):
    expected = check(store)  # mapped in the parent already
    for _ in range(2):
        assert in_child(lambda: check(store)) == (0, expected)
    assert in_child(lambda: check(Store.open(store.path))) == (0, expected)
    assert check(store) == expected


def test_forked_processes_share_no_mapping(store, in_child):
    store.read(store.rows(modality="ppg"))
    mapped = set(store._maps._maps)

    def work():
        store.read_record(0)
        return ",".join(store._maps._maps)

    _, names = in_child(work)
    assert len(mapped) > 1
    assert names.split(",") == [store.column("shard")[0]]


def test_forking_while_another_thread_maps(store, in_child):
    store._maps._lock.acquire()
    try:
        assert in_child(lambda: check(store))[1].endswith("clear 2")
    finally:
        store._maps._lock.release()


def test_spawned_processes_read(store):
    rows = store.rows(modality="ppg")
    expected = store.read(rows)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(store.read, rows).result()
    np.testing.assert_array_equal(found, expected)


def test_pickles_are_paths(store, tmp_path, recording):
    store.read(store.rows(modality="ppg"))
    pickled = pickle.dumps(store)
    assert len(pickled) < 600
    old = Store.open(store.path, version=2)
    write_store(store.path, recording("p9"))
    for original in (store, old):
        copy = pickle.loads(pickle.dumps(original))
        assert (copy.version, copy.digest, len(copy)) == (
            original.version,
            original.digest,
            len(original),
        )
    store.path.rename(tmp_path / "gone")
    write_store(store.path, recording("p9"))
    for _ in range(5):
        write_store(store.path, recording(f"p{_}"))
    with pytest.raises(StoreError, match="was replaced"):
        pickle.loads(pickled)


def test_a_relative_path_survives_a_change_of_folder(store, monkeypatch, tmp_path):
    monkeypatch.chdir(store.path.parent)
    relative = Store.open("store")
    monkeypatch.chdir("/")
    assert relative.read_record(0).shape == (1, 32)


def test_threads_read_together(store):
    expected, found = check(store), []
    fresh = Store.open(store.path)
    threads = [threading.Thread(target=lambda: found.append(check(fresh))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_many_shards_need_few_descriptors(store, monkeypatch):
    monkeypatch.setattr(mapping, "_MAX_OPEN", 2)
    rows = store.rows(modality="ppg")
    fresh = Store.open(store.path)
    np.testing.assert_array_equal(fresh.read(rows), store.read(rows))
    assert len(fresh._maps._maps) == 2


def test_opening_reads_no_table(store, monkeypatch):
    from medssl.store import reader

    def refuse(*arguments):
        raise AssertionError

    monkeypatch.setattr(reader, "read_table", refuse)
    assert len(Store.open(store.path)) == len(store)


def test_an_empty_store_opens(tmp_path):
    labels = pd.DataFrame({"age": [50]}, index=["p1"])
    store = write_store(tmp_path / "store", [], participants=labels)
    assert (len(store), len(store.participants), store.rows().size) == (0, 1, 0)
    assert store.column("shape").size == 0
    with pytest.raises(StoreError, match="no ppg records"):
        store.contract("ppg")


def test_importing_the_package_is_light():
    code = "import sys, medssl.store; print([m for m in ('pyarrow','pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
