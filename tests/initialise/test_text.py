from __future__ import annotations

import os

import numpy as np
import pytest
import yaml

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.ingest import IngestConfig, ingest
from medssl.ingest.sources import TextSource
from medssl.ingest.waveforms.text_reader import read_text
from medssl.initialise.text_shape import NoTable, read_shape
from medssl.initialise.time_column import is_event_list, split_columns

NOISE = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize("mark", ["\t", ",", ";", " "])
@pytest.mark.parametrize("layout", ["row", "columns"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("trailing", [True, False])
def test_the_shape_is_what_the_reader_needs(tmp_path, mark, layout, header, trailing):
    table = np.random.default_rng(1).normal(size=(2, 120)).round(6)
    names = ["left", "right"]
    lines = [[f"{cell:g}" for cell in row] for row in (table if layout == "row" else table.T)]
    if header and layout == "row":
        lines = [[name, *line] for name, line in zip(names, lines, strict=True)]
    elif header:
        lines = [names, *lines]
    path = tmp_path / "a.txt"
    end = mark if trailing else ""
    path.write_text("".join(mark.join(line) + end + "\n" for line in lines))
    shape = read_shape(path)
    assert (shape.layout, shape.header, shape.samples, shape.exact) == (layout, header, 120, True)
    assert shape.names == (("left", "right") if header else ("0", "1"))
    source = TextSource(
        name="x", format="text", path=str(tmp_path), modality="ppg", rate=64, rate_in=64,
        segment_seconds=1, channels=[shape.names[1]], units="au", layout=shape.layout,
        delimiter=shape.delimiter, header=shape.header, participant={"from_parent": True},
    )  # fmt: skip
    read = read_text(path, source, folder=tmp_path)
    np.testing.assert_allclose(read.signal[0], table[1], atol=1e-5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a\0b", "not text"),
        (b"\xff\xfe1\n", "not UTF-8 text"),
        (b"a,b\nc,d\ne,f\n", "words"),
        (b"day,x\n2020-01-01,3\n2020-01-02,4\n", "words or dates in some columns"),
        (b"at,x\n2020-01-01T10:00:01,3\n2020-01-01T10:00:02,4\n", "too far apart for a waveform"),
        (b"at,x\n2020-01-01T10:00:02,3\n2020-01-01T10:00:01,4\n", "do not rise"),
        (b"at,x\n2020-01-01T10:00,3\n2020-13-01T10:00,4\n", "do not rise"),
        (b"1.5;2,5\n3.5;4,5\n", "decimal commas"),
        (b"100,126\n101,5\n", "a decimal comma or a comma between two columns"),
        (b"pulse\n100,126\n101,5\n", "a decimal comma or a comma between two columns"),
        (b"1,2\n3\n", "rows of different lengths"),
        (b"device 7\nfirmware 9\nt,x\n1,2\n3,4\n5,6\n7,8\n", "before the table"),
        (b"only,names\n", "words"),
    ],
)
def test_other_files_are_no_tables(tmp_path, content, reason):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(NoTable, match=reason):
        read_shape(path)


def test_lengths_of_large_files_are_counted_or_estimated(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "0.25,0.5\n" * 100_000)
    shape = read_shape(path)
    assert (shape.samples, shape.exact) == (100_000, True)
    path.write_text("x,y\n" + "0.25,0.5\n" * 1_200_000)
    shape = read_shape(path)
    assert not shape.exact
    assert shape.samples == pytest.approx(1_200_000, rel=0.01)


def shape_of(tmp_path, write_csv, columns, **options):
    write_csv(tmp_path / "a.csv", columns, **options)
    return read_shape(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "step", "unit", "hertz"),
    [
        ("Time [s]", 0.008, "s", 125),
        ("time", 0.01, "s", 100),
        ("seconds", 1, "s", 1),
        ("time_ms", 4, "ms", 250),
        ("Time (ms)", 4, "ms", 250),
        ("timer", 20, "unknown", 50),
        ("time", 1e-6, "unknown", 1e9),  # seconds would be 1 MHz
    ],
)
def test_time_columns(tmp_path, write_csv, name, step, unit, hertz):
    shape = shape_of(tmp_path, write_csv, {name: np.arange(200) * step, "x": NOISE})
    time, channels = split_columns(shape)
    assert channels == ("x",)
    assert (time.unit, time.hertz, time.even) == (unit, hertz, True)


