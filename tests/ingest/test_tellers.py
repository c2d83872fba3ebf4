"""Participants, sessions and sites that paths do not tell alone: comments, sidecars, aliases."""

from __future__ import annotations

import pytest

from medssl.errors import ConfigError
from medssl.ingest import ingest
from medssl.ingest.discover import discover
from medssl.ingest.ledger import Reason
from medssl.store import Store

SIDECAR = {"pattern": r"_1\.txt$", "replace": "_Fix.txt"}


def find(config):
    return discover(config.sources[0], position=0, key="k")


def reasons(found):
    return {row.path: (row.reason, row.detail) for row in found.ledger}


@pytest.fixture
def beside(tmp_path, write_row):
    """Four recordings; three of them have a sidecar."""
    folder = tmp_path / "raw"
    texts = {
        "a": "ID: s1\nAge: 40\nno colon",
        "b": "ID: s1\nAge: 90+",
        "c": "\ufeffID: s2\nAge: NaN",
    }
    for number, name in enumerate(("a", "b", "c", "d")):
        write_row(folder / f"{name}_1.txt", seed=number)
        if name in texts:
            (folder / f"{name}_Fix.txt").write_text(texts[name], encoding="utf-8")
    return folder


def test_a_comment_of_the_sidecar_tells_the_participant_and_labels(tmp_path, beside, text_config):
    config = text_config(
        beside, sidecar=SIDECAR, participant={"comment": "ID"},
        session={"pattern": "(?P<session>.)_"},
        labels={"level": "record", "comments": {"age": "Age"}, "replace": {"age": {"90+": 90}}},
    )  # fmt: skip
    found = find(config)
    assert set(found.originals) == {"s1", "s2"}
    assert [task.files for task in found.tasks] == [
        (f"{name}_1.txt", f"{name}_Fix.txt") for name in "abc"
    ]
    assert reasons(found) == {"d_1.txt": (Reason.NO_PARTICIPANT, "")}
    report = ingest(config, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert (report.participants, report.records, report.stored_files) == (2, 3, 6)
    assert sorted(store.record_labels["age"]) == [40.0, 90.0]
    # A corrected sidecar is another source: the recording is read again.
    (beside / "c_Fix.txt").write_text("ID: s2\nAge: 50")
    assert ingest(config, tmp_path / "store").already_stored == 4


def test_a_sidecar_that_is_no_text_is_a_verdict(beside, text_config):
    (beside / "a_Fix.txt").write_bytes(b"ID: \xff\xfe")
    (beside / "b_Fix.txt").write_bytes(b"ID: 1\n" * 200_000)
    found = find(text_config(beside, sidecar=SIDECAR, participant={"comment": "ID"}))
    assert reasons(found)["a_1.txt"][0] is Reason.UNREADABLE_TEXT
    assert reasons(found)["b_1.txt"][0] is Reason.CLAIMS_TOO_LARGE


def test_a_header_comment_tells_the_participant(tmp_path, write_record, wfdb_config):
    for name, who in (("a", "7"), ("b", "7"), ("c", "8"), ("d", "")):
        write_record(tmp_path / "raw", name, seconds=2, comments=[f"Subject: {who}"])
    found = find(wfdb_config(tmp_path / "raw", participant={"comment": "Subject"}))
    assert set(found.originals) == {"7", "8"}
    assert [task.path for task in found.tasks] == ["a.hea", "b.hea", "c.hea"]
    assert reasons(found)["d.hea"] == (Reason.NO_PARTICIPANT, "")


def test_one_person_under_two_names(tmp_path, write_record, wfdb_config):
    """mitdb: records 201 and 202 are one person, whose label may stand under either name."""
    for name in ("201", "202", "203"):
        write_record(tmp_path / "raw", name, seconds=2)
    (tmp_path / "raw" / "t.csv").write_text("id,age\n202,68\n203,43\n")
    config = wfdb_config(
        tmp_path / "raw",
        participant={"pattern": r"(?P<participant>\d+)\.hea", "aliases": {202: 201}},
        labels={"table": "t.csv", "key": "id", "columns": {"age": "age"}},
    )
    report = ingest(config, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    assert report.participants == 2
    assert sorted(store.participants["age"]) == [43.0, 68.0]
    assert sorted(store.links.values()) == ["201", "203"]


def test_recordings_of_nobody_known_are_participants_and_the_report_says_so(
    tmp_path, write_record, wfdb_config
):
    for name in ("x/1", "y/1"):
        folder, _, stem = name.partition("/")
        write_record(tmp_path / "raw" / folder, stem, seconds=2)
    report = ingest(
        wfdb_config(tmp_path / "raw", participant={"each_recording": True}), tmp_path / "store"
    )
    assert report.participants == 2
    assert report.assumed_participants == ("ecg",)


def test_the_path_tells_the_site(tmp_path, write_record, wfdb_config):
    for name in ("E01", "HR1", "Q01"):
        write_record(tmp_path / "raw", name, seconds=2)
    rule = {"pattern": r"(?P<site>[A-Z]+)\d+\.hea", "values": {"E": "Georgia", "HR": "PTB-XL"}}
    config = wfdb_config(tmp_path / "raw", site=rule)
    assert [task.site for task in find(config).tasks] == ["Georgia", "PTB-XL", None]
    ingest(config, tmp_path / "store")
    sites = Store.open(tmp_path / "store").column("site")
    assert sorted(site or "" for site in sites) == ["", "Georgia", "PTB-XL"]
    plain = find(wfdb_config(tmp_path / "raw", site="north", device="D"))
    assert {(task.site, task.device) for task in plain.tasks} == {("north", "D")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"participant": {"comment": "ID"}}, "no header comments: name a sidecar"),
        ({"participant": {"comment": "ID", "from_parent": True}}, "one of pattern"),
        ({"participant": {"from_parent": True, "aliases": {"a": "b", "b": "c"}}}, "on both sides"),
        ({"sidecar": {"pattern": "(", "replace": ""}}, "no regular expression"),
        ({"sidecar": {"pattern": "a", "replace": r"\g<x>"}}, "no regular expression"),
        ({"site": {"pattern": "x"}}, "P<site>"),
        ({"time_unit": "ms"}, "about a time_column"),
    ],
)
def test_rules_that_cannot_be_meant(tmp_path, text_config, changes, message):
    with pytest.raises(ConfigError, match=message):
        text_config(tmp_path, **changes)


def test_variables_in_the_path(tmp_path, write_row, text_config, monkeypatch):
    write_row(tmp_path / "raw" / "a_1.txt")
    source = text_config("${MEDSSL_TEST_DATA}/raw").sources[0]
    monkeypatch.setenv("MEDSSL_TEST_DATA", str(tmp_path))
    assert source.folder() == (tmp_path / "raw").resolve()
    monkeypatch.delenv("MEDSSL_TEST_DATA")
    with pytest.raises(Exception, match="MEDSSL_TEST_DATA in its path is not set: export"):
        source.folder()
