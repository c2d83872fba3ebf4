from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import savemat

from medssl.config import validate
from medssl.errors import IngestError
from medssl.ingest import IngestConfig, ingest
from medssl.store import Store


@pytest.fixture
def config(tmp_path):
    def build(**changes):
        source = {
            "name": "x", "format": "parquet", "path": str(tmp_path / "raw"), "modality": "ecg",
            "rate": 100, "segment_seconds": 2, "channels": ["I"], "units": "mV", "rate_in": 100,
            "recordings": "id", "participant": {"comment": "who"},
        } | changes  # fmt: skip
        return validate(IngestConfig, {"sources": [source], "quality": False}, where="ingest")

    return build


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "id": ["a/1", "a/2", "b", "c", "d"],
        "who": ["p1", "p1", "p2", None, "p3"],
        "visit": ["v1", "v2", "v1", "v1", "v1"],
        "age": [30, 30, 41, 50, 60],
        "I": [rng.normal(size=size).tolist() for size in (400, 600, 200, 400, 50)],
    }
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "raw" / "t.parquet")
    (tmp_path / "raw" / "notes.pdf").write_bytes(b"%PDF")
    return columns


def test_each_row_of_a_table_becomes_a_recording(config, table, tmp_path):
    wanted = config(session={"comment": "visit"}, labels={"comments": {"age": "age"}}, site="here")
    report = ingest(wanted, tmp_path / "store")
    # Five recordings count as five files, beside the paper.
    assert (report.files, report.stored_files, report.records) == (6, 3, 6)
    assert report.ledger == {"no_participant": 1, "not_a_recording": 1, "too_short": 1}
    store = Store.open(tmp_path / "store")
    assert len(set(store.column("recording"))) == 3
    assert len(set(store.column("session"))) == 3
    assert sorted(store.participants["age"]) == [30.0, 41.0]
    first = [np.float32(one) for one in table["I"][0][:200]]
    assert any(np.array_equal(row, first) for row in store.read(np.arange(len(store)))[:, 0])
    again = ingest(wanted, tmp_path / "store")
    assert (again.already_stored, again.records) == (3, 0)
    assert again.digest == report.digest


def test_tables_of_labels_may_name_the_recordings(config, table, tmp_path):
    rule = {"table": "labels.csv", "key": "id", "level": "record", "columns": {"beat": "beat"}}
    (tmp_path / "raw" / "labels.csv").write_text("id,beat\na/1,N\nb,V\n")
    ingest(config(labels=rule), tmp_path / "store")
    labels = Store.open(tmp_path / "store").record_labels
    assert sorted(labels["beat"].dropna()) == ["N", "N", "V"]


def test_patterns_see_the_number_of_a_recording(config, tmp_path):
    (tmp_path / "raw").mkdir()
    cells = np.empty((1, 3), dtype=object)
    for number in range(3):
        cells[0, number] = np.random.default_rng(number).normal(size=(1, 500))
    savemat(tmp_path / "raw" / "part1.mat", {"p": cells})
    found = {"pattern": r"(?P<participant>part\d+\.mat#\d+)$"}
    report = ingest(
        config(format="matlab", recordings="p", variable=".", participant=found),
        tmp_path / "store",
    )
    assert (report.files, report.participants, report.records) == (3, 3, 6)


def test_a_file_that_cannot_be_listed_is_one_row_of_the_ledger(config, table, tmp_path):
    (tmp_path / "raw" / "u.parquet").write_bytes(b"PAR1 and nothing else")
    report = ingest(config(), tmp_path / "store")
    assert report.ledger["unreadable_header"] == 1
    (tmp_path / "raw" / "t.parquet").unlink()
    with pytest.raises(IngestError):
        ingest(config(), tmp_path / "other")