def test_uneven_times_and_sample_numbers(tmp_path, write_csv):
    times = np.concatenate([np.arange(100) * 0.01, 3 + np.arange(100) * 0.01])
    time, _ = split_columns(shape_of(tmp_path, write_csv, {"t": times, "x": NOISE}))
    assert not time.even
    shape = shape_of(tmp_path, write_csv, {"sample": np.arange(200), "x": NOISE})
    assert split_columns(shape) == (None, ("x",))
    shape = shape_of(tmp_path, write_csv, {"a": np.arange(200) / 50, "x": NOISE}, header=False)
    time, channels = split_columns(shape)
    assert (time.name, time.hertz, channels) == ("0", 50, ("1",))
    # A channel may rise for a while; only columns that say so are times.
    shape = shape_of(tmp_path, write_csv, {"drift": np.arange(200) / 50, "x": NOISE})
    assert split_columns(shape) == (None, ("drift", "x"))
    assert not is_event_list(shape)


def bidmc_like(folder, write_csv, count=6):
    time = np.arange(60 * 125) / 125
    for k in range(count):
        wave = np.sin(2 * np.pi * (1.1 + 0.05 * k) * time) ** 3
        columns = {"Time [s]": time, " PLETH": wave, " II": wave**2, " RESP": wave**3}
        order = list(columns)[:1] + list(columns)[1:][:: 1 if k % 2 else -1]
        write_csv(folder / f"m_{k:02d}_Signals.csv", {name: columns[name] for name in order})
        trend = {"Time [s]": np.arange(60), "HR": 70 + np.sin(np.arange(60))}
        write_csv(folder / f"m_{k:02d}_Numerics.csv", trend)
        write_csv(folder / f"m_{k:02d}_Breaths.csv", {"a": np.arange(40) * 9, "b": np.arange(40)})
        (folder / f"m_{k:02d}_Fix.txt").write_text("Age: 70\nGender: F\n")


def test_signals_are_told_from_trends_events_and_notes(tmp_path, write_csv, init):
    bidmc_like(tmp_path / "icu", write_csv)
    with pytest.raises(ConfigError) as caught:
        init(tmp_path / "icu")
    said = str(caught.value)
    assert "6 text recordings" in said
    assert "numbers at 1 Hz" in said
    assert "rising numbers" in said
    assert "6 .txt files (words)" in said
    assert "--set channels=PLETH    in 6 of 6, ppg" in said
    assert "--set channels=II    in 6 of 6, ecg" in said
    assert "rate_in" not in said
    said = init(tmp_path / "icu", "modality=ppg", "units=NU", "participant=file")
    assert "chosen: ppg (as answered), channels PLETH (the only one named as ppg)" in said
    assert "time column: 'Time [s]', in seconds" in said
    text = (tmp_path / "out.yaml").read_text()
    assert "include: ['*Signals.csv']" in text
    assert "every recording counts as another participant" in text


def test_a_channel_that_contradicts_the_modality_is_refused(tmp_path, write_csv, init):
    bidmc_like(tmp_path / "icu", write_csv)
    for answers in (["modality=ecg", "channels=PLETH"], ["channels=PLETH,II"]):
        with pytest.raises(ConfigError, match="one source takes one modality"):
            init(tmp_path / "icu", *answers)
    with pytest.raises(ConfigError, match="did you mean PLETH"):
        init(tmp_path / "icu", "channels=PLET")


