import os
import signal
import subprocess
import sys

import pytest

from medssl.files import (
    digest_content,
    digest_file,
    digest_json,
    publish_folder,
    replacing,
    write_json,
)


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert "old" in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    code = (
        "import sys, pathlib, time\nfrom medssl.files import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as t:\n"
        "    t.write_text('half'); print('now', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "old" in path.read_text()


def test_digests_depend_on_content_alone(tmp_path):
    (tmp_path / "a").write_bytes(os.urandom(3_000_000))
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes())
    assert digest_file(tmp_path / "a") == digest_file(tmp_path / "b")
    assert digest_json({"a": [1, 2]}) != digest_json({"a": [2, 1]})


def test_the_digest_of_a_folder_follows_names_and_contents(tmp_path):
    folder = tmp_path / "bert"
    absent = digest_content(folder)
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    (folder / "b").write_bytes(b"2")
    first = digest_content(folder)
    (folder / ".cache").write_bytes(b"hidden")
    (folder / "inside").mkdir()
    assert digest_content(folder) == first != absent
    (folder / "a").write_bytes(b"2")
    (folder / "b").write_bytes(b"1")
    assert digest_content(folder) != first
    (folder / "a").rename(folder / "c")
    assert digest_content(folder) != first
    assert digest_content(folder / "b") == digest_file(folder / "b")


def test_a_published_folder_replaces_the_old_one(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(name)
    publish_folder(tmp_path / "new", tmp_path / "old")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new.txt"]
    assert not (tmp_path / "new").exists()
