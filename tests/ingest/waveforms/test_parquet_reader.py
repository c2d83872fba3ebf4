from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.ingest import IngestConfig
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms import parquet_table
from medssl.ingest.waveforms.parquet_footer import read_footer
from medssl.ingest.waveforms.readers import list_members, open_recording

SIGNAL = np.random.default_rng(0).normal(size=(2, 3000))


@pytest.fixture
def source(tmp_path):
    def build(**changes):
        values = {
            "name": "x", "format": "parquet", "path": str(tmp_path), "modality": "ecg",
            "rate": 100, "segment_seconds": 2, "channels": ["I", "II"], "units": "mV",
            "rate_in": 100, "participant": {"each_recording": True},
        } | changes  # fmt: skip
        return validate(IngestConfig, {"sources": [values]}, where="ingest").sources[0]

    return build


@pytest.fixture
def read(tmp_path, source):
    def read_table(columns, member="", rows=700, **changes):
        path = tmp_path / "a.parquet"
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, path, row_group_size=rows)
        return open_recording(path, source(**changes), folder=tmp_path, member=member)

    return read_table


def columns(**more):
    return {"I": SIGNAL[0], "II": SIGNAL[1]} | more


@pytest.mark.parametrize("rows", [1, 64, 700, 3000])
def test_any_range_of_columns_is_read_as_if_all_were(read, rows):
    found = read(columns(), rows=rows)
    assert (found.rate, found.units, found.channels) == (100.0, "mV", ("I", "II"))
    (track,) = found.tracks
    assert track.length == 3000
    for start, stop in ((0, 3000), (0, 1), (699, 701), (1234, 2345), (2999, 3000), (7, 7)):
        np.testing.assert_array_equal(track.read(start, stop), SIGNAL[:, start:stop])


@pytest.mark.parametrize("kind", ["int8", "uint16", "int64", "float32", "float64", "bool"])
def test_numbers_of_every_kind_and_null_is_missing(read, kind):
    values = pa.array([1, None, 0], pa.int8()).cast(getattr(pa, kind.replace("bool", "bool_"))())
    found = read({"I": values}, channels=["I"])
    np.testing.assert_array_equal(found.signal, [[1.0, np.nan, 0.0]])
    decimals = pa.array([1, None], pa.decimal128(5, 2))
    np.testing.assert_array_equal(read({"I": decimals}, channels=["I"]).signal, [[1.0, np.nan]])


@pytest.mark.parametrize("changes", [{"time_unit": "ms"}, {"time_unit": "datetime"}, {}])
def test_times_of_every_kind(read, changes):
    milliseconds = 8 * np.arange(3000)
    times = {
        "ms": milliseconds,
        "datetime": [str(np.datetime64("2020-01-01", "ms") + n) for n in milliseconds],
    }.get(changes.get("time_unit"), pa.array(milliseconds * 1000, pa.timestamp("us", "UTC")))
    found = read(columns(t=times), time_column="t", rate_in=None, **changes)
    assert found.rate == 125.0
    assert found.tracks[0].filled is None
    np.testing.assert_array_equal(found.signal, SIGNAL)


def test_uneven_times_are_brought_to_a_grid(read):
    times = np.arange(3000) / 100
    keep = np.random.default_rng(1).random(3000) > 0.1
    wave = np.sin(2 * np.pi * times)
    found = read({"t": times[keep], "I": wave[keep]}, channels=["I"], time_column="t")
    assert found.rate == 100.0
    assert np.nanmax(np.abs(found.signal[0] - wave[: found.signal.shape[1]])) < 0.01
    assert found.tracks[0].filled(0, 100).any()


