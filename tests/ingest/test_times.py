"""Times: days from each participant's first, and never a date."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from medssl.errors import ConfigError
from medssl.ingest import ingest
from medssl.ingest.days import days
from medssl.store import Store

LISTED = {"table": "list.csv", "file": "f", "participant": "who", "study": "f", "time": "when"}


@pytest.fixture
def run(tmp_path, chest_config, write_image, write_text):
    def read(rows, *, store="store", **changes):
        for seed, row in enumerate(rows):
            path = tmp_path / "raw" / f"{row[0]}.png"
            if not path.exists():
                write_image(path, seed=sum(map(ord, row[0])) + seed)
        lines = "\n".join(",".join(map(str, row)) for row in rows)
        write_text(tmp_path / "raw" / "list.csv", f"f,who,when\n{lines}\n")
        source = {"participant": None, "study": None, "manifest": LISTED | changes}
        report = ingest(chest_config(tmp_path / "raw", source), tmp_path / store)
        return report, Store.open(tmp_path / store)

    return read


def times(store):
    """Times by participant, in their order."""
    frame = store.records.to_pandas()
    return sorted(sorted(own.dropna()) for _, own in frame.groupby("participant").time)


@pytest.mark.parametrize(
    ("said", "unit", "expected"),
    [
        ("-3.5", "days", -3.5),
        ("12", "hours", 0.5),
        ("7", "order", 7.0),
        ("1970-01-02T12:00:00", "datetime", 1.5),
        ("1970-01-01T23:00:00-01:00", "datetime", 1.0),
        ("19700103", "datetime", 2.0),
        ("inf", "days", None),
        ("soon", "days", None),
        ("January 20, 2020", "datetime", None),
        ("1e999", "hours", None),
    ],
)
def test_told_times_in_days(said, unit, expected):
    assert days(said, unit) == expected


def test_no_date_is_stored(run):
    rows = [("a", 1, "2019-03-01"), ("b", 1, "2019-03-11T12:00"), ("c", 2, "2020-01-01")]
    report, store = run(rows, time_unit="datetime")
    assert times(store) == [[0], [0, 10.5]]
    assert report.times_unknown == 0
    for path in (store.path / "index").rglob("*.parquet"):
        assert b"2019" not in str(pq.read_table(path).to_pydict()).encode()


@pytest.mark.parametrize(
    ("said", "changes", "expected"),
    [
        ((100, 148, 124), {"time_unit": "hours"}, [0, 1, 2]),
        ((3, 9, 4), {"time_unit": "order"}, [0, 1, 6]),
        ((-4, 0, -10), {"time_backwards": True}, [0, 4, 10]),
    ],
)
def test_units_and_directions(run, said, changes, expected):
    _, store = run([(name, 1, when) for name, when in zip("abc", said, strict=True)], **changes)
    assert times(store) == [expected]
    # The file with the smallest offset to a fixed event before it is the last one.
    if changes.get("time_backwards"):
        assert store.records.to_pandas().time.max() == 10


def test_a_time_that_is_none_is_counted_and_the_image_kept(run):
    report, store = run([("a", 1, "5"), ("b", 1, "later"), ("c", 1, "")])
    assert times(store) == [[0]]
    assert (report.records, report.times_unknown) == (3, 1)


def test_later_files_are_counted_from_the_origin_of_the_store(run):
    first = [("b", 1, 10), ("c", 1, 30), ("d", 2, 7)]
    run(first)
    report, store = run([*first, ("a", 1, 4), ("e", 1, 35)])
    assert report.records == 2
    # What was first before is no longer the first; old and new times still differ as they should.
    assert times(store) == [[-6, 0, 20, 25], [0]]


def test_times_that_nothing_ties_to_those_of_the_store_are_left_out(run, tmp_path):
    run([("b", 1, 10), ("d", 2, 7)])
    (tmp_path / "raw" / "b.png").unlink()
    report, store = run([("a", 1, 400), ("d", 2, 7)])
    assert report.times_unknown == 1
    frame = store.records.to_pandas()
    assert sorted(frame.time.dropna()) == [0, 0]
    assert np.isnan(frame.time).sum() == 1


def test_a_path_may_tell_the_time_and_the_view(tmp_path, chest_config, write_image):
    for seed, name in enumerate(("0_pa", "12_lat", "3_odd")):
        write_image(tmp_path / "raw" / "p1" / f"day{name}.png", seed=seed)
    source = {
        "time": {"pattern": r"day(?P<time>\d+)_"},
        "view": {"pattern": r"_(?P<view>\w+)\.png$"},
    }
    report = ingest(chest_config(tmp_path / "raw", source), tmp_path / "store")
    frame = Store.open(tmp_path / "store").records.to_pandas().sort_values("time")
    assert frame.time.tolist() == [0, 3, 12]
    assert frame["view"].tolist() == ["PA", None, "lateral"]
    assert report.views == {"PA": 1, "lateral": 1, "unknown": 1}


def test_times_of_one_cohort_have_one_meaning(tmp_path, chest_config):
    told = {"time": {"pattern": r"(?P<time>\d+)", "unit": "order"}}
    other = {"name": "other", "time": {"pattern": r"(?P<time>\d+)", "unit": "datetime"}}
    with pytest.raises(ConfigError, match="cohort chest are order in one source and datetime in o"):
        chest_config(tmp_path, told, other)
    chest_config(tmp_path, told, other | {"cohort": "elsewhere"})
    both = told | {"manifest": LISTED}
    with pytest.raises(ConfigError, match="both tell times: keep one"):
        chest_config(tmp_path, both)
