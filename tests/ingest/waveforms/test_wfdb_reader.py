from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from medssl.errors import ConfigError
from medssl.ingest import ingest
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.wfdb_header import read_header
from medssl.ingest.waveforms.wfdb_reader import read_wfdb
from medssl.ingest.waveforms.wfdb_text import named_files

DATA = Path(__file__).parents[2] / "data" / "wfdb"


def read(folder, config, name="r"):
    return read_wfdb(folder / f"{name}.hea", config.sources[0], folder=folder)


def refuse(folder, config, name="r"):
    with pytest.raises(Unreadable) as verdict:
        read(folder, config, name)
    return verdict.value.reason


@pytest.fixture
def two_channels(make_heartbeat):
    return np.stack([make_heartbeat(4), -2 * make_heartbeat(4, seed=1)], axis=1)


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_every_uncompressed_format_is_read_within_its_resolution(
    tmp_path, write_record, wfdb_config, two_channels, fmt
):
    gain = 40.0 if fmt == "80" else 200.0
    write_record(
        tmp_path, "r", signal=two_channels[:-1], fmt=[fmt] * 2, adc_gain=[gain] * 2
    )  # 999 frames: an odd number, which the packed formats must not lose
    found = read(tmp_path, wfdb_config(tmp_path, channels=["I", "II"]))
    assert found.signal.shape == (2, 999)
    assert found.rate == 250.0
    np.testing.assert_allclose(found.signal, two_channels[:-1].T, atol=0.51 / gain)


def test_a_packed_format_may_end_inside_a_block(tmp_path, write_record, wfdb_config):
    """Format 311: three 10-bit samples in 32 bits; 998 samples fill 332 blocks and two thirds."""
    header = write_record(tmp_path, "r", seconds=4)
    samples = np.arange(-499, 500)[:999]
    words = (samples.reshape(-1, 3) & 0x3FF) << np.array([0, 10, 20])
    header.with_suffix(".dat").write_bytes(words.sum(axis=1).astype("<u4").tobytes())
    header.write_text("r 1 250 998\nr.dat 311 1000(0)/mV 10 0 0 0 0 I\n")
    found = read(tmp_path, wfdb_config(tmp_path))
    np.testing.assert_allclose(found.signal[0], samples[:998] / 1000)


def test_channels_are_taken_in_the_configured_order_and_renamed(
    tmp_path, write_record, wfdb_config, two_channels
):
    write_record(tmp_path, "r", signal=two_channels)
    channels = ["II", {"source": "I", "name": "lead I"}]
    found = read(tmp_path, wfdb_config(tmp_path, channels=channels))
    assert found.channels == ("II", "lead I")
    np.testing.assert_allclose(found.signal, two_channels.T[::-1], atol=1e-3)


@pytest.mark.parametrize(("unit", "factor"), [("V", 1000.0), ("uV", 1e-3), ("mV", 1.0)])
def test_volts_are_converted_exactly(
    tmp_path, write_record, wfdb_config, two_channels, unit, factor
):
    write_record(tmp_path, "r", signal=two_channels, units=[unit] * 2)
    found = read(tmp_path, wfdb_config(tmp_path, units="mV"))
    assert found.units == "mV"
    np.testing.assert_allclose(found.signal[0], two_channels[:, 0] * factor, atol=1e-3 * factor)


def test_other_units_than_expected_are_refused(tmp_path, write_record, wfdb_config):
    write_record(tmp_path, "r", units=["mmHg"])
    assert refuse(tmp_path, wfdb_config(tmp_path, units="mV")) is Reason.UNKNOWN_UNITS
    assert read(tmp_path, wfdb_config(tmp_path)).units == "mmHg"


def test_a_header_without_units_means_millivolts_as_the_format_says(
    tmp_path, write_record, wfdb_config
):
    header = write_record(tmp_path, "r")
    header.write_text(header.read_text().replace("1000.0(0)/mV", "1000"))
    assert read(tmp_path, wfdb_config(tmp_path)).units == "mV"


def test_comments_come_along(tmp_path, write_record, wfdb_config):
    write_record(tmp_path, "r", comments=["Age: 25", "Sex: male"])
    assert read(tmp_path, wfdb_config(tmp_path)).comments == ("Age: 25", "Sex: male")


