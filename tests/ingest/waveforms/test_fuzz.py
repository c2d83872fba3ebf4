"""Every reader against damaged files: a recording, or a verdict, and never anything else.

A larger run: MEDSSL_FUZZ=5000 python -m pytest tests/ingest/waveforms/test_fuzz.py, with so many
mutations of each file. This file is also the program that runs in a process of its own, so that a
crash or a bomb ends only that: python test_fuzz.py damage COUNT FIRST KIND…
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

RATE = 100
COUNT = int(os.environ.get("MEDSSL_FUZZ", "40"))
SECONDS = 10
"""No single file may take longer."""
MEGABYTES = 700
"""Of the whole process, about 200 of which are its packages."""

ABSURD = (b"0", b"-1", b"1e30", b"nan", b"inf", b"1e-9", b"99999999", b"2147483647", b"")


def beats(channels: int = 2, seconds: float = 20) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).normal(scale=0.02, size=(channels, time.size))
    return np.exp(-((((time % 0.8) - 0.4) / 0.03) ** 2)) + noise


def write_wfdb(folder: Path, fmt: str = "16") -> tuple[Path, Path]:
    import wfdb

    wfdb.wrsamp(
        "a", fs=RATE, units=["mV"] * 2, sig_name=["I", "II"], p_signal=beats().T,
        fmt=[fmt] * 2, write_dir=str(folder), comments=["Age: 25"],
    )  # fmt: skip
    return folder / "a.hea", folder / "a.dat"


def write_text(path: Path, *, times: bool) -> None:
    rows = ["t,I,II" if times else "I,II"]
    for number, (one, two) in enumerate(beats(seconds=10).T):
        clock = f"{number / RATE:.3f}," if times else ""
        rows.append(f"{clock}{one:.4f},{two:.4f}")
    path.write_text("\n".join(rows) + "\n")


def write_edf(path: Path, *, kind: str = "EDF+C") -> None:
    import edfio

    bdf = kind.startswith("BDF")
    signal, recording = (edfio.BdfSignal, edfio.Bdf) if bdf else (edfio.EdfSignal, edfio.Edf)
    signals = [
        signal(row, RATE, label=name, physical_dimension="mV", physical_range=(-5, 5))
        for name, row in zip(("I", "II"), beats(), strict=True)
    ]
    recording(
        signals, annotations=[edfio.EdfAnnotation(1, None, "start")], data_record_duration=1
    ).write(path)
    if kind.endswith("D"):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"+C", b"+D", 1).replace(b"+19\x14", b"+99\x14", 1))


def write_matlab(path: Path, *, version: str, packed: bool = False) -> None:
    from scipy.io import savemat

    signal = beats()
    values = {"names": np.array([["I"], ["II"]], dtype=object), "fs": float(RATE), "val": signal}
    if version == "4":
        values = {"fs": float(RATE), "val": signal}
    elif version == "struct":
        values = {"data": {"fs": float(RATE), "val": signal, "names": values["names"]}}
    savemat(path, values, format="4" if version == "4" else "5", do_compression=packed)


def write_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        value = file.create_dataset("val", data=beats().T, chunks=(500, 2), compression="gzip")
        value.attrs["MATLAB_class"] = np.bytes_("double")
        rate = file.create_dataset("fs", data=[[float(RATE)]])
        rate.attrs["MATLAB_class"] = np.bytes_("double")


def write_parquet(path: Path, *, lists: bool, codec: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    one, two = beats()
    if lists:
        table = pa.table({"id": ["a", "b"], "I": [list(one)] * 2, "II": [list(two)] * 2})
    else:
        table = pa.table({"t": np.arange(len(one)) / RATE, "I": one, "II": two.astype("f4")})
    pq.write_table(table, path, compression=codec, row_group_size=700)


def kinds() -> dict[str, tuple[str, dict]]:
    """Kind → its file's ending and the settings of its source."""
    pair, rate = {"channels": ["I", "II"]}, {"rate_in": RATE}
    matrix = {**pair, "variable": "val", "rate_variable": "fs"}
    return {
        "wfdb header": (".hea", {**pair, "format": "wfdb"}),
        "wfdb 16": (".dat", {**pair, "format": "wfdb"}),
        "wfdb 212": (".dat", {**pair, "format": "wfdb"}),
        "text": (".csv", {**pair, **rate, "format": "text", "header": True}),
        "text times": (".csv", {**pair, "format": "text", "header": True, "time_column": "t"}),
        "edf": (".edf", {**pair, "format": "edf"}),
        "edf gaps": (".edf", {**pair, "format": "edf"}),
        "bdf": (".bdf", {**pair, "format": "edf"}),
        "matlab 4": (".mat", {**matrix, "format": "matlab"}),
        "matlab 5": (".mat", {**matrix, "format": "matlab", "names_variable": "names"}),
        "matlab 7": (".mat", {**matrix, "format": "matlab", "names_variable": "names"}),
        "matlab struct": (".mat", {**pair, "format": "matlab", "variable": "data/val",
                                   "rate_variable": "data/fs"}),
        "matlab 7.3": (".mat", {**matrix, "format": "matlab"}),
        "parquet": (".parquet", {**pair, **rate, "format": "parquet"}),
        "parquet times": (".parquet", {**pair, "time_column": "t", "format": "parquet"}),
        "parquet lists": (".parquet", {**pair, **rate, "recordings": "id", "format": "parquet"}),
    }  # fmt: skip


