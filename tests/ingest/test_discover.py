from __future__ import annotations

import os

import pytest

from medssl.errors import IngestError
from medssl.ingest import ingest
from medssl.ingest.discover import discover
from medssl.ingest.ledger import Reason
from medssl.ingest.listing import list_files, matches
from medssl.store import Store


def find(config):
    return discover(config.sources[0], position=0, key="k")


def reasons(found):
    return {row.path: row.reason for row in found.ledger}


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a.txt", "**/*.txt", True), ("x/y/a.txt", "**/*.txt", True), ("x/a.txt", "*.txt", False),
        ("x/a.txt", "x/*", True), ("x/y/a.txt", "x/*", False), ("x/y/a.txt", "x/**", True),
        ("a1.txt", "a?.txt", True), ("a+.txt", "a+.txt", True), ("aa.txt", "a+.txt", False),
        ("x/A.TXT", "**/*.txt", True), ("x\ny/a.txt", "**/*.txt", True),
    ],
)  # fmt: skip
def test_globs(path, pattern, expected):
    assert matches(path, pattern) is expected


def test_files_are_listed_in_one_order_with_links_unfollowed(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a/9.txt", "0.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert list(list_files(tmp_path)) == [
        ".hidden", "0.txt", "loop", "a/9.txt", "b/1.txt", "b/2.txt",
    ]  # fmt: skip


def test_every_file_is_a_task_or_a_row(tmp_path, write_record, wfdb_config):
    raw = tmp_path / "raw"
    for name in ("a_1", "b_1"):
        write_record(raw, name, seconds=2)
    for name in ("README", "LICENSE.txt", "RECORDS", "a_1.atr", "notes.pdf"):
        (raw / name).write_text("x")
    (tmp_path / "elsewhere.txt").write_text("x")
    (raw / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    (raw / "dangling.txt").symlink_to(raw / "nothing")
    (raw / "folder").symlink_to(tmp_path)
    found = find(wfdb_config(raw))
    named = [file for task in found.tasks for file in task.files]
    assert sorted([*named, *reasons(found)]) == sorted(list_files(raw))
    assert found.files == len(named) + len(found.ledger)
    assert reasons(found)["link.txt"] is Reason.PATH_OUTSIDE_FOLDER
    assert reasons(found)["folder"] is Reason.PATH_OUTSIDE_FOLDER
    assert reasons(found)["dangling.txt"] is Reason.NOT_A_RECORDING


def test_a_signal_file_belongs_to_its_namesake(tmp_path, write_record, wfdb_config):
    header = write_record(tmp_path, "b_1", seconds=2)
    (tmp_path / "a_1.hea").write_text(header.read_text())
    found = find(wfdb_config(tmp_path))
    assert [task.path for task in found.tasks] == ["b_1.hea"]
    assert reasons(found) == {"a_1.hea": Reason.DUPLICATE_SOURCE}


def test_the_folder_tells_the_participant(tmp_path, write_row, text_config):
    for name in ("x/1.txt", "x/2.txt", "y/1.txt", "top.txt"):
        write_row(tmp_path / name)
    config = text_config(tmp_path, participant={"from_parent": True})
    found = find(config)
    assert len({task.participant for task in found.tasks}) == 2
    assert set(found.originals) == {"x", "y"}
    assert reasons(found) == {"top.txt": Reason.NO_PARTICIPANT}


def test_a_table_tells_the_participant(tmp_path, write_row, text_config):
    for name in ("x/1.txt", "x/2.txt", "x/3.txt"):
        write_row(tmp_path / name)
    (tmp_path / "who.csv").write_text("path,person\nx/1.txt,anna\n./x/2,ben\n")
    rule = {"table": "who.csv", "file": "path", "column": "person"}
    found = find(text_config(tmp_path, participant=rule))
    assert set(found.originals) == {"anna", "ben"}
    assert reasons(found) == {
        "x/3.txt": Reason.NO_PARTICIPANT,
        "who.csv": Reason.NOT_A_RECORDING,
    }
    (tmp_path / "who.csv").write_text("path,person\nx/1.txt,anna\nx/1.txt,ben\n")
    with pytest.raises(IngestError, match="two participants"):
        find(text_config(tmp_path, participant=rule))


def test_the_session_comes_from_the_path(tmp_path, write_row, text_config):
    for name in ("a_1.txt", "a_2.txt"):
        write_row(tmp_path / name)
    session = {"pattern": r"_(?P<session>\d)"}
    found = find(text_config(tmp_path, session=session))
    assert [task.session for task in found.tasks] == ["1", "2"]
    assert [task.session for task in find(text_config(tmp_path)).tasks] == ["", ""]


def test_pipes_are_never_opened(tmp_path):
    """Opening a named pipe would wait for ever; a child process could not be asked to give up."""
    import os
    import subprocess
    import sys

    os.mkfifo(tmp_path / "p1_1.hea")
    os.mkfifo(tmp_path / "p1_2.txt")
    code = (
        "import sys\nfrom pathlib import Path\nfrom medssl.errors import MedsslError\n"
        "from medssl.ingest import IngestConfig, ingest\nfrom medssl.initialise import initialise\n"
        "base = dict(path=sys.argv[1], modality='ecg', rate=8, segment_seconds=1, channels=['a'],\n"
        "            units='mV', participant=dict(pattern='(?P<participant>p1)'))\n"
        "sources = [dict(base, name='w', format='wfdb'),\n"
        "           dict(base, name='t', format='text', rate_in=8)]\n"
        "for act in (lambda: ingest(IngestConfig.model_validate(dict(sources=sources)),\n"
        "                           Path(sys.argv[2])),\n"
        "            lambda: initialise(Path(sys.argv[1]), Path(sys.argv[2] + '.yaml'))):\n"
        "    try:\n        act()\n    except MedsslError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(tmp_path.with_name("store"))],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    assert "none of 2 files" in done.stdout
    assert "2 hidden or special" in done.stdout


def test_a_header_in_capitals_is_to_be_renamed(tmp_path, write_record, wfdb_config):
    raw = tmp_path / "raw"
    write_record(raw, "a_1", seconds=2)
    header = write_record(raw, "b_1", seconds=2)
    header.rename(header.with_suffix(".HEA"))
    (raw / "a_1.HEA").write_text((raw / "a_1.hea").read_text())
    ingest(wfdb_config(raw), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    rows = {row["path"]: (row["reason"], row["detail"]) for row in store.ledger.to_pylist()}
    rename = (Reason.UNSUPPORTED_FORMAT, "rename to .hea")
    twin = (Reason.DUPLICATE_SOURCE, "")
    assert rows == {"b_1.HEA": rename, "b_1.dat": rename, "a_1.HEA": twin}


def test_names_that_are_not_utf8_are_rows(tmp_path, write_row, text_config):
    raw = tmp_path / "raw"
    write_row(raw / "a_1.txt")
    for name in (b"J\xfcrgen_1.txt", b"M\xfcller/b_1.txt"):
        path = raw / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("1\t2\n")
    report = ingest(text_config(raw, channels="0"), tmp_path / "store")
    rows = Store.open(tmp_path / "store").ledger.to_pylist()
    assert [row["path"] for row in rows] == ["J\\xfcrgen_1.txt", "M\\xfcller/b_1.txt"]
    assert {row["reason"] for row in rows} == {Reason.UNREADABLE_NAME}
    assert all(row["source_digest"] for row in rows)
    assert report.files == 3
