from __future__ import annotations

import struct
import zlib

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.ingest import IngestConfig
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.readers import list_members, open_recording

SIGNAL = np.random.default_rng(0).normal(size=(3, 700))
NAMES = np.array([["I"], ["II"], ["V1"]], dtype=object)


@pytest.fixture
def source(tmp_path):
    def build(**changes):
        values = {
            "name": "x", "format": "matlab", "path": str(tmp_path), "modality": "ecg", "rate": 100,
            "segment_seconds": 2, "channels": ["I", "II", "V1"], "variable": "val", "units": "mV",
            "rate_in": 100, "participant": {"each_recording": True},
        } | changes  # fmt: skip
        return validate(IngestConfig, {"sources": [values]}, where="ingest").sources[0]

    return build


@pytest.fixture
def read(tmp_path, source):
    def read_file(path, member="", **changes):
        return open_recording(path, source(**changes), folder=tmp_path, member=member)

    return read_file


def save_hdf5(path, values):
    """A 7.3 file, as MATLAB lays it out: columns as rows, references for cells and structs."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in values.items():
            put(file, name, value)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def put(group, name, value):
    if isinstance(value, dict):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, item in value.items():
            put(inner, key, item)
    elif isinstance(value, str):
        data = np.array([[ord(letter)] for letter in value], dtype=np.uint16)
        group.create_dataset(name, data=data).attrs["MATLAB_class"] = np.bytes_("char")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key in value[0]:
            refer(inner, key, [item[key] for item in value])
    elif isinstance(value, list):
        refer(group, name, value).attrs["MATLAB_class"] = np.bytes_("cell")
    else:
        data = np.atleast_2d(np.asarray(value))
        chunks = {"chunks": (min(100, data.shape[1]), data.shape[0]), "compression": "gzip"}
        kind = {"f8": "double", "f4": "single", "i2": "int16"}[data.dtype.str[1:]]
        item = group.create_dataset(name, data=data.T, **chunks)
        item.attrs["MATLAB_class"] = np.bytes_(kind)


def refer(group, name, values):
    references = group.create_dataset(name, (len(values), 1), dtype=h5py.ref_dtype)
    hidden = group.file.require_group("#refs#")
    for number, value in enumerate(values):
        key = f"r{len(hidden)}"
        put(hidden, key, value)
        references[number, 0] = hidden[key].ref
    return references


def save(path, values, version):
    if version == "7.3":
        plain = {name: nested(value) for name, value in values.items()}
        save_hdf5(path, plain)
    else:
        packed = version == "7"
        savemat(path, values, format="4" if version == "4" else "5", do_compression=packed)
    return path


def nested(value):
    if isinstance(value, dict):
        return {key: nested(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.names:
        return [
            {name: nested(one[name]) for name in value.dtype.names} for one in value.reshape(-1)
        ]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [nested(one) for one in value.reshape(-1)]
    return np.float64(value) if isinstance(value, float) else value


VERSIONS = ["5", "7", "7.3"]


@pytest.mark.parametrize("version", ["4", *VERSIONS])
def test_a_matrix_in_both_layouts_and_by_number(read, tmp_path, version):
    path = save(tmp_path / "a.mat", {"other": np.arange(4.0)[None], "val": SIGNAL}, version)
    found = read(path)
    assert (found.rate, found.units, found.channels) == (100.0, "mV", ("I", "II", "V1"))
    np.testing.assert_array_equal(found.signal, SIGNAL)
    (track,) = found.tracks
    np.testing.assert_array_equal(track.read(90, 333), SIGNAL[:, 90:333])
    np.testing.assert_array_equal(read(path, channels=["2", "0"]).signal, SIGNAL[[2, 0]])
    path = save(tmp_path / "b.mat", {"val": np.ascontiguousarray(SIGNAL.T)}, version)
    np.testing.assert_array_equal(read(path, layout="columns").signal, SIGNAL)
    with pytest.raises(Unreadable) as verdict:
        read(path)
    assert verdict.value.reason is Reason.MISSING_CHANNEL
    assert "700 channels of 3 samples" in verdict.value.detail


@pytest.mark.parametrize("version", VERSIONS)
def test_names_and_rate_from_the_file(read, tmp_path, version):
    values = {"d": {"val": SIGNAL, "names": NAMES, "fs": 250.0}}
    path = save(tmp_path / "a.mat", values, version)
    changes = {"variable": "d/val", "rate_in": None, "rate_variable": "d/fs"}
    found = read(path, names_variable="d/names", channels=["V1", "I"], **changes)
    assert found.rate == 250.0
    np.testing.assert_array_equal(found.signal, SIGNAL[[2, 0]])
    with pytest.raises(Unreadable) as verdict:
        read(path, names_variable="d/names", channels=["aVL"], **changes)
    assert verdict.value.reason is Reason.MISSING_CHANNEL


@pytest.mark.parametrize("version", VERSIONS)
def test_a_list_of_recordings_in_a_struct_array(read, source, tmp_path, version):
    rows = [(SIGNAL[:1, : 500 + n], SIGNAL[1:2, : 500 + n].T, f"P{n}", float(n)) for n in range(4)]
    fields = [("ppg", object), ("ecg", object), ("id", object), ("age", object)]
    path = save(tmp_path / "a.mat", {"data": np.array(rows, dtype=fields)[None]}, version)
    changes = {
        "recordings": "data", "variable": None, "channels": ["ppg", "ecg"],
        "participant": {"comment": "id"}, "labels": {"comments": {"age": "age"}},
    }  # fmt: skip
    members = list_members(path, source(**changes), folder=tmp_path)
    assert [one.key for one in members] == ["1", "2", "3", "4"]
    assert members[2].comments == ("id: P2", "age: 2")
    found = read(path, member="3", **changes)
    np.testing.assert_array_equal(found.signal, SIGNAL[:2, :502])
    assert found.comments == ("id: P2", "age: 2")
    with pytest.raises(Unreadable, match="no longer in the file"):
        read(path, member="5", **changes)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_list_of_recordings_in_cells(read, source, tmp_path, version):
    cells = np.empty((1, 3), dtype=object)
    for number in range(3):
        cells[0, number] = SIGNAL[:, : 300 + number]
    path = save(tmp_path / "a.mat", {"p": cells}, version)
    changes = {"recordings": "p", "variable": "."}
    assert len(list_members(path, source(**changes), folder=tmp_path)) == 3
    np.testing.assert_array_equal(read(path, member="2", **changes).signal, SIGNAL[:, :301])


@pytest.mark.parametrize("version", VERSIONS)
def test_paths_that_lead_nowhere(read, tmp_path, version):
    rows = np.array([(SIGNAL,), (SIGNAL,)], dtype=[("v", object)])[None]
    values = {"val": SIGNAL, "many": rows, "text": "abc", "d": {"v": SIGNAL}}
    path = save(tmp_path / "a.mat", values, version)
    for variable, reason in (
        ("nothing", Reason.MISSING_CHANNEL),
        ("val/inner", Reason.MISSING_CHANNEL),
        ("many/v", Reason.UNSUPPORTED_FORMAT),
        ("many", Reason.UNSUPPORTED_FORMAT),
        ("text", Reason.UNSUPPORTED_FORMAT),
        ("d/w", Reason.MISSING_CHANNEL),
    ):
        with pytest.raises(Unreadable) as verdict:
            read(path, variable=variable)
        assert verdict.value.reason is reason, variable


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf])
def test_a_rate_that_is_none(read, tmp_path, version, rate):
    path = save(tmp_path / "a.mat", {"val": SIGNAL, "fs": float(rate)}, version)
    with pytest.raises(Unreadable) as verdict:
        read(path, rate_in=None, rate_variable="fs")
    assert verdict.value.reason is Reason.UNREADABLE_HEADER


def test_vectors_lie_either_way_and_must_be_of_one_length(read, tmp_path):
    values = {"a": SIGNAL[:1], "b": SIGNAL[1:2].T, "c": SIGNAL[:1, :9], "m": SIGNAL}
    path = save(tmp_path / "a.mat", values, "7")
    found = read(path, variable=None, channels=["b", "a"])
    np.testing.assert_array_equal(found.signal, SIGNAL[[1, 0]])
    for channels in (["a", "c"], ["a", "m"]):
        with pytest.raises(Unreadable):
            read(path, variable=None, channels=channels)
    channels = [{"source": ["ekg", "b"], "name": "ecg"}]
    assert read(path, variable=None, channels=channels).taken == ("b",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"rate_in": None}, "rate_variable"), ({"units": None}, "units"),
     ({"variable": None, "names_variable": "n"}, "names_variable")],
)  # fmt: skip
def test_settings_that_tell_too_little(source, changes, said):
    with pytest.raises(ConfigError, match=said):
        source(**changes)


def element(kind, payload):
    return struct.pack("<2I", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)


def matrix(name, kind, dimensions, body):
    head = element(6, struct.pack("<2I", kind, 0)) + element(5, struct.pack("<2i", *dimensions))
    return element(14, head + element(1, name.encode()) + body)


def file_of(content):
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + content


def packed(content):
    data = zlib.compress(content)
    return struct.pack("<2I", 15, len(data)) + data


def deep(levels):
    inner = matrix("", 6, (1, 1), element(9, struct.pack("<d", 1.0)))
    for _ in range(levels):
        inner = matrix("", 1, (1, 1), inner)
    return matrix("val", 1, (1, 1), inner)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (deep(20_000), Reason.UNREADABLE_HEADER),
        (packed(deep(20_000)), Reason.UNREADABLE_HEADER),
        (matrix("val", 1, (2**31 - 1, 2**31 - 1), b""), Reason.UNREADABLE_HEADER),
        (matrix("val", 6, (2**31 - 1, 2**31 - 1), element(9, b"")), Reason.UNREADABLE_HEADER),
        (matrix("val", 6, (-1, 3), element(9, b"")), Reason.UNREADABLE_HEADER),
        (matrix("val", 5, (1, 1), element(5, b"")), Reason.UNSUPPORTED_FORMAT),
        (matrix("val", 16, (1, 1), b""), Reason.UNSUPPORTED_FORMAT),
        (matrix("val", 17, (1, 1), b""), Reason.UNSUPPORTED_FORMAT),
        (packed(element(14, bytes(80 << 20))), Reason.CLAIMS_TOO_LARGE),
        (struct.pack("<2I", 14, 2**31), Reason.WRONG_BYTE_COUNT),
        (struct.pack("<2I", 15, 8) + b"no zlib!", Reason.UNREADABLE_HEADER),
        (struct.pack("<2I", 77, 8) + bytes(8), Reason.UNREADABLE_HEADER),
        (b"", Reason.MISSING_CHANNEL),
    ],
)
def test_hostile_elements(read, tmp_path, content, reason):
    path = tmp_path / "a.mat"
    if content[:4] == struct.pack("<I", 15) and reason is Reason.CLAIMS_TOO_LARGE:
        # The name is told before the size is believed.
        start = matrix("val", 6, (1, 10 << 20), element(9, bytes(80 << 20)))
        content = packed(start)
    path.write_bytes(file_of(content))
    with pytest.raises(Unreadable) as verdict:
        read(path)
    assert verdict.value.reason is reason


def test_hostile_hdf5(read, tmp_path):
    path = tmp_path / "a.mat"
    outside = tmp_path.parent / "secret.h5"
    with h5py.File(outside, "w") as file:
        file["val"] = SIGNAL.T
        file["val"].attrs["MATLAB_class"] = np.bytes_("double")

    def link(file):
        file["val"] = h5py.ExternalLink(str(outside), "val")

    def soft(file):
        file["val"] = h5py.SoftLink("/other")

    def raw(file):
        external = [(str(outside), 0, 8 * 300)]
        file.create_dataset("val", (100, 3), "f8", external=external)

    def virtual(file):
        layout = h5py.VirtualLayout((700, 3), "f8")
        layout[:] = h5py.VirtualSource(outside, "val", (700, 3))
        file.create_virtual_dataset("val", layout)

    def empty_chunks(file):
        file.create_dataset("val", (10**9, 3), "f8", chunks=(1000, 3), compression="gzip")

    def one_chunk(file):
        file.create_dataset("val", (10**8, 3), "f8", chunks=(10**8, 3), compression="gzip")

    for make, reason in (
        (link, Reason.PATH_OUTSIDE_FOLDER), (soft, Reason.PATH_OUTSIDE_FOLDER),
        (raw, Reason.PATH_OUTSIDE_FOLDER), (virtual, Reason.PATH_OUTSIDE_FOLDER),
        (empty_chunks, Reason.CLAIMS_TOO_LARGE), (one_chunk, Reason.CLAIMS_TOO_LARGE),
    ):  # fmt: skip
        with h5py.File(path, "w") as file:
            make(file)
            if make not in {link, soft}:
                file["val"].attrs["MATLAB_class"] = np.bytes_("double")
        with pytest.raises(Unreadable) as verdict:
            read(path)
        assert verdict.value.reason is reason, make.__name__
