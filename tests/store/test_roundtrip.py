from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medssl.records import Record
from medssl.store import Store, verify, write_store
from medssl.types import Modality

DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(sizes=(16, 32, 64), endianness="?"),
)
FAST = settings(max_examples=20, deadline=None)


def store_of(records: list[Record]) -> tuple[Path, Store]:
    folder = Path(tempfile.mkdtemp())
    return folder, write_store(folder / "store", records)


def record(data: np.ndarray | str, modality: Modality, **changes: object) -> Record:
    waveform = modality is Modality.PPG
    return Record(
        participant="p1",
        session="s1",
        recording="x",
        modality=modality,
        data=data,
        source_digest="d",
        rate=100.0 if waveform else None,
        channels=tuple("abcd"[: data.shape[0]]) if waveform else (),
        **changes,
    )


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Bit for bit: NaNs and negative zeros included."""
    little = expected.astype(expected.dtype.newbyteorder("<"))
    assert found.dtype == little.dtype
    assert found.shape == little.shape
    assert found.tobytes() == little.tobytes()


@FAST
@given(st.data(), DTYPES, hnp.array_shapes(min_dims=2, max_dims=2, max_side=4), st.integers(1, 4))
def test_waveforms(data, dtype, shape, count):
    arrays = [data.draw(hnp.arrays(dtype, shape)) for _ in range(count)]
    records = [record(a, Modality.PPG, start=float(i)) for i, a in enumerate(arrays)]
    _, store = store_of(records)
    stack = store.read(np.arange(count))
    for row, expected in enumerate(arrays):
        same(stack[row], expected)
        same(store.read_record(row), expected)
    assert verify(store.path, deep=True) == []


@FAST
@given(st.data(), DTYPES, hnp.array_shapes(min_dims=2, max_dims=4, max_side=9))
def test_images_and_volumes(data, dtype, shape):
    modality = Modality.RADIOGRAPH if len(shape) == 2 else Modality.VOLUME
    array = data.draw(hnp.arrays(dtype, shape))
    _, store = store_of([record(array, modality)])
    same(store.read_record(0), array)
    same(store.read(np.array([0, 0]))[1], array)
    assert verify(store.path, deep=True) == []


@FAST
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_texts(text):
    _, store = store_of([record(text, Modality.REPORT)])
    assert store.read_record(0) == text
    assert verify(store.path, deep=True) == []


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    generator = np.random.default_rng(0)
    wave = generator.normal(size=(3, 50)).astype(np.float32)
    volume = generator.integers(-1000, 3000, size=(40, 70, 65), dtype=np.int16)
    records = [record(wave, Modality.PPG), record(volume, Modality.VOLUME)]
    store = write_store(tmp_path_factory.mktemp("mixed") / "store", records)
    return store, wave, volume


BOUND = st.one_of(st.none(), st.integers(-80, 80))
SLICES = st.lists(st.builds(slice, BOUND, BOUND), max_size=3)


@settings(max_examples=150, deadline=None)
@given(SLICES)
def test_partial_reads_are_slices(mixed, slices):
    store, wave, volume = mixed
    row = int(store.rows(modality="volume")[0])
    same(store.read_slice(row, *slices), volume[tuple(slices)])
    row = int(store.rows(modality="ppg")[0])
    same(store.read_slice(row, *slices[:2]), wave[tuple(slices[:2])])


def test_integers_stay_integers_and_shrink(tmp_path, other):
    smooth = np.add.outer(np.arange(64), np.add.outer(np.arange(64), np.arange(64)))
    store = write_store(tmp_path / "s", [other("p1", smooth.astype(np.uint16))])
    assert store.column("dtype").tolist() == ["<u2"]
    assert store.column("size")[0] < smooth.size  # half of its 2 bytes a voxel


def test_a_crop_touches_only_its_own_bytes(tmp_path, other):
    volume = np.random.default_rng(0).integers(0, 60000, size=(96, 128, 128), dtype=np.uint16)
    store = write_store(tmp_path / "s", [other("p1", volume)])
    shard = next((tmp_path / "s" / "shards").iterdir())
    data = bytearray(shard.read_bytes())
    middle = int(store.column("offset")[0] + store.column("size")[0] // 2)
    data[middle : middle + 4096] = bytes(4096)
    shard.write_bytes(data)
    damaged = Store.open(tmp_path / "s")
    np.testing.assert_array_equal(
        damaged.read_slice(0, slice(0, 8), slice(0, 64)), volume[0:8, 0:64]
    )
    assert verify(tmp_path / "s") == []
    assert len(verify(tmp_path / "s", deep=True)) == 1