def test_each_row_with_lists_is_a_recording(read, source, tmp_path):
    table = {
        "id": ["b", "a", "c"], "who": ["p1", "p1", None], "fs": [100.0, 100.0, 50.0],
        "age": [30, 30, 41], "I": [list(SIGNAL[0, : 500 + n]) for n in range(3)],
        "II": [list(SIGNAL[1, : 500 + n]) for n in range(3)],
    }  # fmt: skip
    changes = {
        "recordings": "id", "rate_in": None, "rate_column": "fs",
        "participant": {"comment": "who"}, "labels": {"comments": {"age": "age"}},
    }  # fmt: skip
    found = read(table, member="c", rows=2, **changes)
    assert found.rate == 50.0
    np.testing.assert_array_equal(found.signal, SIGNAL[:, :502])
    members = list_members(tmp_path / "a.parquet", source(**changes), folder=tmp_path)
    assert [one.key for one in members] == ["b", "a", "c"]
    assert members[1].comments == ("who: p1", "age: 30", "fs: 100")
    assert members[2].comments == ("age: 41", "fs: 50")
    by_number = changes | {"recordings": "."}
    found = read(table, member="2", **by_number)
    np.testing.assert_array_equal(found.signal, SIGNAL[:, :501])


def test_large_row_groups_of_lists_are_not_kept(read, monkeypatch):
    table = {
        "id": [str(n) for n in range(5)],
        "I": [list(SIGNAL[0, n : n + 300]) for n in range(5)],
    }
    monkeypatch.setattr(parquet_table, "_KEPT_BYTES", 1000)
    for number in (0, 3):
        found = read(table, member=str(number), recordings="id", channels=["I"])
        np.testing.assert_array_equal(found.signal[0], SIGNAL[0, number : number + 300])


@pytest.mark.parametrize("layout", ["row", "columns"])
def test_a_matrix_in_each_cell(read, layout):
    turned = SIGNAL if layout == "row" else SIGNAL.T
    table = {"ecg": [turned[:40, :40].tolist(), turned.tolist()]}
    changes = {"matrix": "ecg", "layout": layout, "recordings": "."}
    np.testing.assert_array_equal(read(table, member="2", **changes).signal, SIGNAL)
    found = read(table, member="2", **changes | {"channels": ["1"]})
    np.testing.assert_array_equal(found.signal, SIGNAL[1:])
    with pytest.raises(Unreadable) as verdict:
        read(table, member="2", **changes | {"channels": ["a", "b", "c"]})
    assert verdict.value.reason is Reason.MISSING_CHANNEL


def test_neighbouring_rows_are_a_recording(read, source, tmp_path):
    lengths = [1000, 500, 1500]
    table = columns(
        id=np.repeat([7, 9, 8], lengths), sex=np.repeat(["M", "F", "F"], lengths),
        age=np.arange(3000) // 1600,
    )  # fmt: skip
    changes = {
        "recordings": "id", "labels": [{"comments": {"sex": "sex", "age": "age"}}],
    }  # fmt: skip
    found = read(table, member="9", **changes)
    np.testing.assert_array_equal(found.tracks[0].read(0, 500), SIGNAL[:, 1000:1500])
    np.testing.assert_array_equal(found.tracks[0].read(90, 99), SIGNAL[:, 1090:1099])
    assert found.comments == ("sex: F", "age: 0")
    members = list_members(tmp_path / "a.parquet", source(**changes), folder=tmp_path)
    assert [one.key for one in members] == ["7", "9", "8"]
    # The age changes inside the last one, so nobody knows it.
    assert members[2].comments == ("sex: F",)


