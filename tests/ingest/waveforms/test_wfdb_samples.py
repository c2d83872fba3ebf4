"""Ranges of samples: the same as the whole, in every format, with skew and several rates."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wfdb

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import WfdbSource
from medssl.ingest.waveforms.wfdb_reader import read_wfdb

DATA = Path(__file__).parents[2] / "data" / "wfdb"
FRAMES = 301


def source(channels, **changes):
    values = {
        "name": "x", "format": "wfdb", "path": ".", "modality": "ecg", "rate": 100,
        "segment_seconds": 1, "channels": channels, "participant": {"from_parent": True},
    }  # fmt: skip
    return WfdbSource.model_validate(values | changes)


def read(folder, name, channels, **changes):
    return read_wfdb(folder / f"{name}.hea", source(channels, **changes), folder=folder)


def assert_ranges_are_the_whole(track, *, seed=0):
    whole = track.read(0, track.length)
    assert whole.shape == (len(track.channels), track.length)
    rng = np.random.default_rng(seed)
    edges = np.unique([0, track.length, *rng.integers(0, track.length, 12)])
    parts = [track.read(int(a), int(b)) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    for start in (0, 1, 2, track.length // 2, track.length - 1):
        np.testing.assert_array_equal(track.read(start, start + 1), whole[:, start : start + 1])


def encode(fmt: str, samples: np.ndarray) -> bytes:
    """Samples as the WFDB manual (signal(5)) lays them out; slow on purpose."""
    if fmt == "8":
        return np.diff(samples, prepend=0).astype("i1").tobytes()
    if fmt == "61":
        return samples.astype(">i2").tobytes()
    if fmt == "160":
        return (samples.astype(int) + 32768).astype("<u2").tobytes()
    padded = np.append(samples, [0] * (-len(samples) % 3)).astype(int) & 0x3FF
    words = bytearray()
    for a, b, c in padded.reshape(-1, 3):
        if fmt == "311":
            words += int(a | b << 10 | c << 20).to_bytes(4, "little")
        else:
            words += int(a << 1 | (c & 0x1F) << 11).to_bytes(2, "little")
            words += int(b << 1 | (c >> 5) << 11).to_bytes(2, "little")
    return bytes(words)


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212", "508", "516", "524"])
def test_ranges_of_formats_that_wfdb_writes(tmp_path, make_heartbeat, fmt):
    signal = np.stack([make_heartbeat(2), -make_heartbeat(2, seed=1), make_heartbeat(2, seed=2)])
    signal = signal[:, :FRAMES]
    wfdb.wrsamp(
        "r", fs=250, units=["mV"] * 3, sig_name=["I", "II", "III"], p_signal=signal.T,
        fmt=[fmt] * 3, adc_gain=[40.0] * 3, baseline=[3] * 3, write_dir=str(tmp_path),
    )  # fmt: skip
    (track,) = read(tmp_path, "r", ["III", "I"]).tracks
    assert_ranges_are_the_whole(track)
    np.testing.assert_allclose(track.read(0, FRAMES), signal[[2, 0]], atol=0.51 / 40)


@pytest.mark.parametrize("fmt", ["8", "61", "160", "310", "311"])
def test_ranges_of_formats_that_it_only_reads(tmp_path, fmt):
    steps = np.random.default_rng(1).integers(-20, 20, FRAMES * 2)
    samples = np.clip(np.cumsum(steps), -400, 400)
    first = 0
    if fmt == "8":  # differences within each of two signals
        rows = [encode("8", samples[row::2]) for row in (0, 1)]
        content = bytes(np.array([list(row) for row in rows], dtype=np.uint8).T.tobytes())
        samples = np.stack([np.cumsum(np.frombuffer(row, "i1")) for row in rows]).T.reshape(-1)
    else:
        content = encode(fmt, samples)
    (tmp_path / "r.dat").write_bytes(content)
    lines = [f"r.dat {fmt} 100/mV 10 0 {first} 0 0 {name}\n" for name in ("I", "II")]
    (tmp_path / "r.hea").write_text(f"r 2 250 {FRAMES}\n" + "".join(lines))
    (track,) = read(tmp_path, "r", ["I", "II"]).tracks
    assert_ranges_are_the_whole(track)
    np.testing.assert_allclose(track.read(0, FRAMES), samples.reshape(-1, 2).T / 100)


@pytest.fixture
def several_rates(tmp_path):
    """Two signals of two samples a frame and two of one; one of each lies 7 frames late."""
    rng = np.random.default_rng(2)
    signals = [rng.integers(-900, 900, FRAMES * each) for each in (2, 2, 1, 1)]
    wfdb.wrsamp(
        "r", fs=100, units=["mV"] * 4, sig_name=["a", "b", "c", "d"], fmt=["16"] * 4,
        adc_gain=[100.0] * 4, baseline=[5] * 4, samps_per_frame=[2, 2, 1, 1],
        e_d_signal=[np.asarray(one, dtype=np.int64) for one in signals], write_dir=str(tmp_path),
    )  # fmt: skip
    header = tmp_path / "r.hea"
    lines = [line.split(" ") for line in header.read_text().splitlines()]
    for late in (2, 4):
        lines[late][1] += ":7"
    header.write_text("\n".join(map(" ".join, lines)))
    return tmp_path, [(one - 5) / 100 for one in signals]


def test_channels_of_one_rate_form_a_track(several_rates):
    folder, signals = several_rates
    found = read(folder, "r", ["a", "c"])
    assert [(track.channels, track.rate, track.length) for track in found.tracks] == [
        (("a",), 200.0, 2 * FRAMES), (("c",), 100.0, FRAMES),
    ]  # fmt: skip
    assert found.seconds == FRAMES / 100
    for track, signal in zip(found.tracks, (signals[0], signals[2]), strict=True):
        np.testing.assert_allclose(track.read(0, track.length)[0], signal)


def test_skew_is_put_right_and_its_end_is_missing(several_rates):
    folder, signals = several_rates
    found = read(folder, "r", ["a", "b", "c", "d"]).tracks
    for track, (even, late), each in zip(found, (signals[:2], signals[2:]), (2, 1), strict=True):
        assert_ranges_are_the_whole(track)
        values = track.read(0, track.length)
        np.testing.assert_allclose(values[0], even)
        np.testing.assert_allclose(values[1, : -7 * each], late[7 * each :])
        # Nothing was measured there: wfdb itself would leave half of it at a digital zero.
        assert np.isnan(values[1, -7 * each :]).all()


def test_a_header_without_a_length_is_read_by_ranges_too(tmp_path, write_record):
    header = write_record(tmp_path, "r", seconds=2)
    expected = read(tmp_path, "r", ["I"]).signal
    header.write_text(header.read_text().replace("r 1 250 500", "r 1 250"))
    (track,) = read(tmp_path, "r", ["I"]).tracks
    assert_ranges_are_the_whole(track)
    np.testing.assert_array_equal(track.read(0, 500), expected)


def test_a_real_recording_of_two_rates(several_rates):
    found = read(DATA, "03700181", ["MCL1", "RESP"], units="mV")
    fast, slow = found.tracks
    assert (fast.rate, slow.rate) == (500.0, 125.0)
    assert_ranges_are_the_whole(fast)
    assert_ranges_are_the_whole(slow)
    raw = wfdb.rdrecord(str(DATA / "03700181"), smooth_frames=False, ignore_skew=True)
    np.testing.assert_array_equal(fast.read(0, 4000)[0], raw.e_p_signal[0])
    np.testing.assert_array_equal(slow.read(0, 996)[0], raw.e_p_signal[2][4:])
    assert np.isnan(slow.read(996, 1000)).all()
    with pytest.raises(Unreadable, match="mmHg in the header, mV expected"):
        read(DATA, "03700181", ["MCL1", "ABP"])


@pytest.mark.parametrize("name", ["201", "a103l"])
def test_ranges_of_real_recordings(name):
    channels = {"201": ["V1", "MLII"], "a103l": ["V", "II"]}[name]
    (track,) = read(DATA, name, channels).tracks
    assert_ranges_are_the_whole(track)
    raw = wfdb.rdrecord(str(DATA / name), channel_names=channels)
    np.testing.assert_allclose(
        track.read(0, track.length),
        raw.p_signal[:, [raw.sig_name.index(one) for one in channels]].T,
    )


def test_reading_by_blocks_costs_about_what_the_whole_costs(tmp_path, make_heartbeat):
    import time

    signal = np.tile(make_heartbeat(100)[:, None], (20, 2))
    wfdb.wrsamp(
        "r", fs=250, units=["mV"] * 2, sig_name=["I", "II"], p_signal=signal, fmt=["212"] * 2,
        adc_gain=[200.0] * 2, baseline=[0] * 2, write_dir=str(tmp_path),
    )  # fmt: skip
    (track,) = read(tmp_path, "r", ["I", "II"]).tracks

    def seconds(size):
        spent = []
        for _ in range(3):
            begin = time.perf_counter()
            for start in range(0, track.length, size):
                track.read(start, min(start + size, track.length))
            spent.append(time.perf_counter() - begin)
        return min(spent)

    assert seconds(math.ceil(track.length / 10)) < 3 * seconds(track.length) + 0.05


def test_a_flac_stream_that_lies_is_a_verdict(tmp_path, make_heartbeat):
    signal = make_heartbeat(2)[:, None]

    def write():
        wfdb.wrsamp(
            "r", fs=250, units=["mV"], sig_name=["I"], p_signal=signal, fmt=["516"],
            adc_gain=[1000.0], baseline=[0], write_dir=str(tmp_path),
        )  # fmt: skip
        return tmp_path / "r.hea", tmp_path / "r.dat"

    def reason():
        with pytest.raises(Unreadable) as verdict:
            read(tmp_path, "r", ["I"])
        return verdict.value.reason

    header, data = write()
    assert read(tmp_path, "r", ["I"]).signal.shape == (1, 500)
    header.write_text(header.read_text().replace(" 500", " 501", 1))
    assert reason() is Reason.WRONG_BYTE_COUNT
    header, data = write()
    header.write_text(header.read_text().replace(" 516 ", " 508 "))
    assert reason() is Reason.UNSUPPORTED_FORMAT
    header, data = write()
    data.write_bytes(data.read_bytes()[:-100])
    assert reason() in {Reason.WRONG_BYTE_COUNT, Reason.UNSUPPORTED_FORMAT}
    data.write_bytes(b"fLaC" + bytes(100))
    assert reason() is Reason.UNSUPPORTED_FORMAT
    header, data = write()
    header.write_text(header.read_text().replace("r 1 250 500", "r 1 250"))
    assert reason() is Reason.UNSUPPORTED_FORMAT