def write(kind: str, folder: Path) -> tuple[Path, Path]:
    """The file to open, and the file to damage."""
    path = folder / f"a{kinds()[kind][0]}"
    if kind.startswith("wfdb"):
        header, data = write_wfdb(folder, "212" if kind == "wfdb 212" else "16")
        return header, header if kind == "wfdb header" else data
    if kind.startswith("text"):
        write_text(path, times=kind == "text times")
    elif kind in {"edf", "edf gaps", "bdf"}:
        write_edf(path, kind={"edf": "EDF+C", "edf gaps": "EDF+D", "bdf": "BDF+C"}[kind])
    elif kind == "matlab 7.3":
        write_hdf5(path)
    elif kind.startswith("matlab"):
        write_matlab(path, version=kind.split()[1], packed=kind == "matlab 7")
    else:
        codec = "zstd" if kind == "parquet" else "snappy"
        write_parquet(path, lists=kind == "parquet lists", codec=codec)
    return path, path


def mutate(content: bytes, seed: int) -> bytes:
    """A damaged copy; the damage is a function of the seed, and more often near the ends."""
    rng = np.random.default_rng(seed)
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        size = max(len(data), 1)
        near = int(min(rng.exponential(size / 20), size - 1))
        place = (int(rng.integers(size)), near, size - 1 - near)[rng.integers(3)]
        kind = int(rng.integers(8))
        if kind == 0:
            del data[place:]
        elif kind == 1:
            for _ in range(int(rng.integers(1, 9))):
                if data:
                    at = min(place + int(rng.integers(64)), len(data) - 1)
                    data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            length = int(rng.integers(1, 64))
            data[place : place + length] = bytes([int(rng.choice([0, 255, 32]))]) * length
        elif kind == 3:
            data[place : place + 8] = rng.bytes(int(rng.integers(1, 16)))
        elif kind == 4:
            del data[place : place + int(rng.integers(1, 64))]
        elif kind == 5:
            data[place:place] = data[place : place + int(rng.integers(1, 256))]
        elif kind == 6:
            extreme = int(rng.choice([0, 2**31 - 1, -1, 2**24, 1]))
            data[place : place + 4] = extreme.to_bytes(4, "little", signed=True)
        else:
            data = bytearray(_numbers_replaced(bytes(data), rng))
    return bytes(data)


def _numbers_replaced(content: bytes, rng: np.random.Generator) -> bytes:
    """One printed number among the first, or anywhere, becomes an absurd one."""
    import re

    found = list(re.finditer(rb"\d[\d.]*", content[:4096] if rng.integers(2) else content))
    if not found:
        return content
    match = found[int(rng.integers(len(found)))]
    new = ABSURD[int(rng.integers(len(ABSURD)))]
    width = match.end() - match.start()
    if rng.integers(2):  # fields of fixed width stay in place
        new = new.ljust(width)[:width]
    return content[: match.start()] + new + content[match.end() :]


