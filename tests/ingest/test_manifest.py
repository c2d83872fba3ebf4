"""Manifests: in place of folder rules, and beside them."""

from __future__ import annotations

import openpyxl
import pandas as pd
import pytest

from medssl.errors import ConfigError, IngestError
from medssl.ingest import ingest
from medssl.ingest.discover import discover
from medssl.ingest.ledger import Reason
from medssl.store import Store

ROWS = [
    {"path": "x/1.txt", "who": "anna", "visit": "day", "where": "north", "with": "A", "age": 40},
    {"path": "x/2", "who": "anna", "visit": "night", "where": "north", "with": "B", "age": 40},
    {"path": r".\y\1.txt", "who": "ben", "visit": "day", "where": "south", "with": "", "age": 51},
]
RULE = {"table": "files.csv", "file": "path", "participant": "who"}


@pytest.fixture
def raw(tmp_path, write_row):
    folder = tmp_path / "raw"
    for number, name in enumerate(("x/1.txt", "x/2.txt", "y/1.txt")):
        write_row(folder / name, seed=number)
    pd.DataFrame(ROWS).to_csv(folder / "files.csv", index=False)
    return folder


@pytest.fixture
def find(text_config, raw):
    def build(**changes):
        options = {"participant": None, "manifest": RULE} | changes
        return discover(text_config(raw, **options).sources[0], position=0, key="k")

    return build


def reasons(found):
    return {row.path: (row.reason, row.detail) for row in found.ledger}


def test_a_manifest_in_place_of_rules(find):
    rule = RULE | {"session": "visit", "site": "where", "device": "with"}
    tasks = find(manifest=rule).tasks
    assert [(t.path, t.session, t.site, t.device) for t in tasks] == [
        ("x/1.txt", "day", "north", "A"),
        ("x/2.txt", "night", "north", "B"),
        ("y/1.txt", "day", "south", None),
    ]
    assert tasks[0].participant == tasks[1].participant != tasks[2].participant


@pytest.mark.parametrize("suffix", ["csv", "tsv", "xlsx", "parquet"])
def test_every_format_of_a_table(find, raw, suffix):
    frame = pd.DataFrame(ROWS).assign(who=[7, 7, 12])
    path = raw / f"files2.{suffix}"
    if suffix == "parquet":
        frame.assign(who=[7.0, 7.0, 12.0]).to_parquet(path)
    elif suffix == "xlsx":
        book = openpyxl.Workbook()
        for row in [list(frame), *frame.itertuples(index=False, name=None)]:
            book.active.append(row)
        book.save(path)
    else:
        frame.to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
    found = find(manifest=RULE | {"table": path.name})
    assert set(found.originals) == {"7", "12"}
    assert len(found.tasks) == 3


def test_files_without_a_row_and_rows_without_a_file_are_rows_of_the_ledger(
    tmp_path, raw, write_row, text_config
):
    write_row(raw / "y/9.txt")
    (raw / "notes.pdf").write_text("x")
    with (raw / "files.csv").open("a") as file:
        file.write("y/404.txt,ben,,,,\nnotes.pdf,ben,,,,\n")
    config = text_config(raw, participant=None, manifest=RULE)
    report = ingest(config, tmp_path / "store")
    assert report.ledger == {"missing_file": 1, "not_a_recording": 2, "not_listed": 1}
    assert (report.files, report.stored_files) == (7, 3)
    rows = {r["path"]: r for r in Store.open(tmp_path / "store").ledger.to_pylist()}
    assert rows["y/404.txt"]["source_digest"] == ""
    assert rows["y/9.txt"]["reason"] == "not_listed"
    again = ingest(config, tmp_path / "store")
    assert (again.already_stored, again.records) == (3, 0)