def test_several_samples_a_frame_keep_their_full_rate(tmp_path, wfdb_config, make_heartbeat):
    fast = make_heartbeat(4, 500)
    slow = make_heartbeat(4, 250)
    wfdb.wrsamp(
        "r", fs=250, units=["mV"] * 2, sig_name=["I", "II"], fmt=["16"] * 2,
        adc_gain=[1000.0] * 2, baseline=[0] * 2, samps_per_frame=[2, 1],
        e_p_signal=[fast, slow], write_dir=str(tmp_path),
    )  # fmt: skip
    found = read(tmp_path, wfdb_config(tmp_path))
    assert found.rate == 500.0
    np.testing.assert_allclose(found.signal[0], fast, atol=1e-3)
    both = read(tmp_path, wfdb_config(tmp_path, channels=["I", "II"]))
    assert [track.rate for track in both.tracks] == [500.0, 250.0]
    np.testing.assert_allclose(both.tracks[1].read(0, 1000)[0], slow, atol=1e-3)


def test_two_signals_of_one_name_are_not_guessed_between(
    tmp_path, write_record, wfdb_config, two_channels
):
    write_record(tmp_path, "r", signal=two_channels)
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace(" II", " I"))
    assert refuse(tmp_path, wfdb_config(tmp_path)) is Reason.MISSING_CHANNEL


def test_invalid_samples_are_missing_and_not_zero(tmp_path, write_record, wfdb_config):
    signal = np.linspace(-1, 1, 1000)[:, None]
    signal[300:310] = np.nan
    write_record(tmp_path, "r", signal=signal)
    found = read(tmp_path, wfdb_config(tmp_path))
    np.testing.assert_array_equal(np.isnan(found.signal[0]), np.isnan(signal[:, 0]))


def test_a_header_without_a_length_takes_the_whole_file(tmp_path, write_record, wfdb_config):
    header = write_record(tmp_path, "r", seconds=4)
    header.write_text(header.read_text().replace("r 1 250 1000", "r 1 250"))
    assert read(tmp_path, wfdb_config(tmp_path)).signal.shape == (1, 1000)


def test_a_byte_offset_counts(tmp_path, write_record, wfdb_config):
    header = write_record(tmp_path, "r", seconds=4)
    expected = read(tmp_path, wfdb_config(tmp_path)).signal
    data = header.with_suffix(".dat")
    data.write_bytes(b"\x7f" * 24 + data.read_bytes())
    header.write_text(header.read_text().replace("r.dat 16", "r.dat 16+24"))
    np.testing.assert_array_equal(read(tmp_path, wfdb_config(tmp_path)).signal, expected)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (" 1000", " 999", Reason.WRONG_BYTE_COUNT),
        (" 1000", " 1001", Reason.WRONG_BYTE_COUNT),
        (" 1000", " 100000000000000", Reason.CLAIMS_TOO_LARGE),
        ("r.dat 16", "r.dat 16:5000", Reason.UNREADABLE_HEADER),
        ("r.dat 16", "r.dat 999", Reason.UNSUPPORTED_FORMAT),
        ("r.dat 16", "r.dat 16x99999999999", Reason.CLAIMS_TOO_LARGE),
        ("r 1 250", "r 1 0", Reason.UNREADABLE_HEADER),
        ("r 1 250", "r 0 250", Reason.UNREADABLE_HEADER),
        ("r.dat", "..", Reason.PATH_OUTSIDE_FOLDER),
        ("r.dat", "sub\\r.dat", Reason.PATH_OUTSIDE_FOLDER),
        ("r.dat", "http://x", Reason.PATH_OUTSIDE_FOLDER),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, write_record, wfdb_config, old, new, reason):
    header = write_record(tmp_path, "r", seconds=4)
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new, 1))
    assert refuse(tmp_path, wfdb_config(tmp_path)) is reason


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("1.5E3(0)/mV", Reason.UNREADABLE_HEADER),  # wfdb would read 1.5
        ("1000.0(0.5)/mV", Reason.UNREADABLE_HEADER),
        ("1000.0(0)/°", Reason.UNKNOWN_UNITS),  # wfdb would read mV
        ("0(0)/mV", Reason.UNKNOWN_UNITS),
        ("/mV", Reason.UNKNOWN_UNITS),
    ],
)
def test_what_wfdb_would_read_otherwise_is_refused(
    tmp_path, write_record, wfdb_config, written, reason
):
    header = write_record(tmp_path, "r", seconds=4)
    text = header.read_text()
    header.write_bytes(text.replace("1000.0(0)/mV", written).encode("latin-1"))
    assert refuse(tmp_path, wfdb_config(tmp_path)) is reason


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_header_may_hold_letters_that_are_not_ascii(
    tmp_path, write_record, wfdb_config, encoding
):
    header = write_record(tmp_path, "r", seconds=4)
    expected = read(tmp_path, wfdb_config(tmp_path)).signal
    text = header.read_text().replace("/mV", "/µV").replace(" I\n", " Größe\n")
    header.write_bytes((text + "# Gerät: Ä1\n").encode(encoding))
    found = read(tmp_path, wfdb_config(tmp_path, channels="Größe", units="mV"))
    np.testing.assert_allclose(found.signal, expected / 1000)
    assert found.comments == ("Gerät: Ä1",)


