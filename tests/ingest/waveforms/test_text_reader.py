from __future__ import annotations

import numpy as np
import pytest

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.text_reader import read_text


@pytest.fixture
def read(tmp_path, text_config):
    def read_content(content, **changes):
        path = tmp_path / "a_1.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {"layout": "columns"} | changes
        return read_text(path, text_config(tmp_path, **options).sources[0], folder=tmp_path)

    return read_content


@pytest.mark.parametrize(("mark", "name"), [
    ("\t", "tab"), (",", "comma"), (";", "semicolon"), (" ", "space"),
])  # fmt: skip
@pytest.mark.parametrize("auto", [True, False])
def test_every_delimiter_in_both_layouts(read, mark, name, auto):
    delimiter = "auto" if auto else name
    columns = "\n".join(mark.join(row) for row in (["1", "-4"], ["2.5", "5"], ["3e2", "6"]))
    rows = "\n".join(mark.join(row) for row in (["1", "2.5", "3e2"], ["-4", "5", "6"]))
    expected = [[1.0, 2.5, 300.0], [-4.0, 5.0, 6.0]]
    for text, layout in ((columns, "columns"), (rows, "row")):
        found = read(text, layout=layout, channels=["x", "y"], delimiter=delimiter)
        assert found.signal.tolist() == expected
        assert found.channels == ("x", "y")
        assert (found.rate, found.units) == (100.0, "counts")


def test_a_delimiter_at_the_end_of_the_line_is_no_sample(read):
    assert read("1\t2\t3\t\n", layout="row").signal.tolist() == [[1.0, 2.0, 3.0]]
    found = read("a,b\n1,2,\n3,4,\n", header=True, channels=["b"])
    assert found.signal.tolist() == [[2.0, 4.0]]


def test_an_empty_cell_is_a_missing_sample(read):
    for text, layout in (("1\t\t3", "row"), ("1,9\n,9\n3,9", "columns")):
        signal = read(text, layout=layout).signal
        np.testing.assert_array_equal(signal, [[1.0, np.nan, 3.0]])


def test_names_are_found_in_any_order_and_stripped(read):
    text = "Time [s], II, PLETH\n0,1,2\n0.008,3,4\n0.016,5,6\n"
    found = read(
        text, header=True, channels=["PLETH", {"source": "II", "name": "lead II"}],
        time_column="Time [s]", rate_in=None,
    )  # fmt: skip
    assert found.rate == 125.0
    assert found.channels == ("PLETH", "lead II")
    assert found.signal.tolist() == [[2.0, 4.0, 6.0], [1.0, 3.0, 5.0]]


def test_row_names(read):
    found = read("red\t1\t2\ngreen\t3\t4\n", layout="row", header=True, channels=["green"])
    assert found.signal.tolist() == [[3.0, 4.0]]


def test_columns_are_counted_from_zero(read):
    found = read("1,2,3\n4,5,6\n", channels=["2", {"source": "0", "name": "first"}])
    assert found.signal.tolist() == [[3.0, 6.0], [1.0, 4.0]]


def test_the_byte_order_mark_of_windows_is_no_sample(read):
    assert read(b"\xef\xbb\xbf1\t2\r\n", layout="row").signal.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("content", "changes", "reason"),
    [
        (b"", {}, Reason.EMPTY_FILE),
        (b"\n \n", {}, Reason.UNREADABLE_TEXT),
        (b"\n \n", {"layout": "row"}, Reason.UNREADABLE_TEXT),
        (b"\xff\xfe1\x00", {}, Reason.UNREADABLE_TEXT),
        (b"1,2\n3,4\x00", {}, Reason.UNREADABLE_TEXT),
        (b"1,2\n3,4,5\n", {}, Reason.UNREADABLE_TEXT),
        (b"1,two\n", {}, Reason.UNREADABLE_TEXT),
        (b"1;2\n3;4", {"delimiter": "comma"}, Reason.UNREADABLE_TEXT),
        (b"1\t2\n3\t4", {"delimiter": "comma", "layout": "row"}, Reason.UNREADABLE_TEXT),
        (b"1_000\t2", {"layout": "row"}, Reason.UNREADABLE_TEXT),
        (b"1\n2\n", {"channels": ["a", "b"]}, Reason.MISSING_CHANNEL),
        (b"x,y\n1,2\n", {"header": True}, Reason.MISSING_CHANNEL),
        (b"finger,finger\n1,2\n", {"header": True}, Reason.MISSING_CHANNEL),
        (b"1,9\n,9\n", {"channels": ["0", "1"]}, None),
        (b"nan,9\nnan,9\n", {"channels": ["0", "1"]}, Reason.ALL_NAN),
    ],
)
def test_verdicts(read, content, changes, reason):
    if reason is None:
        read(content, **changes)
        return
    with pytest.raises(Unreadable) as verdict:
        read(content, **changes)
    assert verdict.value.reason is reason