def outcome(path: Path, source: object, folder: Path) -> str:
    """`ok`, or the code of the verdict; anything else raises."""
    from medssl.ingest.ledger import Unreadable
    from medssl.ingest.segments import Segmenter
    from medssl.ingest.waveforms.readers import list_members, open_recording
    from medssl.types import Modality, ParticipantId

    shared = {
        "participant": ParticipantId("p"), "session": "s", "recording": "r",
        "modality": Modality.ECG, "source_digest": "d",
    }  # fmt: skip
    said = "ok"
    try:
        members = list_members(path, source, folder=folder)
        for member in [""] if members is None else [one.key for one in members[:3]]:
            recording = open_recording(path, source, folder=folder, member=member)
            for track in recording.tracks:
                assert track.length > 0
                assert np.isfinite(track.rate)
                assert track.rate > 0
                stop = min(track.length, 1000)
                assert track.read(0, stop).shape == (len(track.channels), stop)
            for records in Segmenter(recording, source, shared=shared, graded=False).blocks():
                for record in records:
                    assert np.isfinite(record.data).all()
    except Unreadable as verdict:
        said = verdict.reason.value
        if verdict.reason.value == "reader_failed":
            said += f" {verdict.detail}"
    return said


def source_of(kind: str, folder: Path) -> object:
    from medssl.config import validate
    from medssl.ingest import IngestConfig

    common = {
        "name": "x", "path": str(folder), "modality": "ecg", "rate": RATE, "segment_seconds": 2,
        "units": "mV", "participant": {"each_recording": True},
    }  # fmt: skip
    values = {"sources": [common | kinds()[kind][1]]}
    return validate(IngestConfig, values, where="ingest").sources[0]


class Hang(BaseException):
    """A file took too long."""


def _timed(path: Path, source: object, folder: Path) -> str:
    """The outcome, whatever it is, within `SECONDS`."""
    signal.alarm(SECONDS)
    try:
        return outcome(path, source, folder)
    except (Hang, Exception) as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    finally:
        signal.alarm(0)


def _peak() -> int:
    """Largest resident memory (MB); ru_maxrss would begin with that of the starting process."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def damage(kind: str, count: int, first: int) -> dict:
    """Damage one file many times over, and count the outcomes."""
    said: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        path, victim = write(kind, folder)
        source = source_of(kind, folder)
        content = victim.read_bytes()
        assert outcome(path, source, folder) == "ok"
        for seed in range(first, first + count):
            victim.write_bytes(mutate(content, seed))
            print(f"{kind} at {seed}", file=sys.stderr, flush=True)  # noqa: T201  before a crash
            result = _timed(path, source, folder)
            said[f"{result} at {seed}" if result.startswith("raised") else result] += 1
    return {"said": said, "peak": _peak()}


def run(*arguments: str, seconds: float) -> list[dict]:
    """This file as a program in a process of its own; the JSON of each line it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *arguments],
        capture_output=True, text=True, timeout=seconds, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    tail = done.stderr.splitlines()[-3:]
    assert done.returncode == 0, f"the process ended with {done.returncode}: {tail}"
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def damaged() -> dict[str, dict]:
    names = list(kinds())
    told = run("damage", str(COUNT), "0", *names, seconds=120 + COUNT * len(names))
    return dict(zip(names, told, strict=True))


@pytest.mark.timeout(180 + 20 * COUNT)
@pytest.mark.parametrize("kind", kinds())
def test_damage_gives_a_recording_or_a_verdict(damaged, kind):
    said = Counter(damaged[kind]["said"])
    assert not [one for one in said if one.startswith(("raised", "reader_failed"))], said
    assert sum(said.values()) == COUNT
    # Most damage is found where sizes and sums are told.
    assert len(said) > 1
    assert damaged[kind]["peak"] < MEGABYTES


