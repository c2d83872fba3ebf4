"""Annotation files: as wfdb reads them, and a reasoned refusal of damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import wfdb

from medssl.ingest.waveforms.annotations import SYMBOLS, AnnotationsError, read_annotations

DATA = Path(__file__).parents[2] / "data" / "wfdb"


def word(code: int, value: int) -> bytes:
    return (code << 10 | value).to_bytes(2, "little")


def note(text: str, *, code: int = 22, step: int = 0) -> bytes:
    content = text.encode()
    return word(code, step) + word(63, len(content)) + content + b"\0" * (len(content) % 2)


END = word(0, 0)


def test_a_real_file_is_read_as_wfdb_reads_it():
    found = read_annotations(DATA / "201.atr", frame_rate=360)
    expected = wfdb.rdann(str(DATA / "201"), "atr")
    np.testing.assert_array_equal(found.seconds, expected.sample / 360)
    assert found.symbols.tolist() == expected.symbol
    assert found.notes.tolist() == [text.strip("\0 ") for text in expected.aux_note]
    assert {"(SVTA", "(N", "(AFIB"} <= set(found.notes)


def test_all_codes_and_long_intervals_are_read_as_wfdb_writes_them(tmp_path):
    symbols = sorted(SYMBOLS.values())
    samples = np.cumsum(np.random.default_rng(0).integers(1, 100_000, len(symbols)))
    wfdb.wrann(
        "r", "atr", samples, symbol=symbols, fs=128, write_dir=str(tmp_path),
        chan=np.arange(len(symbols)) % 3, num=np.arange(len(symbols)) % 5,
        subtype=np.arange(len(symbols)) % 4, aux_note=["(N"] * len(symbols),
    )  # fmt: skip
    found = read_annotations(tmp_path / "r.atr", frame_rate=360)
    np.testing.assert_array_equal(found.seconds, samples / 128)  # the file's own resolution wins
    assert found.symbols.tolist() == symbols
    assert set(found.notes) == {"(N"}


def test_types_that_the_file_defines_are_known(tmp_path):
    path = tmp_path / "r.atr"
    definitions = [
        "## time resolution: 100", "## annotation type definitions", "42 z zigzag",
        "## end of definitions",
    ]  # fmt: skip
    path.write_bytes(b"".join(map(note, definitions)) + word(42, 50) + END)
    found = read_annotations(path, frame_rate=None)
    assert (found.symbols.tolist(), found.seconds.tolist()) == (["z"], [0.5])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "odd number"),
        (word(1, 10) + END + b"\0", "odd number"),
        (word(1, 10), "truncated"),
        (word(59, 0) + b"\0", "odd number"),
        (word(59, 0) + b"\0\0", "truncated"),
        (word(63, 4) + b"(N\0\0" + END, "truncated"),  # a text that belongs to nothing
        (note("(AFIB")[:-2], "truncated"),
        (word(50, 10) + END, "code 50 is not defined"),
        (word(1, 10) + word(59, 0) + b"\xff\xff\x00\x00" + word(1, 0) + END, "out of order"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, match):
    path = tmp_path / "r.atr"
    path.write_bytes(content)
    with pytest.raises(AnnotationsError, match=match):
        read_annotations(path, frame_rate=100)


def test_notes_that_stop_wfdb_for_ever_are_read(tmp_path):
    path = tmp_path / "r.atr"
    path.write_bytes(note("## something else") + word(1, 100) + END)
    found = read_annotations(path, frame_rate=100)
    assert (found.symbols.tolist(), found.seconds.tolist()) == (["N"], [1.0])


def test_a_file_without_any_time_base_is_refused(tmp_path):
    path = tmp_path / "r.atr"
    path.write_bytes(word(1, 100) + END)
    with pytest.raises(AnnotationsError, match="how times are counted"):
        read_annotations(path, frame_rate=None)


def test_every_truncation_and_flip_ends(tmp_path):
    path = tmp_path / "201.atr"
    shutil.copy(DATA / "201.atr", path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(AnnotationsError):
            read_annotations(path, frame_rate=360)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            found = read_annotations(path, frame_rate=360)
        except AnnotationsError:
            continue
        assert (np.diff(found.seconds) >= 0).all()
