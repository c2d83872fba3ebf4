"""Stores that are damaged, tampered with, or from the future."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medssl.errors import StoreError
from medssl.store import Store, verify, write_store
from medssl.store.schema import RECORDS_SCHEMA

HUGE = 2**63 - 1


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tmp_path_factory.mktemp("original") / "store"


@pytest.fixture
def path(original, tmp_path, recording, other):
    """A copy of a store: rows 0–2 waveforms, 3 a volume, 4 a text."""
    if not original.exists():
        volume = np.random.default_rng(0).integers(0, 99, size=(6, 7, 8), dtype=np.int16)
        write_store(original, recording("p1"))
        write_store(original, [other("p2", volume, recording="a"), other("p2", "clear")])
    return shutil.copytree(original, tmp_path / "store")


def tamper(path, row, **values):
    file = path / "index" / "v000002" / "records.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[row] |= values
    pq.write_table(pa.Table.from_pylist(rows, schema=RECORDS_SCHEMA), file)


@pytest.mark.parametrize(
    "values",
    [
        {"offset": -1},
        {"offset": -HUGE - 1},
        {"offset": 2**40},
        {"offset": HUGE},
        {"offset": HUGE, "size": HUGE},
        {"offset": 10**6},
        {"size": -1},
        {"size": 0},
        {"size": 127},
        {"size": HUGE},
        {"shape": [1, 10**10]},
        {"shape": [2**32, 2**32]},
        {"shape": [-1, -32]},
        {"shape": [1] * 40 + [32]},
        {"shape": []},
        {"shape": [0, 32]},
        {"dtype": "|O"},
        {"dtype": ">f4"},
        {"dtype": "<f4,<f4"},
        {"dtype": "<U8"},
        {"dtype": "nonsense"},
        {"encoding": "pickle"},
        {"encoding": "utf8"},
        {"encoding": "blosc2"},
        {"shard": "../../secret.tar"},
        {"shard": "v000009-part-00000.tar"},
    ],
)
def test_tampered_places_are_refused_and_the_rest_is_read(path, values):
    expected = Store.open(path).read_record(1)
    tamper(path, 0, **values)
    store = Store.open(path)
    reads = [
        lambda: store.read_record(0),
        lambda: store.read(np.array([0, 0])),
        lambda: store.read_slice(0, slice(0, 1)),
    ]
    for read in reads:
        with pytest.raises(StoreError, match=r"row 0|texts") as caught:
            read()
        assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(store.read_record(1), expected)
    assert any("row 0" in problem for problem in verify(path, deep=True))


def test_a_place_just_past_the_end_is_refused_and_the_last_one_is_read(path):
    store = Store.open(path)
    shard = path / "shards" / store.column("shard")[0]
    size, length = shard.stat().st_size, 128
    tamper(path, 0, offset=size - length)
    assert Store.open(path).read_record(0).tobytes() == shard.read_bytes()[-length:]
    tamper(path, 0, offset=size - length + 1)
    with pytest.raises(StoreError, match="outside its shard"):
        Store.open(path).read_record(0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"shape": [6, 7, 9]}, "holds a frame of shape"),
        ({"dtype": "<u2"}, "holds a frame of shape"),
        ({"shape": [2**20, 2**20, 8]}, "claims"),
        ({"offset": 1024}, "row 3"),
        ({"size": 40}, "row 3"),
    ],
)
def test_tampered_frames_are_refused(path, values, reason):
    tamper(path, 3, **values)
    with pytest.raises(StoreError, match=reason):
        Store.open(path).read_record(3)


def test_flipped_bytes_in_frames_never_read_as_other_shapes(path):
    store = Store.open(path)
    shard = path / "shards" / store.column("shard")[3]
    start, size = (int(store.column(name)[3]) for name in ("offset", "size"))
    whole = shard.read_bytes()
    generator = np.random.default_rng(0)
    outcomes = set()
    for position in generator.integers(0, size, size=150):
        data = bytearray(whole)
        data[start + position] ^= int(generator.integers(1, 256))
        shard.write_bytes(data)
        try:
            found = Store.open(path).read_record(3)
            outcomes.add("read")
            assert (found.shape, found.dtype) == ((6, 7, 8), np.int16)
        except StoreError as error:
            outcomes.add("refused" if "row 3" in str(error) else "unnamed")
    assert outcomes == {"read", "refused"}


def test_text_that_is_no_text(path):
    store = Store.open(path)
    shard = path / "shards" / store.column("shard")[4]
    data = bytearray(shard.read_bytes())
    data[int(store.column("offset")[4])] = 0xFF
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"row 4 .* is not UTF-8 text"):
        Store.open(path).read_record(4)


def test_truncated_and_missing_shards(path):
    shard = path / "shards" / Store.open(path).column("shard")[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(StoreError, match="bytes and should have"):
        Store.open(path).read_record(0)
    shard.unlink()
    with pytest.raises(StoreError, match=r"cannot be opened \(No such file or directory\)"):
        Store.open(path).read_record(0)
    assert Store.open(path).read_record(4) == "clear"


def change(**values):
    def edit(text):
        return json.dumps(json.loads(text) | values)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        change(format="zip"),
        change(schema="1"),
        change(schema=0),
        change(schema=True),
        change(version=-1),
        change(version=1.5),
        change(digest="../../x"),
        change(digest=None),
        change(created_with=None),
        change(shards=[]),
        change(shards={"../x.tar": 5}),
        change(shards={"a.tar": -5}),
        change(shards={"a.tar": 10**30}),
        change(counts={"records": "many"}),
        change(files={}),
        change(files={"records.parquet": "x", "participants.parquet": "", "ledger.parquet": ""}),
    ],
)
def test_damaged_manifests(path, edit, recording):
    manifest = path / "store.json"
    manifest.write_text(edit(manifest.read_text()))
    for use in (Store.open, lambda p: write_store(p, recording("p9"))):
        with pytest.raises(StoreError, match=r"store\.json is damaged") as caught:
            use(path)
        assert "\n" not in str(caught.value)
    assert len(verify(path)) == 1
    assert len(list(path.glob("shards/*.tar"))) == 2  # a writer removed nothing


def test_binary_manifest(path):
    (path / "store.json").write_bytes(b"\xff\x00")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(path)


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match=r"no store at .*: it has no store.json"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="no store at"):
        Store.open(str(tmp_path / "nowhere"))


def test_newer_stores_are_refused_with_a_hint(path):
    manifest = path / "store.json"
    # A newer layout may have other fields altogether: only the version is looked at.
    manifest.write_text(json.dumps({"format": "medssl-store", "schema": 4}))
    with pytest.raises(StoreError, match=r"schema version 4 .* pip install --upgrade medssl"):
        Store.open(path)


@pytest.mark.parametrize("name", ["records", "participants", "ledger"])
def test_damaged_index_files(path, name):
    def use():
        store = Store.open(path)
        return store.records, store.participants, store.ledger, store.read_record(0)

    file = path / "index" / "v000002" / f"{name}.parquet"
    whole = file.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"PAR1" + bytes(100) + b"PAR1"):
        file.write_bytes(data)
        with pytest.raises(StoreError, match=r"parquet is damaged") as caught:
            use()
        assert "\n" not in str(caught.value)
        assert verify(path)
    file.unlink()
    with pytest.raises(StoreError, match=r"parquet is missing"):
        use()
    assert any("missing" in problem for problem in verify(path))


def test_index_files_with_other_columns(path):
    file = path / "index" / "v000002" / "records.parquet"
    whole = pq.read_table(file)
    wrong = [
        whole.drop_columns(["offset"]),
        whole.drop_columns(["rate"]),  # nullable, but every version wrote it
        whole.append_column("more", whole.column("record")),
        whole.set_column(whole.column_names.index("filter"), "filter", whole.column("start")),
    ]
    for table in wrong:
        pq.write_table(table, file)
        with pytest.raises(StoreError, match="other columns"):
            Store.open(path)
        assert any("other columns" in problem for problem in verify(path))