def times(values):
    return "t,finger\n" + "".join(f"{value},1\n" for value in values)


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        (np.arange(500) / 125, 125.0),
        (np.arange(256) / 25.6, 25.6),
        (7 + np.arange(3000) / 300, 300.0),
        ([f"{number / 125:.5g}" for number in range(20_001)], 125.0),  # rounded when printed
    ],
)
def test_the_rate_of_an_even_time_column(read, values, rate):
    found = read(times(values), header=True, time_column="t", rate_in=None)
    assert found.rate == rate


@pytest.mark.parametrize("values", [[0.0, 0.01, np.nan, 0.03], [0.03, 0.02, 0.01, 0.0], [1.0]])
def test_times_in_no_order_are_refused(read, values):
    with pytest.raises(Unreadable) as verdict:
        read(times(values), header=True, time_column="t", rate_in=None)
    assert verdict.value.reason is Reason.UNEVEN_TIME


def test_uneven_times_are_brought_to_an_even_grid(read):
    values = np.concatenate([np.arange(200), np.arange(203, 300), np.arange(340, 400)]) * 10
    text = "t,finger\n" + "".join(f"{value},{value}\n" for value in values)
    options = {"header": True, "time_column": "t", "time_unit": "ms", "rate_in": None}
    found = read(text, **options)
    (track,) = found.tracks
    assert (found.rate, track.length, found.jitter) == (100.0, 400, pytest.approx(0, abs=1e-9))
    expected = np.arange(400.0) * 10
    expected[300:340] = np.nan
    np.testing.assert_allclose(found.signal[0], expected, atol=1e-6)
    assert track.filled is not None
    assert np.flatnonzero(track.filled(0, 400)).tolist() == [200, 201, 202]
    assert track.filled(200, 202).tolist() == [True, True]
    assert read(text, **options, max_gap_seconds=0.5).signal[0, 320] == pytest.approx(3200)
    assert read(text, **(options | {"rate_in": 50})).rate == 50.0


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ",")])
def test_dates_as_times_beside_numbers(read, separator, decimal):
    stamps = ["13:58:58", "13:58:58.500", "13:58:59", "13:58:59.500"]
    rows = [
        separator.join(
            [f"2016-11-24 {stamp}".replace(".", decimal), f"{row},5".replace(",", decimal)]
        )
        for row, stamp in enumerate(stamps)
    ]
    options = {
        "time_unit": "datetime",
        "rate_in": None,
        "delimiter": {",": "comma", ";": "semicolon"}[separator],
    }
    found = read("\n".join(["when" + separator + "hr", *rows]), header=True, time_column="when",
                 channels=["hr"], **options)  # fmt: skip
    assert found.rate == 2.0
    assert found.signal.tolist() == [[0.5, 1.5, 2.5, 3.5]]
    bare = read("\n".join(rows), time_column="0", channels=["1"], **options)
    assert bare.signal.tolist() == found.signal.tolist()
    with pytest.raises(Unreadable) as verdict:
        read("when,hr\nsoon,1\n2016-11-24,2\n", header=True, time_column="when", channels=["hr"],
             time_unit="datetime", rate_in=None, delimiter="comma")  # fmt: skip
    assert verdict.value.reason is Reason.UNEVEN_TIME


def test_names_in_quotes_may_hold_the_separator(read):
    found = read('"Time, s", "II"\n0,"1.5"\n0.01,2\n', header=True, channels=["II"])
    assert found.signal.tolist() == [[1.5, 2.0]]
    found = read('"a b","II"\n1,2\n3,4\n', header=True, channels=["a b"])
    assert found.signal.tolist() == [[1.0, 3.0]]


@pytest.mark.parametrize(("content", "options"), [
    ("100,126\n101,5\n", {}), ("100,126\n", {"layout": "row"}),
    ("pulse\n100,126\n101,5\n", {"header": True}),
])  # fmt: skip
def test_one_comma_a_line_is_not_guessed(read, content, options):
    with pytest.raises(Unreadable) as verdict:
        read(content, **options)
    assert verdict.value.reason is Reason.UNREADABLE_TEXT
    assert "set delimiter" in verdict.value.detail
    if not options:
        assert read(content, delimiter="comma").signal.tolist() == [[100.0, 101.0]]
        assert read(content, delimiter="space").signal.tolist() == [[100.126, 101.5]]
    named = read("a,b\n1,2\n3,4\n", header=True, channels=["b"])
    assert named.signal.tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize("mark", [";", "\t", " "])
def test_decimal_commas_between_other_separators(read, mark):
    lines = [["1", "100,5"], ["-2", "0,25"], ["3", "7"]]
    text = "\n".join(mark.join(line) for line in lines)
    for header, before in ((False, ""), (True, f"n{mark}a,b\n")):
        if header and mark == " ":
            continue
        found = read(before + text, header=header, channels=["a,b" if header else "1"])
        assert found.signal.tolist() == [[100.5, 0.25, 7.0]]
    row = read(mark.join(["1,5", "2", "3,25"]), layout="row")
    assert row.signal.tolist() == [[1.5, 2.0, 3.25]]
    for bad in (["1.5", "2,5"], ["1", "1,000,000"], ["1", "2,x"]):
        for layout in ("row", "columns"):
            with pytest.raises(Unreadable):
                read(mark.join(bad), layout=layout)
