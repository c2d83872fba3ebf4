from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from medssl.config import validate
from medssl.contracts import WaveformContract
from medssl.errors import ConfigError, IngestError, StoreError
from medssl.ingest import IngestConfig, ingest
from medssl.ingest.batch import process_batch
from medssl.ingest.waveforms.text_reader import read_text
from medssl.store import Store

SAMPLES = {
    "files_per_task": 100,
    "sources": [
        {
            "name": "ppg_bp",
            "format": "text",
            "path": "sample:ppg_bp",
            "include": "0_subject/*.txt",
            "modality": "ppg",
            "rate": 64,
            "rate_in": 1000,
            "segment_seconds": 2,
            "units": "counts",
            "layout": "row",
            "channels": "finger",
            "participant": {"pattern": r"(?P<participant>\d+)_\d\.txt$"},
            "labels": {
                "table": "labels.csv",
                "key": "subject_ID",
                "columns": {"age": "Age(year)", "sex": "Sex(M/F)", "diabetes": "Diabetes"},
                "values": {
                    "sex": {"Male": "M", "Female": "F"},
                    "diabetes": {"": 0, "Diabetes": 1, "Type 2 Diabetes": 1},
                },
            },
        },
        {
            "name": "ecg_id",
            "format": "wfdb",
            "path": "sample:ecg_id",
            "modality": "ecg",
            "rate": 128,
            "segment_seconds": 5,
            "units": "mV",
            "channels": [{"source": "ECG I", "name": "I"}],
            "participant": {"from_parent": True},
            "session": {"comment": "ECG date"},
            "labels": {
                "comments": {"age": "Age", "sex": "Sex"},
                "values": {"sex": {"male": "M", "female": "F"}},
            },
        },
    ],
}


def sample_config(**changes):
    return validate(IngestConfig, SAMPLES | changes, where="ingest")


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "store"
    calls = []
    report = ingest(sample_config(), path, progress=lambda done, total: calls.append((done, total)))
    return report, Store.open(path), calls


def test_samples_give_the_counts_that_their_readme_says(sample_run):
    report, store, _ = sample_run
    assert report.sources["ppg_bp"].model_dump() == {
        "files": 395, "participants": 131, "recordings": 393, "records": 393, "seconds": 786.0,
        "channels": {},
        "encodings": {},
    }  # fmt: skip
    assert report.sources["ecg_id"].model_dump() == {
        "files": 263, "participants": 54, "recordings": 126, "records": 504, "seconds": 2520.0,
        "channels": {},
        "encodings": {},
    }  # fmt: skip
    # Of five recordings the first 2 or 4 s are lost in the published files: blocks of 0xFF.
    assert report.ledger == {"not_a_recording": 3, "wrong_checksum": 10}
    assert len(store.records) == report.records == 897
    # 2,100 samples at 1,000 Hz are 135 at 64 Hz, and a segment takes 128 of them.
    assert report.dropped_seconds == {"tail": round(393 * 7 / 64, 6)}


def test_labels_of_the_samples(sample_run):
    report, store, _ = sample_run
    people = store.participants
    assert (people.loc[people.has_ppg, "sex"] == "M").sum() == 69
    assert people.loc[people.has_ppg, "diabetes"].sum() == 24
    assert people.loc[people.has_ecg, "age"].between(16, 75).all()
    assert people.loc[people.has_ecg, "diabetes"].isna().all()
    assert report.label_conflicts == report.labels_unreadable == {}


def test_participants_23_and_24_share_a_signal_and_both_keep_it(sample_run):
    _, store, _ = sample_run
    rows = store.records.filter(np.asarray(store.column("modality")) == "ppg").to_pandas()
    counts = rows.groupby("content_digest").participant.agg(["size", "nunique"])
    assert (counts["nunique"] == 2).sum() == 1
    assert (counts["size"] == 2).sum() == 4  # the published three pairs, and this one


