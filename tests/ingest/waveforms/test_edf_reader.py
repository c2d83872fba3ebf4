from __future__ import annotations

import datetime

import edfio
import numpy as np
import pytest

from medssl.config import validate
from medssl.ingest import IngestConfig
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.edf_reader import read_edf


@pytest.fixture
def read(tmp_path):
    def read_file(path, **changes):
        source = {
            "name": "x", "format": "edf", "path": str(tmp_path), "modality": "ecg", "rate": 100,
            "segment_seconds": 2, "channels": ["I"], "participant": {"each_recording": True},
        } | changes  # fmt: skip
        config = validate(IngestConfig, {"sources": [source]}, where="ingest").sources[0]
        return read_edf(path, config, folder=tmp_path)

    return read_file


def signals(kind=edfio.EdfSignal, seconds=10, **changes):
    """Lead I at 100 Hz in mV and pleth at 25 Hz without a unit."""
    rng = np.random.default_rng(0)
    shape = {"physical_range": (-4, 4)} | changes
    return [
        kind(rng.normal(size=100 * seconds).clip(-4, 4), 100, label="I",
             physical_dimension="mV", **shape),
        kind(rng.normal(size=25 * seconds).clip(-4, 4), 25, label="pleth", **shape),
    ]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def write_file(some=None, name="a.edf", **changes):
        path = tmp_path / name
        some = signals() if some is None else some
        bdf = isinstance(some[0], edfio.BdfSignal)
        (edfio.Bdf if bdf else edfio.Edf)(some, data_record_duration=1, **changes).write(path)
        return path

    return write_file


def field(path, start, length, text):
    """Overwrite a field of the header."""
    data = bytearray(path.read_bytes())
    data[start : start + length] = text.encode().ljust(length)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("kind", "step"), [(edfio.EdfSignal, 8 / 2**16), (edfio.BdfSignal, 8 / 2**24)]
)
def test_samples_are_those_written_to_half_a_converter_step(read, write, kind, step):
    digital = {"digital_range": (-(2**23), 2**23 - 1)} if kind is edfio.BdfSignal else {}
    some = signals(kind, **digital)
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=1000).clip(-4, 4)
    found = read(write(some))
    assert (found.rate, found.units, found.channels) == (100.0, "mV", ("I",))
    assert np.abs(found.signal[0] - wanted).max() <= 0.51 * step


def test_any_range_is_read_as_if_all_were(read, write, monkeypatch):
    monkeypatch.setattr("medssl.ingest.waveforms.edf_reader._BLOCK_BYTES", 600)
    found = read(write())
    (track,) = found.tracks
    whole = track.read(0, track.length)
    for start, stop in ((0, 1), (99, 101), (250, 731), (999, 1000), (5, 5)):
        np.testing.assert_array_equal(track.read(start, stop), whole[:, start:stop])


def test_rates_of_their_own_are_tracks_of_their_own(read, write):
    found = read(write(), channels=["pleth"], units="counts")
    assert [(track.rate, track.length) for track in found.tracks] == [(25.0, 250)]
    some = [
        *signals(),
        edfio.EdfSignal(np.arange(1000.0) / 1e3, 100, label="V", physical_dimension="V"),
    ]
    found = read(write(some), channels=["V", "I"], units="mV")
    (track,) = found.tracks
    assert track.channels == ("V", "I")
    np.testing.assert_allclose(track.read(0, 1000)[0], np.arange(1000.0), atol=0.02)
    mixed = signals()
    mixed[1].physical_dimension = "uV"
    found = read(write(mixed), channels=["pleth", "I"], units="mV")
    assert [track.rate for track in found.tracks] == [25.0, 100.0]


def timed(path, onsets):
    """The same file as EDF+D, each second's record beginning where `onsets` says."""
    header, ordinary = 256 * 4, 2 * (100 + 25)
    content = path.read_bytes().replace(b"EDF+C", b"EDF+D")
    size = (len(content) - header) // len(onsets)
    records = [content[place : place + size] for place in range(header, len(content), size)]
    for number, onset in enumerate(onsets):
        time = f"+{onset}\x14\x14\0".encode().ljust(size - ordinary, b"\0")
        records[number] = records[number][:ordinary] + time
    path.write_bytes(content[:header] + b"".join(records))
    return path


@pytest.fixture
def roomy(write):
    """A file whose annotations have room for longer times."""
    return write(annotations=[edfio.EdfAnnotation(0, None, "room for longer times")])


def test_gaps_of_a_discontinuous_file_are_missing_at_their_place(read, roomy):
    before = read(roomy).signal
    onsets = [0.25, 1.25, 2.25, 3.25, 6.75, 7.75, 8.75, 9.75, 10.75, 11.75]
    found = read(timed(roomy, onsets))
    (track,) = found.tracks
    signal = track.read(0, track.length)
    assert track.length == 1250
    assert np.isnan(signal[0, 400:650]).all()
    np.testing.assert_array_equal(np.delete(signal, np.s_[400:650], axis=1), before)
    for start, stop in ((390, 660), (450, 600), (640, 651)):
        np.testing.assert_array_equal(track.read(start, stop), signal[:, start:stop])
    # A gap that is no whole number of samples shifts by less than half of one.
    slow = read(roomy, channels=["pleth"], units="counts").tracks[0]
    assert slow.length == round(11.5 * 25) + 25