def test_a_rule_that_says_the_same_is_welcome_and_one_that_does_not_is_a_verdict(find, raw):
    rule = {"pattern": r"^(?P<participant>[xy])/"}
    text = (raw / "files.csv").read_text().replace("anna", "x").replace("ben", "x")
    (raw / "files.csv").write_text(text)
    found = find(participant=rule)
    assert reasons(found)["y/1.txt"] == (Reason.RULES_DISAGREE, "two values for the participant")
    assert [task.path for task in found.tasks] == ["x/1.txt", "x/2.txt"]
    agreed = find(participant=rule | {"aliases": {"y": "x"}})
    assert len(agreed.tasks) == 3
    sessions = find(session={"pattern": r"(?P<session>\d)"}, manifest=RULE | {"session": "visit"})
    assert {detail for _, detail in reasons(sessions).values()} >= {"two values for the session"}
    (raw / "files.csv").write_text(text.replace("x,night", ",night"))
    assert len(find(participant=rule | {"aliases": {"y": "x"}}).tasks) == 3  # an empty cell agrees
    assert reasons(find())["x/2.txt"][0] is Reason.NO_PARTICIPANT


def test_a_manifest_in_a_folder_may_give_paths_relative_to_itself(find, raw):
    (raw / "files.csv").rename(raw / "x" / "files.csv")
    (raw / "x" / "files.csv").write_text("path,who\n1.txt,anna\n../y/1,ben\nx/2.txt,anna\n")
    found = find(manifest=RULE | {"table": "x/files.csv"})
    assert [task.path for task in found.tasks] == ["x/1.txt", "x/2.txt", "y/1.txt"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,who\nx/1.txt,a\nx/1,b\n", "two rows name x/1.txt"),
        ("path,who\nx/1.txt,a\nx/8,b\nx/8,c\n", "two rows name x/8"),
        ("path,who\n,a\n", "row 2 .* names no file"),
        ("path,name\nx/1.txt,a\n", "no column 'who'"),
        ("path,who\n1.txt,a\n", "names none of 3 recordings"),
    ],
)
def test_manifests_that_contradict_themselves_are_errors(find, raw, content, message):
    (raw / "files.csv").write_text(content)
    with pytest.raises(IngestError, match=message) as error:
        find()
    assert "\n" not in str(error.value)


def test_rows_that_where_leaves_out_name_nothing(find):
    with pytest.raises(IngestError, match="of the rows that `where` takes names none of 3"):
        find(manifest=RULE | {"where": {"who": "nobody"}})


def test_labels_of_a_manifest_at_every_level(tmp_path, raw, text_config):
    text = (raw / "files.csv").read_text().replace("night,north,B,40", "night,north,B,41")
    (raw / "files.csv").write_text(text)
    levels = {"participant": [51.0], "session": [40.0, 41.0, 51.0], "record": [40.0, 41.0, 51.0]}
    for level, expected in levels.items():
        rule = RULE | {"labels": {"age": "age"}, "level": level, "session": "visit"}
        config = text_config(raw, participant=None, manifest=rule)
        report = ingest(config, tmp_path / level)
        store = Store.open(tmp_path / level)
        table = store.participants if level == "participant" else store.record_labels
        assert sorted(table["age"].dropna()) == expected
        # Two ages of one person are a conflict, and never a choice.
        assert report.label_conflicts == ({"age": 1} if level == "participant" else {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest": {"table": "f.csv", "file": "path"}}, "how participants are told apart"),
        (
            {"manifest": {"table": "f", "file": "p", "labels": {"a": "a"}, "level": "participant"},
             "participant": {"from_parent": True}},
            r"labels of level participant need the manifest's column\(s\) \['participant'\]",
        ),
        ({"manifest": RULE | {"values": {"a": {}}}}, "values and infinite belong to labels"),
        (
            {"manifest": RULE | {"session": "v"}, "session": {"comment": "c"},
             "sidecar": {"pattern": "x", "replace": "y"}},
            "both tell sessions",
        ),
        (
            {"manifest": RULE | {"labels": {"age": "age"}},
             "labels": {"table": "t", "key": "k", "columns": {"age": "age"}}},
            "labels at two levels",
        ),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_meant(tmp_path, text_config, changes, message):
    with pytest.raises(ConfigError, match=message):
        text_config(tmp_path, **({"participant": None} | changes))