def test_sessions_follow_the_recording_date(sample_run):
    _, store, _ = sample_run
    rows = store.records.to_pandas()
    sessions = rows.groupby(["modality", "participant"]).session.nunique()
    assert (sessions["ppg"] == 1).all()
    assert (sessions["ecg"] > 1).sum() == 9


def test_values_come_through_in_units_at_the_right_time(sample_run):
    _, store, _ = sample_run
    contract = store.contract("ecg")
    assert isinstance(contract, WaveformContract)
    assert (contract.rate, contract.channels, contract.units) == (128.0, ("I",), "mV")
    segments = store.read(store.rows(modality="ppg"))
    assert segments.dtype == np.float32
    assert 1000 < segments.min() < segments.max() < 4300


def test_no_identifier_of_the_raw_data_reaches_the_records(sample_run):
    _, store, _ = sample_run
    text = store.records.select(["record", "participant", "session", "recording"]).to_pandas()
    joined = "\n".join(text.astype(str).agg(" ".join, axis=1))
    assert "Person" not in joined
    assert "_1" not in joined


def test_quality_separates_good_and_bad_samples(sample_run):
    _, store, _ = sample_run
    quality = store.column("quality")
    assert ((quality >= 0) & (quality <= 1)).all()
    assert 0.5 < np.median(quality) < 1


def test_progress_counts_recordings(sample_run):
    _, _, calls = sample_run
    assert calls[-1] == (524, 524)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_the_digest_does_not_depend_on_workers_or_batches(tmp_path):
    ppg, ecg = SAMPLES["sources"]
    sources = [ppg | {"include": "**/1?_*.txt"}, ecg | {"include": "Person_0*/*.hea"}]
    one = ingest(sample_config(sources=sources), tmp_path / "one")
    two = ingest(sample_config(sources=sources, workers=2, files_per_task=7), tmp_path / "two")
    assert one.records > 60
    assert one == two
    place = ["shard", "offset", "size"]
    tables = [Store.open(tmp_path / name).records.drop_columns(place) for name in ("one", "two")]
    assert tables[0] == tables[1]


def test_a_second_run_finds_everything_stored(tmp_path, write_row, text_config):
    folder = tmp_path / "raw"
    write_row(folder / "a_1.txt", seed=1)
    write_row(folder / "a_2.txt", seed=1)
    (folder / "b_1.txt").write_text("words")
    config = text_config(folder)
    first = ingest(config, tmp_path / "store")
    second = ingest(config, tmp_path / "store")
    assert (first.records, first.already_stored) == (2, 0)
    assert (second.records, second.already_stored, second.version) == (0, 2, 1)
    assert second.digest == first.digest
    assert len(Store.open(tmp_path / "store").ledger) == 1


def test_new_files_are_appended_even_when_their_signal_is_known(tmp_path, write_row, text_config):
    folder = tmp_path / "raw"
    write_row(folder / "a_1.txt", seed=1)
    ingest(text_config(folder), tmp_path / "store")
    write_row(folder / "b_1.txt", seed=1)
    report = ingest(text_config(folder), tmp_path / "store")
    assert (report.records, report.already_stored, report.version) == (1, 1, 2)
    digests = Store.open(tmp_path / "store").column("content_digest")
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_another_recipe_for_a_stored_source_is_refused(tmp_path, write_row, text_config):
    write_row(tmp_path / "raw" / "a_1.txt")
    ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    with pytest.raises(IngestError, match=r"rate 50.0 and not 25.0"):
        ingest(text_config(tmp_path / "raw", rate=25), tmp_path / "store")


def test_a_store_inside_the_raw_folder_is_refused(tmp_path, write_row, text_config):
    write_row(tmp_path / "raw" / "a_1.txt")
    with pytest.raises(IngestError, match="inside the source folder"):
        ingest(text_config(tmp_path / "raw"), tmp_path / "raw" / "store")