@pytest.mark.parametrize(
    ("table", "changes", "reason"),
    [
        ({"I": [1.0], "III": [2.0]}, {}, Reason.MISSING_CHANNEL),
        ({"I": ["a"], "II": ["b"]}, {}, Reason.UNSUPPORTED_FORMAT),
        ({"I": [1.0], "II": [[2.0]]}, {}, Reason.UNSUPPORTED_FORMAT),
        ({"I": [[1.0]], "II": [[2.0, 3.0]]}, {}, Reason.UNSUPPORTED_FORMAT),
        ({"I": [[]], "II": [[]]}, {}, Reason.TOO_SHORT),
        ({"I": pa.array([None], pa.list_(pa.float64())), "II": [[1.0]]}, {}, Reason.TOO_SHORT),
        ({"I": [[1.0], [1.0]], "II": [[1.0], [1.0]]}, {}, Reason.UNSUPPORTED_FORMAT),
        ({"I": [[None]], "II": [[1.0]]}, {}, Reason.ALL_NAN),
        ({"I": [], "II": []}, {}, Reason.TOO_SHORT),
        ({"I": [1.0, 2.0], "II": [1.0, 2.0]}, {"recordings": "id"}, Reason.MISSING_CHANNEL),
        ({"id": [1, 2, 1], "I": [1.0] * 3, "II": [1.0] * 3}, {"recordings": "id"},
         Reason.UNSUPPORTED_FORMAT),
        ({"id": [1, None], "I": [1.0] * 2, "II": [1.0] * 2}, {"recordings": "id"},
         Reason.UNREADABLE_DATA),
        ({"id": [[1]], "I": [1.0], "II": [1.0]}, {"recordings": "id"}, Reason.UNSUPPORTED_FORMAT),
        ({"fs": [0.0], "I": [1.0], "II": [1.0]}, {"rate_column": "fs"}, Reason.UNREADABLE_HEADER),
        ({"fs": [np.nan], "I": [1.0], "II": [1.0]}, {"rate_column": "fs"},
         Reason.UNREADABLE_HEADER),
        ({"fs": [1.0, 2.0], "I": [1.0] * 2, "II": [1.0] * 2}, {"rate_column": "fs"},
         Reason.UNREADABLE_HEADER),
        ({"t": [2.0, 1.0], "I": [1.0] * 2, "II": [1.0] * 2}, {"time_column": "t"},
         Reason.UNEVEN_TIME),
    ],
)  # fmt: skip
def test_verdicts(read, source, tmp_path, table, changes, reason):
    with pytest.raises(Unreadable) as verdict:
        read(table, member="1" if "recordings" in changes else "", **changes)
    assert verdict.value.reason is reason


def test_two_columns_of_one_name(read):
    table = pa.Table.from_arrays([pa.array([1.0])] * 3, names=["I", "II", "II"])
    with pytest.raises(Unreadable) as verdict:
        read(table)
    assert verdict.value.reason is Reason.MISSING_CHANNEL


@pytest.mark.parametrize("lists", [False, True])
def test_a_table_that_claims_far_more_than_it_has(read, lists):
    constant = np.zeros(20_000_000, np.int8)
    column = pa.ListArray.from_arrays([0, len(constant)], constant) if lists else constant
    with pytest.raises(Unreadable) as verdict:
        read({"I": column}, channels=["I"], rows=len(constant))
    assert verdict.value.reason is Reason.CLAIMS_TOO_LARGE


def test_the_footer_says_what_arrow_says(read, tmp_path):
    read(columns(s=["x"] * 3000), rows=1300)
    path = tmp_path / "a.parquet"
    metadata = pq.read_metadata(path)
    groups = read_footer(path)
    assert [group.rows for group in groups] == [1300, 1300, 400]
    for number, group in enumerate(groups):
        for place, chunk in enumerate(group.chunks):
            theirs = metadata.row_group(number).column(place)
            assert chunk.column == theirs.path_in_schema
            assert chunk.values == theirs.num_values
            assert chunk.uncompressed == theirs.total_uncompressed_size
            assert chunk.compressed == theirs.total_compressed_size


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"rate_in": None}, "rate_column"), ({"units": None}, "units"),
     ({"rate_column": "fs", "time_column": "t"}, "keep one"),
     ({"matrix": "m", "time_column": "t"}, "matrix")],
)  # fmt: skip
def test_settings_that_tell_too_little(source, changes, said):
    with pytest.raises(ConfigError, match=said):
        source(**changes)