def test_a_real_latin_1_header_with_edf_annotations(wfdb_config):
    config = wfdb_config(DATA, channels=["sine 1 Hz", "ECG"])
    found = read(DATA, config, "test_generator_2")
    assert (found.rate, found.units, found.signal.shape) == (200.0, "uV", (2, 1000))
    for channel, reason in (
        ("sine 15 Hz", Reason.UNKNOWN_UNITS), ("EDF Annotations", Reason.MISSING_CHANNEL),
    ):  # fmt: skip
        assert refuse(DATA, wfdb_config(DATA, channels=channel), "test_generator_2") is reason


def test_samples_that_do_not_add_up_are_refused(tmp_path, write_record, wfdb_config):
    header = write_record(tmp_path, "r", seconds=4)
    data = header.with_suffix(".dat")
    content = data.read_bytes()
    expected = read(tmp_path, wfdb_config(tmp_path)).signal
    # What a lost block of a disk looks like: ecg_id has seven files of this kind.
    data.write_bytes(b"\xff" * 512 + content[512:])
    assert refuse(tmp_path, wfdb_config(tmp_path)) is Reason.WRONG_CHECKSUM
    kept = read(tmp_path, wfdb_config(tmp_path, checksums="ignore")).signal
    np.testing.assert_array_equal(kept[:, 256:], expected[:, 256:])
    words = header.read_text().splitlines()[1].split(" ")
    words[6] = "0"  # software that does not add up writes this
    header.write_text(header.read_text().splitlines()[0] + "\n" + " ".join(words) + "\n")
    np.testing.assert_array_equal(read(tmp_path, wfdb_config(tmp_path)).signal, kept)


def test_signals_of_one_file_must_stand_together(tmp_path, write_record, wfdb_config):
    write_record(tmp_path, "a", seconds=4)
    write_record(tmp_path, "b", seconds=4)
    line = "16 1000.0(0)/mV 16 0 0 0 0"
    (tmp_path / "r.hea").write_text(
        f"r 3 250 500\na.dat {line} I\nb.dat {line} II\na.dat {line} III\n"
    )
    assert refuse(tmp_path, wfdb_config(tmp_path)) is Reason.UNREADABLE_HEADER


def test_the_first_accepted_name_is_taken_and_reported(tmp_path, write_record, wfdb_config):
    for name, leads in (("a_1", ["V5", "MLII"]), ("b_1", ["II", "MLII"]), ("c_1", ["II", "V1"])):
        signal = np.random.default_rng(1).normal(size=(2500, 2))
        write_record(tmp_path / "raw", name, signal=signal, sig_name=leads)
    write_record(tmp_path / "raw", "d_1", sig_name=["V1"])
    config = wfdb_config(tmp_path / "raw", channels=[{"source": ["MLII", "II"], "name": "lead"}])
    found = read(tmp_path / "raw", config, "b_1")
    assert (found.channels, found.taken) == (("lead",), ("MLII",))
    report = ingest(config, tmp_path / "store")
    assert report.sources["ecg"].channels == {"lead": {"II": 1, "MLII": 2}}
    assert report.ledger == {"missing_channel": 2}
    with pytest.raises(ConfigError, match="needs name"):
        wfdb_config(tmp_path, channels=[{"source": ["MLII", "II"]}])


def test_any_truncation_of_a_header_is_a_verdict(tmp_path, write_record, wfdb_config):
    header = write_record(tmp_path, "r", seconds=4)
    whole = header.read_bytes()
    config = wfdb_config(tmp_path)
    verdicts = []
    # Up to the last letter of the channel's name there is nothing that could be read.
    for length in range(1, whole.rindex(b"I")):
        header.write_bytes(whole[:length])
        verdicts.append(refuse(tmp_path, config))
    assert Reason.READER_FAILED not in verdicts
    assert Reason.UNREADABLE_HEADER in verdicts


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_a_verdict(tmp_path, wfdb_config, seed):
    rng = np.random.default_rng(seed)
    (tmp_path / "r.hea").write_bytes(rng.bytes(500))
    with pytest.raises(Unreadable):
        read_header(tmp_path / "r.hea", folder=tmp_path)
    assert all("/" not in name for name in named_files(tmp_path / "r.hea"))