def test_segments_with_gaps_are_counted_and_the_others_kept(tmp_path, text_config):
    folder = tmp_path / "raw"
    folder.mkdir()
    values = np.random.default_rng(0).normal(size=1000)
    values[450] = np.nan
    (folder / "a_1.txt").write_text("\t".join(map(str, values)))
    report = ingest(text_config(folder, rate=100), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert store.column("start").tolist() == [0.0, 2.0, 6.0, 8.0]
    assert report.dropped_seconds == {"gaps": 2.0}
    assert report.sources["ppg"].seconds == 8.0
    np.testing.assert_array_equal(
        store.read(store.rows())[:, 0].ravel(), np.delete(values, range(400, 600)).astype("f4")
    )


def test_sources_of_one_cohort_share_participants(tmp_path, write_row):
    write_row(tmp_path / "raw" / "a_1.txt", samples=400)
    source = {
        "format": "text", "path": str(tmp_path / "raw"), "rate": 50, "rate_in": 100,
        "segment_seconds": 2, "units": "counts", "layout": "row", "channels": "0",
        "participant": {"pattern": "(?P<participant>a)_"},
    }  # fmt: skip

    def config(one, two):
        sources = [
            source | {"name": "one", "modality": "ppg", "cohort": one},
            source | {"name": "two", "modality": "ecg", "cohort": two},
        ]
        return validate(IngestConfig, {"sources": sources}, where="ingest")

    for cohorts, people in ((("same", "same"), 1), (("one", "two"), 2)):
        report = ingest(config(*cohorts), tmp_path / f"store{people}")
        assert report.participants == people
        assert report.records == 4
    for cohorts in ((None, None), ("same", None), (None, "same")):
        with pytest.raises(IngestError, match=r"^sources one and two both have 1 .*cohort: NAME"):
            ingest(config(*cohorts), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_conflicting_labels_are_left_empty_and_counted(tmp_path, write_record, wfdb_config):
    for name, age in (("a_1", 40), ("a_2", 41), ("b_1", 50), ("b_2", 50)):
        write_record(tmp_path / "raw", name, comments=[f"Age: {age}"])
    labels = {"comments": {"age": "Age"}}
    report = ingest(wfdb_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    ages = Store.open(tmp_path / "store").participants.age
    assert report.label_conflicts == {"age": 1}
    assert sorted(ages.dropna()) == [50.0]
    assert len(ages) == 2
    assert report.participants_without_labels == 1


def test_a_label_that_contradicts_the_store_does_not_replace_it(
    tmp_path, write_record, wfdb_config
):
    labels = {"comments": {"age": "Age"}}
    write_record(tmp_path / "raw", "a_1", comments=["Age: 40"])
    ingest(wfdb_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    write_record(tmp_path / "raw", "a_2", comments=["Age: 41"])
    report = ingest(wfdb_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    assert report.label_conflicts == {"age": 1}
    assert Store.open(tmp_path / "store").participants.age.tolist() == [40.0]


def test_a_file_that_kills_its_worker_ends_in_the_ledger(
    tmp_path, write_row, text_config, monkeypatch
):
    for number in (3, 4, 5):
        write_row(tmp_path / "raw" / f"p{number}_1.txt", seed=number)
    monkeypatch.setattr("medssl.ingest.run.process_batch", process_or_die)
    config = text_config(tmp_path / "raw", workers=2)
    report = ingest(config, tmp_path / "store")
    assert report.ledger == {"reader_failed": 1}
    assert report.stored_files == 2
    row = Store.open(tmp_path / "store").ledger.to_pylist()[0]
    assert row["path"] == "p4_1.txt"


def process_or_die(context, tasks):
    if any(task.path == "p4_1.txt" for task in tasks):
        os.kill(os.getpid(), signal.SIGKILL)
    return process_batch(context, tasks)


def test_a_reader_bug_is_a_ledger_row(tmp_path, write_row, text_config, monkeypatch):
    def read_or_raise(path, config, *, folder):
        if path.name == "b_1.txt":
            raise ZeroDivisionError
        return read_text(path, config, folder=folder)

    from medssl.ingest.sources import TextSource
    from medssl.ingest.waveforms.readers import READERS

    monkeypatch.setitem(READERS, TextSource, read_or_raise)
    write_row(tmp_path / "raw" / "a_1.txt")
    write_row(tmp_path / "raw" / "b_1.txt")
    report = ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    assert report.ledger == {"reader_failed": 1}
    assert report.records == 1


def test_a_full_disk_is_one_line_and_leaves_the_store_as_it_was(
    tmp_path, write_row, text_config, monkeypatch
):
    write_row(tmp_path / "raw" / "a_1.txt")
    before = ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    write_row(tmp_path / "raw" / "b_1.txt")

    def refuse(self, records):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("medssl.ingest.batch.ShardWriter.add", refuse)
        with pytest.raises(StoreError, match="No space left"):
            ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    assert Store.open(tmp_path / "store").digest == before.digest
    assert not (tmp_path / "store" / ".staging").exists()
    assert ingest(text_config(tmp_path / "raw"), tmp_path / "store").records == 1


def test_what_a_killed_ingest_left_is_removed(tmp_path, write_row, text_config):
    write_row(tmp_path / "raw" / "a_1.txt")
    left = tmp_path / "store" / ".staging" / "deadbeef"
    left.mkdir(parents=True)
    (left / "w-00000.tar.partial").write_bytes(b"x")
    ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    assert not left.exists()


def test_a_running_ingest_is_left_alone(tmp_path, write_row, text_config):
    import filelock

    write_row(tmp_path / "raw" / "a_1.txt")
    other = tmp_path / "store" / ".staging" / "other"
    other.mkdir(parents=True)
    with filelock.FileLock(other.with_suffix(".lock")):
        ingest(text_config(tmp_path / "raw"), tmp_path / "store")
        assert other.exists()


def test_nothing_to_read_is_an_error_that_says_which_line_to_correct(tmp_path, text_config):
    with pytest.raises(IngestError, match="correct path"):
        ingest(text_config(tmp_path / "absent"), tmp_path / "store")
    (tmp_path / "raw").mkdir()
    with pytest.raises(IngestError, match="correct path or include"):
        ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    (tmp_path / "raw" / "x.txt").write_text("1\t2")
    with pytest.raises(IngestError, match="participant: pattern"):
        ingest(text_config(tmp_path / "raw"), tmp_path / "store")


def test_a_label_table_that_matches_nobody_is_an_error(tmp_path, write_row, text_config):
    write_row(tmp_path / "raw" / "a_1.txt")
    (tmp_path / "raw" / "labels.csv").write_text("id,age\n007,30\n")
    labels = {"table": "labels.csv", "key": "id", "columns": {"age": "age"}}
    with pytest.raises(IngestError, match="matches none of 1 participants"):
        ingest(text_config(tmp_path / "raw", labels=labels), tmp_path / "store")
    labels["key"] = "idd"
    with pytest.raises(IngestError, match="no column 'idd'; did you mean id"):
        ingest(text_config(tmp_path / "raw", labels=labels), tmp_path / "store")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_in": None}, "add rate_in"),
        ({"units": None}, "add units"),
        ({"units": "bananas"}, "unknown unit"),
        ({"participant": {}}, "how participants are told apart"),
        ({"participant": {"pattern": r"(\d+)"}}, r"needs a group \(\?P<participant>"),
        ({"participant": {"pattern": "("}}, "not a regular expression"),
        ({"overlap_seconds": 2}, "shorter than segment_seconds"),
        ({"modality": "report"}, "not a waveform"),
        ({"channels": ["a", "a"]}, "same name"),
        ({"labels": {"table": "x.csv"}}, "needs table, key and columns"),
        ({"labels": {"comments": {"age": "Age"}}}, "no header comments"),
        ({"ratein": 3}, "did you mean rate_in"),
    ],
)
def test_configuration_mistakes_are_one_line_each(tmp_path, text_config, changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        text_config(tmp_path, **changes)
    assert "\n" not in str(error.value)


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two sources are called"):
        sample_config(sources=[SAMPLES["sources"][0]] * 2)
