from __future__ import annotations

import numpy as np
import pytest
import yaml

from medssl.config import validate
from medssl.ingest import IngestConfig, ingest
from medssl.initialise.listing_tables import find_listing
from medssl.initialise.participants import tell_participants
from medssl.initialise.tables import Table

PATHS = [f"waves/{k}.csv" for k in range(10)]


def table(names, path="t.csv", **columns):
    rows = [{"file": name, **{key: cells[k] for key, cells in columns.items()}}
            for k, name in enumerate(names)]  # fmt: skip
    return Table(path, 1, tuple(rows), "a table")


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (PATHS, "t.csv"),
        ([path.removesuffix(".csv") for path in PATHS], "t.csv"),
        ([path.replace("/", "\\") for path in PATHS], "t.csv"),
        ([f"../{path}" for path in PATHS], "meta/t.csv"),
        ([f"{k}.csv" for k in range(10)], "waves/t.csv"),
        (PATHS[:9], "t.csv"),
        ([*PATHS[:9], "lost.csv"], "t.csv"),
    ],
)
def test_a_listing_is_told_as_ingest_reads_it(names, path):
    found = find_listing(PATHS, [table(names, path)])
    assert found.config == {"table": path, "file": "file"}
    assert set(found.rows) == set(PATHS[: len(found.rows)])
    assert len(found.rows) >= 9


@pytest.mark.parametrize(
    "names",
    [
        PATHS[:8],  # too few
        [*PATHS, PATHS[0]],  # several rows for one recording: events, not recordings
        [*PATHS, "lost.csv", "lost.csv"],
        [*PATHS, ""],
        [f"{k}.csv" for k in range(10)],  # names in another folder
        [str(k) for k in range(10)],
    ],
)
def test_tables_that_ingest_would_not_take_are_no_listings(names):
    assert find_listing(PATHS, [table(names)]) is None


def test_participants_are_taken_from_a_listing_only_where_nothing_else_tells_them():
    people = [f"H{k}" for k in range(10)]
    told = tell_participants(PATHS, [table(PATHS, patient_id=people)], None)
    assert told.by_manifest
    assert told.chosen.rule.told == tuple(people)
    assert tell_participants(PATHS, [table(PATHS, who=people)], None).chosen is None
    paths = [f"Subject_{k // 2}/{k}.csv" for k in range(10)]
    named = tell_participants(paths, [table(paths, ward=list("ABABABABAB"))], None)
    assert not named.by_manifest
    assert named.listing is not None
    twofold = tell_participants(
        paths, [table(paths, patient_id=[f"H{k // 5}" for k in range(10)])], None
    )
    assert twofold.chosen is None  # names and table disagree


def study(folder, write_csv, heading="patient_id"):
    """12 recordings that a table in another folder lists, all but the last."""
    lines = [f"path,{heading},age,sex"]
    for k in range(12):
        wave = np.sin(np.arange(2000) / (15 + k)) ** 3
        name = f"{k * 7919 % 1000:03d}x.csv"
        write_csv(folder / "waves" / name, {"ppg": wave, "other": wave**2})
        lines += [f"../waves/{name},H{k},{30 + k},{'FM'[k % 2]}"] if k < 11 else []
    (folder / "meta").mkdir()
    (folder / "meta" / "files.csv").write_text("\n".join(lines) + "\n")


def test_a_manifest_is_written_and_ingested(tmp_path, write_csv, init):
    study(tmp_path / "study", write_csv)
    said = init(tmp_path / "study", "channels=ppg", "units=au", "rate_in=100")
    assert "11 participants with 1 recording each (column 'patient_id' of a table" in said
    assert "1 recording match no participant" in said
    stage = yaml.safe_load((tmp_path / "out.yaml").read_text())["stages"]["ingest"]
    assert stage["sources"][0]["manifest"] == {
        "table": "meta/files.csv", "file": "path", "participant": "patient_id",
        "level": "participant", "labels": {"age": "age", "sex": "sex"},
        "values": {"sex": {"M": "M", "F": "F"}},
    }  # fmt: skip
    config = validate(IngestConfig, stage | {"quality": False, "workers": 1}, where="ingest")
    report = ingest(config, tmp_path / "store")
    assert (report.participants, report.ledger["not_listed"]) == (11, 1)
    assert report.participants_without_labels == 0


def test_a_listing_that_tells_nobody_is_a_comment(tmp_path, write_csv, init):
    study(tmp_path / "study", write_csv, heading="ward")
    init(tmp_path / "study", "channels=ppg", "units=au", "rate_in=100", "participant=file")
    text = (tmp_path / "out.yaml").read_text()
    assert "# A table lists 11 of 12 recordings. As a manifest it leaves out the others:" in text
    line = next(line for line in text.splitlines() if "# manifest: " in line)
    source = yaml.safe_load(text)["stages"]["ingest"]["sources"][0]
    source |= yaml.safe_load(line.split("# ")[1])
    assert source["manifest"] == {"table": "meta/files.csv", "file": "path"}
    report = ingest(
        validate(IngestConfig, {"sources": [source], "quality": False}, where="ingest"),
        tmp_path / "store",
    )
    assert (report.participants, report.ledger["not_listed"]) == (11, 1)