def test_milliseconds_are_not_taken_for_seconds(tmp_path, write_csv, init):
    for person in range(5):
        for visit in (1, 2):
            wave = np.sin(np.arange(900) / 5 + person) ** 3
            write_csv(
                tmp_path / "phone" / f"subject{person}_{visit}_ppg.csv",
                {"time": np.arange(900) * 33.0, "red": wave},
            )
    with pytest.raises(ConfigError) as caught:
        init(tmp_path / "phone", "units=au")
    assert "--set time_unit=ms    30.3 Hz" in str(caught.value)
    assert "time_unit=s " not in str(caught.value)
    assert "--set rate_in=HZ" in str(caught.value)
    said = init(tmp_path / "phone", "units=au", "rate_in=30")
    assert "chosen: ppg (file names), channels red (the only one)" in said
    assert "chosen: 30 Hz" in said


def phones(folder, write_csv, name, step):
    for person in range(5):
        for visit in (1, 2):
            time = np.arange(900) * step
            write_csv(
                folder / f"subject{person}_{visit}_ppg.csv",
                {name: time, "red": np.sin(np.arange(900) / 5 + person) ** 3},
            )


def ingested(tmp_path):
    """The source that was written, and how many recordings an ingest with it took."""
    stage = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]
    config = validate(IngestConfig, stage | {"quality": False, "workers": 1}, where="ingest")
    source = stage["sources"][0]
    return source, ingest(config, tmp_path / "store").sources[source["name"]].recordings


@pytest.mark.parametrize(
    ("step", "unit", "options"),
    [(33.0, "ms", ("ms", "us")), (2000.0, "us", ("us",)), (4e6, "ns", ("ns",))],
)
def test_the_unit_of_times_is_asked_and_written(tmp_path, write_csv, init, step, unit, options):
    phones(tmp_path / "phone", write_csv, "time", step)
    for answers in (["units=au"], ["units=au", "time_column=time"]):
        with pytest.raises(ConfigError, match="in no told unit") as caught:
            init(tmp_path / "phone", *answers)
        asked = tuple(
            line.split("time_unit=")[1].split()[0]
            for line in str(caught.value).splitlines()
            if line.startswith("    --set time_unit=")
        )
        assert asked == options
    init(tmp_path / "phone", "units=au", f"time_unit={unit}")
    source, recordings = ingested(tmp_path)
    assert (source["time_column"], source["time_unit"], recordings) == ("time", unit, 10)
    assert "rate_in" not in source


def test_answers_about_times_that_cannot_be_are_refused(tmp_path, write_csv, init):
    phones(tmp_path / "phone", write_csv, "time", 33.0)
    with pytest.raises(ConfigError, match="the times are numbers"):
        init(tmp_path / "phone", "units=au", "time_unit=datetime")
    phones(tmp_path / "bare", write_csv, "green", 33.0)
    with pytest.raises(ConfigError, match="no column of rising times"):
        init(tmp_path / "bare", "units=au", "channels=red", "time_unit=ms")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("tick", [1, 16])
def test_dates_and_times_are_times(tmp_path, init, header, tick):
    start = np.datetime64("2016-11-24T13:58:58.081")
    for person in range(5):
        for visit in (1, 2):
            wave = np.sin(np.arange(4000) / 15 + person) ** 3
            # A clock that ticks slowly gives neighbouring samples one time.
            times = start + np.arange(4000) * 10 // tick * tick
            lines = ["datetime,hr"] if header else []
            lines += [f"{str(time).replace('T', ' ')},{x:.4f}"
                      for time, x in zip(times, wave, strict=True)]  # fmt: skip
            path = tmp_path / "dated" / f"subject{person}_{visit}_ppg.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(lines) + "\n")
    said = init(tmp_path / "dated", "units=au")
    name = "datetime" if header else "0"
    assert f"time column: {name!r}, in dates and times" in said
    source, recordings = ingested(tmp_path)
    assert (source["time_column"], source["time_unit"], recordings) == (name, "datetime", 10)
    assert source["rate"] == 64
    for answer in ("rate_in=100", "time_unit=ms"):
        with pytest.raises(ConfigError, match="dates"):
            init(tmp_path / "dated", "units=au", answer, output=tmp_path / "more.yaml")