def _hostile() -> dict[str, tuple[str, str, bytes | str]]:
    """Name → kind whose source reads it, verdict, and the file's content or who makes it."""
    row = b",".join([b"1"] * 1_000_002)
    return {
        "empty": ("text", "empty_file", b""),
        "utf-16": ("text", "unreadable_text", "I,II\n1,2\n".encode("utf-16")),
        "null bytes": ("text", "unreadable_text", b"I,II\n1,2\0\n" * 100),
        "an endless number": ("text", "unreadable_text", b"I,II\n" + b"1" * 20_000_000),
        "an endless name": ("text", "unreadable_text", b"I" * 1_000_000 + b",II\n1,2\n"),
        "a million columns": ("text", "unreadable_text", b"I,II\n" + row),
        "a million names": ("text", "unreadable_text", b"I,II," + row + b"\n" + row),
        "an open quote": ("text", "unreadable_text", b'I,II\n"' + b"1,2\n" * 500_000),
        "no lines": ("text", "unreadable_text", b"I,II\n" + b"\n" * 5_000_000),
        "one name twice": ("text", "missing_channel", b"I,II,I\n" + b"1,2,3\n" * 900),
        "infinite samples": ("text", "all_nan", b"I,II\n" + b"inf,-inf\n" * 900),
        "times of 1e300": ("text times", "unsupported_format",
                           b"t,I,II\n" + b"".join(b"%de300,1,2\n" % n for n in range(900))),
        "a clock set anew": ("text times", "uneven_time",
                             b"t,I,II\n0,1,2\n0.01,1,2\n0.03,1,2\n1e15,1,2\n"),
        "a zlib bomb": ("matlab 7", "claims_too_large", "zlib"),
        "a gzip bomb": ("matlab 7.3", "claims_too_large", "gzip"),
        "a run-length bomb": ("parquet", "claims_too_large", "runs"),
        "a bomb in a list": ("parquet lists", "claims_too_large", "list"),
        "a sample a day": ("matlab 4", "unsupported_format", "slow"),
        "a rate of 1e30": ("matlab 4", "unsupported_format", "fast"),
        "a folder": ("edf", "not_a_recording", "folder"),
        "a pipe": ("text", "not_a_recording", "pipe"),
    }  # fmt: skip


def _make(path: Path, how: str) -> None:
    """Write what cannot be spelt out."""
    from scipy.io import savemat

    if how == "zlib":
        savemat(path, {"fs": 1.0, "val": np.zeros((2, 5_000_000))}, do_compression=True)
    elif how == "gzip":
        import h5py

        with h5py.File(path, "w") as file:
            zeros = np.zeros((5_000_000, 2))
            value = file.create_dataset(
                "val", data=zeros, chunks=(1_000_000, 2), compression="gzip"
            )
            value.attrs["MATLAB_class"] = np.bytes_("double")
            rate = file.create_dataset("fs", data=[[100.0]])
            rate.attrs["MATLAB_class"] = np.bytes_("double")
    elif how in {"runs", "list"}:
        import pyarrow as pa
        import pyarrow.parquet as pq

        zeros = np.zeros(10_000_000, np.int8)
        column = pa.ListArray.from_arrays([0, len(zeros)], zeros) if how == "list" else zeros
        pq.write_table(pa.table({"id": ["a"], "I": column, "II": column} if how == "list" else
                                {"I": column, "II": column}), path)  # fmt: skip
    elif how in {"slow", "fast"}:
        rate = {"slow": 1 / 512, "fast": 1e30}[how]
        savemat(path, {"fs": rate, "val": beats(seconds=10_000)}, format="4")
    elif how == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)


def hostile(name: str, folder: Path) -> dict:
    """Read one file whose maker means harm."""
    kind, _, content = _hostile()[name]
    path = folder / name.replace(" ", "_") / f"a{kinds()[kind][0]}"
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    begin = time.perf_counter()
    said = _timed(path, source_of(kind, path.parent), path.parent)
    return {"said": said, "peak": _peak(), "seconds": time.perf_counter() - begin}


def make(folder: Path) -> None:
    """All files that have to be computed, in a process whose memory is not counted."""
    for name, (kind, _, content) in _hostile().items():
        if isinstance(content, str):
            path = folder / name.replace(" ", "_") / f"a{kinds()[kind][0]}"
            path.parent.mkdir()
            _make(path, content)


@pytest.fixture(scope="module")
def harmful(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("hostile").resolve()
    run("make", str(folder), seconds=120)
    names = list(_hostile())
    return dict(zip(names, run("hostile", str(folder), *names, seconds=240), strict=True))


@pytest.mark.parametrize("name", _hostile())
def test_files_that_mean_harm(harmful, name):
    assert harmful[name]["said"] == _hostile()[name][1]
    assert harmful[name]["seconds"] < SECONDS
    # One process reads them all: this is the peak until then.
    assert harmful[name]["peak"] < MEGABYTES


def _stop(*_: object) -> None:
    raise Hang


def main(what: str, first: str, *more: str) -> None:
    """Print one line of JSON for each kind or file."""
    signal.signal(signal.SIGALRM, _stop)
    if what == "make":
        make(Path(first))
    elif what == "hostile":
        for name in more:
            print(json.dumps(hostile(name, Path(first))), flush=True)  # noqa: T201
    else:
        for kind in more[1:]:
            print(json.dumps(damage(kind, int(first), int(more[0]))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
