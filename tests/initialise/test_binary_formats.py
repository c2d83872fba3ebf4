"""EDF, MATLAB and Parquet: written by their own libraries, told as in the files."""

from __future__ import annotations

import datetime

import edfio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from scipy.io import savemat

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.ingest import IngestConfig, ingest

RATE = 250
PEOPLE = [f"P{number}" for number in range(12)]


@pytest.fixture
def signals():
    """Two recordings of each of 12 people: person, visit, and 8 s of lead II."""
    rng = np.random.default_rng(0)
    time = np.arange(8 * RATE) / RATE
    return [
        (person, visit, np.exp(-((((time % gap) - 0.3) / 0.02) ** 2))
         + rng.normal(scale=0.01, size=len(time)))
        for number, person in enumerate(PEOPLE)
        for visit in (1, 2)
        for gap in (0.7 + 0.02 * number,)
    ]  # fmt: skip


@pytest.fixture
def written(init, tmp_path):
    """The source that was written, after an ingest with it took every recording."""

    def run(folder, *answers, recordings=24):
        said = init(folder, *answers)
        stage = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]
        config = validate(IngestConfig, stage | {"quality": False, "workers": 1}, where="ingest")
        report = ingest(config, tmp_path / "store")
        assert report.sources[config.sources[0].name].recordings == recordings
        assert report.participants == 12
        return said, stage["sources"][0]

    return run


def test_edf_headers_tell_rate_unit_person_and_date(signals, written, init, tmp_path):
    for person, visit, signal in signals:
        folder = tmp_path / "sleep" / f"Subject_{person[1:]}"
        folder.mkdir(parents=True, exist_ok=True)
        edfio.Edf(
            [edfio.EdfSignal(1000 * signal, RATE, label="ECG II", physical_dimension="uV"),
             edfio.EdfSignal(signal[::10], RATE / 10, label="SpO2", physical_dimension="%")],
            patient=edfio.Patient(sex="MF"[PEOPLE.index(person) % 2],
                                  birthdate=datetime.date(1960 + PEOPLE.index(person), 1, 1)),
            recording=edfio.Recording(startdate=datetime.date(2020, visit, 1)),
            data_record_duration=1,
        ).write(folder / f"night{visit}.edf")  # fmt: skip
        # edfio says that it is EDF+ only where there are annotations.
        data = (folder / f"night{visit}.edf").read_bytes()
        (folder / f"night{visit}.edf").write_bytes(data[:192] + b"EDF+C" + data[197:])
    said, source = written(tmp_path / "sleep")
    assert "24 EDF recordings" in said
    assert "SpO2 (%, 25 Hz)" in said
    assert source["format"] == "edf"
    assert (source["channels"], source["units"]) == (["ECG II"], "uV")
    assert source["session"] == {"comment": "Start date"}
    assert source["labels"]["comments"] == {"sex": "Sex", "age": "Age"}
    with pytest.raises(ConfigError, match="EDF headers tell their rate"):
        init(tmp_path / "sleep", "rate_in=3", overwrite=True)


@pytest.mark.parametrize("layout", ["row", "columns"])
def test_a_matrix_in_matlab_files(signals, written, tmp_path, layout):
    for person, visit, signal in signals:
        folder = tmp_path / "hearts" / f"Subject_{person[1:]}"
        folder.mkdir(parents=True, exist_ok=True)
        both = np.stack([signal, -signal])
        values = {"sig": both if layout == "row" else both.T, "Fs": float(RATE), "note": "x"}
        savemat(folder / f"r{visit}.mat", values)
    said, source = written(tmp_path / "hearts", "units=mV", "modality=ecg", "channels=0")
    assert "24 MATLAB recordings" in said
    assert {key: source[key] for key in ("variable", "layout", "rate_variable")} == {
        "variable": "sig", "layout": layout, "rate_variable": "Fs",
    }  # fmt: skip
    assert source["channels"] == [{"source": "0", "name": "ecg"}]


def test_a_list_of_recordings_in_one_matlab_file(signals, written, init, tmp_path):
    rows = [({"v": signal[:, None], "fs": float(RATE)}, person, 30.0 + n % 7)
            for n, (person, _, signal) in enumerate(signals)]  # fmt: skip
    fields = [("ecg", object), ("subject", object), ("age", object)]
    (tmp_path / "set").mkdir()
    savemat(tmp_path / "set" / "all.mat", {"data": np.array(rows, dtype=fields)[None]})
    with pytest.raises(ConfigError, match="MATLAB files do not tell their unit"):
        init(tmp_path / "set")
    said, source = written(tmp_path / "set", "units=mV")
    assert "'data' holds 24 recordings" in said
    assert source["recordings"] == "data"
    assert (source["channels"], source["rate_variable"]) == (["ecg/v"], "ecg/fs")
    assert source["participant"] == {"comment": "subject"}


