"""Labels of segments: counted in annotations, averaged over series, and used as targets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from medssl.errors import ConfigError, IngestError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.targets import Target
from medssl.evaluation.units import gather_units, unit_labels
from medssl.ingest import ingest
from medssl.ingest.segment_rules import AAMI, SegmentRule
from medssl.ingest.timed_labels import annotation_labels, segment_labels
from medssl.ingest.waveforms.annotations import Annotations
from medssl.store import Store

DATA = Path(__file__).parents[1] / "data" / "wfdb"
BEATS = {"level": "segment", "annotations": "atr", "symbols": "aami"}
AF = {"level": "segment", "annotations": "atr", "rhythms": {"af": ["(AFIB", "(AFL"]}}


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for file in DATA.glob("201.*"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def config(wfdb_config):
    def build(folder, *rules, **changes):
        options = {
            "rate": 90, "segment_seconds": 5, "channels": "MLII",
            "participant": {"pattern": r"(?P<participant>\w+)\.hea"},
        }  # fmt: skip
        return wfdb_config(folder, labels=list(rules), **(options | changes))

    return build


def by_start(store: Store) -> pd.DataFrame:
    """Labels in the order of the segments."""
    starts = pd.Series(store.column("start"), index=store.column("record")).sort_values()
    return store.record_labels.reindex(starts.index).set_axis(starts.to_numpy())


def test_beats_are_counted_by_their_own_time(tmp_path, raw, config):
    report = ingest(config(raw, BEATS), tmp_path / "store")
    assert report.labels_unreadable == {}
    assert report.stored_files == 3  # the annotations belong to the recording
    found = by_start(Store.open(tmp_path / "store"))
    assert found.index.tolist() == [5.0 * number for number in range(9)]
    reference = wfdb.rdann(str(DATA / "201"), "atr")
    for label, symbols in AAMI.items():
        counts = np.zeros(9)
        for sample, symbol in zip(reference.sample, reference.symbol, strict=True):
            counts[sample // 1800] += symbol in symbols
        np.testing.assert_array_equal(found[label], counts)
    assert found["beats_s"].sum() == 6


def test_overlapping_segments_count_a_beat_in_each(tmp_path, raw, config):
    ingest(config(raw, BEATS, overlap_seconds=2.5), tmp_path / "store")
    found = by_start(Store.open(tmp_path / "store"))
    samples = wfdb.rdann(str(DATA / "201"), "atr", return_label_elements=["symbol"])
    seconds = samples.sample[np.isin(samples.symbol, list(AAMI["beats_n"]))] / 360
    expected = [((seconds >= start) & (seconds < start + 5)).sum() for start in found.index]
    assert found["beats_n"].tolist() == expected


def test_rhythms_hold_until_the_next_one(tmp_path, raw, config):
    share = AF | {"rhythms": {"af_share": ["AFIB"]}, "how": "share"}
    ingest(config(raw, AF, share), tmp_path / "store")
    found = by_start(Store.open(tmp_path / "store"))
    reference = wfdb.rdann(str(DATA / "201"), "atr")
    rhythm = np.full(16_200, "", dtype=object)
    for sample, symbol, note in zip(
        reference.sample, reference.symbol, reference.aux_note, strict=True
    ):
        if symbol == "+":
            rhythm[sample:] = note.strip("\0")
    for number, row in enumerate(found.itertuples()):
        part = rhythm[1800 * number : 1800 * (number + 1)]
        known = part != ""
        if not known.any():
            assert np.isnan(row.af)
            assert np.isnan(row.af_share)
            continue
        assert row.af == float((part == "(AFIB").any())
        np.testing.assert_allclose(row.af_share, (part == "(AFIB").sum() / known.sum())
    assert found["af"].isna().sum() == 1  # the first rhythm of the excerpt begins after 8 s
    assert found["af_share"].between(0, 1, inclusive="neither").any()


def test_shares_and_yes_or_no(tmp_path):
    found = Annotations(
        seconds=np.array([0.0, 0.2, 0.4, 1.0, 2.5]),
        symbols=np.array(["N", "V", "~", "V", "|"]),
        notes=np.array([""] * 5),
    )
    starts, stops = np.arange(4.0), np.arange(1.0, 5.0)

    def labels(how, symbols):
        rule = SegmentRule(level="segment", annotations="atr", symbols=symbols, how=how)
        return annotation_labels(rule, found, starts, stops)["x"].tolist()

    assert labels("any", {"x": ["V"]}) == [1, 1, 0, 0]
    assert labels("count", {"x": ["~", "|"]}) == [1, 0, 1, 0]
    share = labels("share", {"x": ["V"]})
    assert share[:2] == [0.5, 1.0]
    assert np.isnan(share[2:]).all()  # there is no beat to have a share of


def test_no_annotation_at_all_knows_no_rhythm():
    nothing = Annotations(np.array([]), np.array([], np.str_), np.array([], np.str_))
    labels = annotation_labels(SegmentRule(**AF), nothing, np.array([0.0]), np.array([5.0]))
    assert np.isnan(labels["af"]).all()
    rule = SegmentRule(**BEATS)
    assert annotation_labels(rule, nothing, np.array([0.0]), np.array([5.0]))["beats_n"] == [0.0]


@pytest.mark.parametrize("damage", [lambda data: data[:-2], lambda data: b"\xff" * 64])
def test_damaged_annotations_leave_the_recording(tmp_path, raw, config, damage):
    file = raw / "201.atr"
    file.write_bytes(damage(file.read_bytes()))
    report = ingest(config(raw, BEATS, AF), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert len(store) == 9
    assert len(store.record_labels) == 0
    assert report.labels_unreadable == dict.fromkeys([*AAMI, "af"], 1)


def test_a_recording_without_the_file_has_no_labels(tmp_path, raw, config):
    for ending in ("hea", "dat"):
        shutil.copy(raw / f"201.{ending}", raw / f"300.{ending}")
    header = raw / "300.hea"
    header.write_text(header.read_text().replace("201", "300"))
    report = ingest(config(raw, BEATS), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert (len(store), len(store.record_labels)) == (18, 9)
    assert report.labels_unreadable == {}
    with pytest.raises(IngestError, match="none of 2 recordings has a file beside it"):
        ingest(config(raw, BEATS | {"annotations": "art"}), tmp_path / "other")


def test_a_rule_may_come_later_than_the_recordings(tmp_path, raw, config):
    ingest(config(raw), tmp_path / "store")
    report = ingest(config(raw, BEATS), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert (report.records, report.already_stored, report.version) == (0, 3, 2)
    assert store.record_labels["beats_s"].sum() == 6
    again = ingest(config(raw, BEATS), tmp_path / "store")
    assert (again.version, again.label_conflicts) == (2, {})
    wfdb.wrann("201", "atr", np.array([10]), symbol=["V"], write_dir=str(raw))
    changed = ingest(config(raw, BEATS), tmp_path / "store")
    assert changed.records == 0  # the same signal, so no record of a new name
    assert changed.label_conflicts["beats_n"] == 9
    assert Store.open(tmp_path / "store").record_labels["beats_s"].sum() == 6


def test_labels_do_not_depend_on_workers(tmp_path, raw, config):
    for name in ("300", "301"):
        for ending in ("hea", "dat", "atr"):
            shutil.copy(raw / f"201.{ending}", raw / f"{name}.{ending}")
        header = raw / f"{name}.hea"
        header.write_text(header.read_text().replace("201", name))
    one = ingest(config(raw, BEATS), tmp_path / "one")
    two = ingest(config(raw, BEATS, workers=2, files_per_task=1), tmp_path / "two")
    assert one.digest == two.digest
    assert len(Store.open(tmp_path / "two").record_labels) == 27


def test_a_label_of_segments_is_a_target_of_records(tmp_path, raw, config):
    ingest(config(raw, BEATS, AF), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    names, people = store.column("record"), store.column("participant")
    units = gather_units(
        Embeddings(names, people, store.column("session"), np.zeros((len(store), 2))), "record"
    )
    for target, expected in (
        (Target(name="af", kind="binary", column="af", level="record"), 8),
        (Target(name="V", kind="regression", column="beats_v", level="record"), 9),
    ):
        labels, disagree = unit_labels(target, units, store.participants, store.record_labels)
        truth = target.truth(labels)
        assert (len(truth.units), disagree) == (expected, 0)
        assert set(truth.units) <= set(names)


SERIES = {
    "level": "segment", "time": "Time [s]", "columns": {"hr": "HR", "spo2": "SpO2"},
    "series": {"pattern": r"_Signals\.csv$", "replace": "_Numerics.csv"},
}  # fmt: skip


@pytest.fixture
def monitor(tmp_path, text_config):
    """A signal of 10 s beside a table with one row a second, names with leading spaces."""
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "p_1_Signals.csv").write_text("PLETH\n" + "0.5\n0.7\n" * 500)
    rows = ["Time [s], HR, SpO2", *(f"{second},{60 + second}, 98" for second in range(10))]
    rows[4] = "3,NaN,"
    (folder / "p_1_Numerics.csv").write_text("\n".join(rows) + "\n")
    config = text_config(
        folder, include="*_Signals.csv", channels="PLETH", layout="columns", header=True,
        labels=SERIES, participant={"pattern": r"(?P<participant>p)_"},
    )  # fmt: skip
    return folder, config


def test_series_are_averaged_over_each_segment(tmp_path, monitor):
    _, config = monitor
    report = ingest(config, tmp_path / "store")
    found = by_start(Store.open(tmp_path / "store"))
    assert report.ledger == {}
    assert found["hr"].tolist() == [60.5, 62.0, 64.5, 66.5, 68.5]
    assert found["spo2"].tolist() == [98.0] * 5


def test_a_table_of_series_is_no_recording(tmp_path, monitor):
    _, config = monitor
    source = config.sources[0].model_copy(update={"include": ("*.csv",)})
    report = ingest(config.model_copy(update={"sources": (source,)}), tmp_path / "store")
    assert (report.sources["ppg"].recordings, report.ledger) == (1, {})


@pytest.mark.parametrize(
    ("old", "new", "unreadable"),
    [
        ("5,65, 98", "5,high, 98", {"hr": 1}),
        ("5,65, 98", "soon,65, 98", {"hr": 1, "spo2": 1}),
        (" SpO2", " SPO2", {"spo2": 1}),
        ("Time [s]", "t", {"hr": 1, "spo2": 1}),
    ],
)
def test_what_a_table_does_not_hold_is_counted(tmp_path, monitor, old, new, unreadable):
    folder, config = monitor
    table = folder / "p_1_Numerics.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))
    report = ingest(config, tmp_path / "store")
    assert report.labels_unreadable == unreadable
    assert report.records == 5


def test_a_span_without_values_has_no_label(tmp_path):
    (tmp_path / "r_Numerics.csv").write_text("Time [s],HR,SpO2\n9,60,97\n1,,\n2,50,\n")
    starts = np.array([0.0, 2.0, 9.0])
    labels, unreadable = segment_labels(
        [SegmentRule(**SERIES)], "r_Signals.csv", folder=tmp_path, starts=starts, stops=starts + 2
    )
    np.testing.assert_array_equal(labels["hr"], [np.nan, 50, 60])
    np.testing.assert_array_equal(labels["spo2"], [np.nan, np.nan, 97])
    assert not +unreadable


def test_labels_outside_the_folder_are_not_read(tmp_path):
    inside = tmp_path / "raw"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("Time [s],HR,SpO2\n0,60,97\n")
    (inside / "r_Numerics.csv").symlink_to(tmp_path / "secret.csv")
    labels, unreadable = segment_labels(
        [SegmentRule(**SERIES)], "r_Signals.csv", folder=inside, starts=np.zeros(1),
        stops=np.ones(1),
    )  # fmt: skip
    assert np.isnan(labels["hr"]).all()
    assert unreadable == {"hr": 1, "spo2": 1}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"level": "segment"}, "labels of segments need either"),
        (BEATS | {"rhythms": AF["rhythms"]}, "labels of segments need either"),
        (BEATS | {"how": "mean"}, "how: mean does not fit; choose from count, any, share"),
        (AF | {"how": "count"}, "choose from any, share"),
        (BEATS | {"symbols": {"noise": ["~"]}, "how": "share"}, "mark no beats"),
        (BEATS | {"symbols": {"has_x": ["N"]}}, "column names of the store"),
        (BEATS | {"symbols": {"x": []}}, "nothing to look for"),
        (BEATS | {"symbol": "aami"}, "did you mean symbols"),
        (SERIES | {"time": None}, "labels of segments need either"),
        ({"comments": {"beats_n": "Age"}}, "two levels"),
    ],
)
def test_rules_that_cannot_be_meant(tmp_path, config, rule, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, rule, BEATS) if "comments" in rule else config(tmp_path, rule)