def test_two_kinds_of_numbers_are_asked_about(tmp_path, write_csv, init):
    for person in range(6):
        folder = tmp_path / "mixed" / f"subject_{person}"
        write_csv(folder / "ecg.csv", {"v": NOISE}, header=False)
        write_csv(folder / "ppg.csv", {"v": NOISE}, header=False)
    with pytest.raises(ConfigError, match="several kinds of text file") as caught:
        init(tmp_path / "mixed")
    assert "--set include='**/ecg.csv'" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        init(tmp_path / "mixed", "include=**/ecg.csv")
    assert "modality" not in str(caught.value)  # the file names tell it
    assert "left out by include: 6 files" in str(caught.value)


def test_last_words_that_make_no_difference_are_no_kinds(tmp_path, write_csv, init):
    for name in ("anna", "bert"):
        for k in range(4):
            write_csv(tmp_path / "people" / f"{k}_{name}.csv", {"v": NOISE}, header=False)
    with pytest.raises(ConfigError) as caught:
        init(tmp_path / "people")
    assert "8 text recordings" in str(caught.value)
    assert "anna" not in str(caught.value)


def test_units_in_column_names_are_taken(tmp_path, write_csv, init):
    for person in range(6):
        for visit in (1, 2):
            time = np.arange(1000) / 125
            wave = np.exp(-(((time % 0.8) / 0.03) ** 2)) + 0.01 * np.sin(time * person)
            write_csv(
                tmp_path / "u" / f"subject{person}_{visit}.csv", {"time": time, "ECG [uV]": wave}
            )
    said = init(tmp_path / "u")
    assert "uV (from the column names)" in said
    assert "12 text recordings" in said


@pytest.mark.parametrize("mark", [";", "\t", " "])
def test_decimal_commas_are_read_as_ingest_does(tmp_path, mark):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{k}{mark}{k},5\n" for k in range(60)))
    shape = read_shape(path)
    assert shape.names == ("0", "1")
    np.testing.assert_array_equal(shape.values[:, 1], np.arange(60) + 0.5)


def test_a_label_table_beside_csv_recordings_is_no_broken_recording(tmp_path, write_csv, init):
    folder = tmp_path / "study"
    for k in range(12):
        wave = np.sin(np.arange(2000) / (15 + k)) ** 3
        write_csv(folder / f"{k:03d}.csv", {"ppg": wave, "other": wave**2})
    rows = [f"{k:03d},{40 + k},{'FM'[k % 2]}" for k in range(1, 12)]
    (folder / "labels.csv").write_text("\n".join(["id,age,sex", "000,45", *rows]))
    said = init(folder, "channels=ppg", "units=au", "rate_in=100", "participant=file")
    assert "12 text recordings" in said
    assert "cannot be read" not in said
    assert "table of 12 rows with 3 columns" in said
    assert "sex" in (tmp_path / "out.yaml").read_text()


def test_names_that_are_not_utf8_are_left_out(tmp_path, write_csv, init):
    folder = tmp_path / "study"
    for k in range(12):
        wave = np.sin(np.arange(2000) / (15 + k)) ** 3
        write_csv(folder / f"{k:03d}.csv", {"ppg": wave, "other": wave**2})
    (folder / os.fsdecode(b"J\xfcrgen.csv")).write_text("ppg,other\n1,2\n")
    said = init(folder, "channels=ppg", "units=au", "rate_in=100", "participant=file")
    assert "12 text recordings" in said
    assert "not UTF-8: 1 file left out" in said