@pytest.mark.parametrize(
    ("onsets", "reason"),
    [
        ([0, 1, 2, 3, 3.5, 5, 6, 7, 8, 9], Reason.UNEVEN_TIME),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], Reason.UNEVEN_TIME),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 99_999_999_999], Reason.CLAIMS_TOO_LARGE),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, "x"], Reason.UNREADABLE_HEADER),
    ],
)
def test_times_that_cannot_be_true(read, roomy, onsets, reason):
    with pytest.raises(Unreadable) as verdict:
        read(timed(roomy, onsets))
    assert verdict.value.reason is reason


def test_comments_tell_sex_age_and_date_and_never_who(read, write):
    patient = edfio.Patient(
        code="MRN-77", sex="F", birthdate=datetime.date(1970, 5, 2), name="Doe_Jane"
    )
    recording = edfio.Recording(startdate=datetime.date(2020, 5, 1), equipment_code="Holter_3")
    found = read(write(patient=patient, recording=recording, annotations=[]))
    assert found.comments == ("Sex: F", "Start date: 2020-05-01", "Age: 49", "Equipment: Holter_3")


def test_words_of_a_plain_header_are_not_taken_for_fields(read, write):
    path = write()
    field(path, 8, 80, "John M Smith 1970")
    field(path, 168, 8, "24.12.19")
    assert read(path).comments == ("Start date: 2019-12-24",)


def test_annotations_are_no_signal(read, write):
    path = write(annotations=[edfio.EdfAnnotation(1, None, "beat")])
    with pytest.raises(Unreadable) as verdict:
        read(path, channels=["EDF Annotations"])
    assert verdict.value.reason is Reason.MISSING_CHANNEL


@pytest.mark.parametrize(
    ("start", "text", "reason"),
    [
        (236, "-1", Reason.WRONG_BYTE_COUNT),
        (236, "9", Reason.WRONG_BYTE_COUNT),
        (236, "99999999", Reason.WRONG_BYTE_COUNT),
        (236, "0", Reason.UNREADABLE_HEADER),
        (252, "0", Reason.UNREADABLE_HEADER),
        (252, "9999", Reason.UNREADABLE_HEADER),
        (252, "x", Reason.UNREADABLE_HEADER),
        (184, "256", Reason.UNREADABLE_HEADER),
        (244, "0", Reason.UNREADABLE_HEADER),
        (244, "-1", Reason.UNREADABLE_HEADER),
        (244, "nan", Reason.UNREADABLE_HEADER),
        (244, "1e999999", Reason.UNREADABLE_HEADER),
        (0, "1", Reason.UNREADABLE_HEADER),
        (256 + 16 * 2 + 80 * 2, "parsec", Reason.UNKNOWN_UNITS),
        (256 + 16 * 2 + 80 * 2, "", Reason.UNKNOWN_UNITS),
        (256 + 104 * 2, "4", Reason.UNKNOWN_UNITS),  # physical minimum = maximum
        (256 + 104 * 2, "four", Reason.UNKNOWN_UNITS),
        (256 + 104 * 2, "nan", Reason.UNKNOWN_UNITS),
        (256 + 120 * 2, "32767", Reason.UNKNOWN_UNITS),  # digital minimum = maximum
        (256 + 216 * 2, "0", Reason.UNREADABLE_HEADER),
        (256 + 216 * 2, "-100", Reason.UNREADABLE_HEADER),
        (256 + 216 * 2, "99999999", Reason.WRONG_BYTE_COUNT),
        (256 + 16, "I", Reason.MISSING_CHANNEL),  # two signals of one name
    ],
)
def test_headers_that_cannot_be_true(read, write, start, text, reason):
    path = write()
    length = {0: 8, 252: 4, 272: 16}.get(start, 8)
    field(path, start, length, text)
    with pytest.raises(Unreadable) as verdict:
        read(path)
    assert verdict.value.reason is reason


def test_a_damaged_signal_is_no_reason_to_refuse_another(read, write):
    path = write()
    field(path, 256 + 104 * 2 + 8, 8, "what")
    assert read(path).tracks[0].length == 1000


@pytest.mark.parametrize("size", [0, 1, 255, 256, 700, 1100, -1])
def test_truncation(read, write, size):
    path = write()
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(Unreadable) as verdict:
        read(path)
    assert verdict.value.reason in {
        Reason.EMPTY_FILE, Reason.UNREADABLE_HEADER, Reason.WRONG_BYTE_COUNT,
    }  # fmt: skip


def test_a_file_that_shrinks_while_it_is_read(read, write):
    path = write()
    found = read(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(Unreadable) as verdict:
        found.tracks[0].read(0, 1000)
    assert verdict.value.reason is Reason.WRONG_BYTE_COUNT


def test_inverted_physical_range_turns_the_signal(read, write):
    path = write()
    upright = read(path).signal
    field(path, 256 + 104 * 2, 8, "4")
    field(path, 256 + 112 * 2, 8, "-4")
    np.testing.assert_allclose(read(path).signal, -upright, atol=1e-3)