def test_several_variables_of_a_matlab_file_are_asked_about(init, tmp_path):
    (tmp_path / "m").mkdir()
    rng = np.random.default_rng(0)
    values = {"a": rng.normal(size=(2, 500)), "b": rng.normal(size=(2, 500))}
    savemat(tmp_path / "m" / "x.mat", values)
    with pytest.raises(ConfigError, match="--set variable=a"):
        init(tmp_path / "m")


def test_columns_of_parquet_tables(signals, written, tmp_path):
    (tmp_path / "hearts").mkdir()
    for person, visit, signal in signals:
        table = {"time": np.arange(len(signal)) / RATE, "ECG [mV]": signal}
        path = tmp_path / "hearts" / f"subject-{person[1:]}_{visit}.parquet"
        pq.write_table(pa.table(table), path)
    said, source = written(tmp_path / "hearts")
    assert "24 Parquet recordings" in said
    assert (source["time_column"], source["units"]) == ("time", "mV")
    assert source["channels"] == ["ECG [mV]"]


def test_whole_numbers_of_time_in_parquet_tables_are_asked_about(signals, written, tmp_path):
    (tmp_path / "hearts").mkdir()
    for person, visit, signal in signals:
        table = {"time": np.arange(len(signal)) * 1000 // RATE, "ECG [mV]": signal}
        path = tmp_path / "hearts" / f"subject-{person[1:]}_{visit}.parquet"
        pq.write_table(pa.table(table), path)
    for answers in ([], ["time_column=time"]):
        with pytest.raises(ConfigError, match="in no told unit") as caught:
            written(tmp_path / "hearts", *answers)
        assert "--set time_unit=ms    250 Hz" in str(caught.value)
    _, source = written(tmp_path / "hearts", "time_unit=ms")
    assert (source["time_column"], source["time_unit"]) == ("time", "ms")


def test_a_recording_a_row_in_parquet_tables(signals, written, tmp_path):
    (tmp_path / "hub").mkdir()
    for part in range(2):
        some = signals[part::2]
        table = {
            "id": [f"{person}-{visit}" for person, visit, _ in some],
            "patient_id": [person for person, *_ in some],
            "sampling_rate": [RATE] * len(some),
            "age": [30 + PEOPLE.index(person) for person, *_ in some],
            "ecg": [signal.tolist() for *_, signal in some],
        }
        pq.write_table(pa.table(table), tmp_path / "hub" / f"train-{part}.parquet")
    said, source = written(tmp_path / "hub", "units=mV")
    assert "24 recordings in 2 tables, one a row" in said
    assert "not read by this version" not in said
    assert source["recordings"] == "id"
    assert source["rate_column"] == "sampling_rate"
    assert source["participant"] == {"comment": "patient_id"}
    assert source["labels"]["comments"] == {"age": "age"}


def test_neighbouring_rows_of_a_parquet_table(signals, written, tmp_path):
    (tmp_path / "long").mkdir()
    length = len(signals[0][2])
    table = {
        "recording": np.repeat([f"{person}-{visit}" for person, visit, _ in signals], length),
        "patient": np.repeat([person for person, *_ in signals], length),
        "ecg": np.concatenate([signal for *_, signal in signals]),
    }
    pq.write_table(pa.table(table), tmp_path / "long" / "all.parquet")
    said, source = written(tmp_path / "long", "units=mV", f"rate_in={RATE}")
    assert "told apart by column 'recording'" in said
    assert (source["recordings"], source["rate_in"]) == ("recording", RATE)
    assert source["participant"] == {"comment": "patient"}


def test_whose_the_recordings_of_a_file_are_is_asked(init, tmp_path):
    (tmp_path / "p").mkdir()
    cells = np.empty((1, 8), dtype=object)
    for number in range(8):
        cells[0, number] = np.random.default_rng(number).normal(size=(1, 4000))
    savemat(tmp_path / "p" / "part.mat", {"p": cells})
    given = ("modality=ecg", "units=mV", "rate_in=100")
    with pytest.raises(ConfigError, match="--set participant=file"):
        init(tmp_path / "p", *given)
    init(tmp_path / "p", *given, "participant=file")
    source = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]["sources"][0]
    assert source["participant"] == {"each_recording": True}
    assert source["channels"] == ["."]
