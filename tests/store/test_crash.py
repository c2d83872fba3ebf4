"""Kills, full disks and rivals: the store is the old one or the new one."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from medssl.errors import StoreError
from medssl.store import ShardWriter, Store, verify, write_store
from medssl.store import writer as writer_module


@pytest.fixture(scope="module")
def origin(tmp_path_factory, recording, stage):
    folder = tmp_path_factory.mktemp("origin")
    write_store(folder / "store", recording("p1", count=20))
    recordings = [recording(f"p{n}", count=40) for n in range(2, 12)]
    rows = stage(folder / "staging", recordings)
    shutil.copytree(folder / "store", folder / "twin")
    write_store(folder / "twin", [record for records in recordings for record in records])
    return folder, rows


@pytest.fixture
def scene(origin, tmp_path):
    """A store with one version, a staging folder for the second, and what the second should be."""
    folder, rows = origin
    path = shutil.copytree(folder / "store", tmp_path / "store")
    staging = shutil.copytree(folder / "staging", tmp_path / "staging")
    return path, staging, rows, Store.open(folder / "twin")


def check_whole(path: Path, old: Store, new: Store) -> int:
    """The store under `path` is one of the two, and every byte of it is there."""
    store = Store.open(path)
    expected = {old.version: old.digest, new.version: new.digest}
    assert store.digest == expected[store.version]
    np.testing.assert_array_equal(store.read(np.arange(20)), new.read(np.arange(20)))
    problems = verify(path, deep=True)
    assert all("belongs to no version" in problem for problem in problems), problems
    return store.version


def finish(path, staging, rows, whole, add):
    """The next writer clears up and gets the store that an undisturbed one gets."""
    store = add(path, staging, rows)
    assert (store.version, store.digest) == (2, whole.digest)
    assert verify(path, deep=True) == []
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("call", range(14))
def test_killed_at_any_flush(scene, add, in_child, monkeypatch, call):
    """SIGKILL just before each fsync: between any two steps that reach the disk."""
    path, staging, rows, whole = scene
    old = Store.open(path)
    calls = iter(range(1000))
    real = os.fsync

    def fsync(descriptor):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    def work():
        monkeypatch.setattr(os, "fsync", fsync)
        add(path, staging, rows)
        return f"{next(calls)} calls"

    status, said = in_child(work)
    assert os.WIFSIGNALED(status), said
    assert os.WTERMSIG(status) == signal.SIGKILL
    check_whole(path, old, whole)
    finish(path, staging, rows, whole, add)


@pytest.mark.parametrize("moment", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_killed_at_a_random_moment(scene, add, tmp_path, moment):
    path, staging, rows, whole = scene
    old = Store.open(path)
    begun = time.perf_counter()
    add(tmp_path / "timed", shutil.copytree(staging, tmp_path / "copy"), rows)
    duration = time.perf_counter() - begun
    child = os.fork()
    if child == 0:
        try:
            add(path, staging, rows)
        finally:
            os._exit(0)
    time.sleep(duration * moment * random.uniform(0.8, 1.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    check_whole(path, old, whole)
    finish(path, staging, rows, whole, add)


def test_killed_while_writing_shards(tmp_path, recording, in_child):
    def work():
        with ShardWriter(tmp_path / "staging", "b", max_bytes=20_000) as writer:
            for number in range(20):
                writer.add(recording(f"p{number}", count=20))
                if number == 15:
                    os.kill(os.getpid(), signal.SIGKILL)
        return "not killed"

    status, said = in_child(work)
    assert os.WIFSIGNALED(status), said
    whole = [p for p in (tmp_path / "staging").iterdir() if p.suffix == ".tar"]
    partial = [p for p in (tmp_path / "staging").iterdir() if p.suffix == ".partial"]
    assert (len(whole) > 1, len(partial)) == (True, 1)
    assert all(shard.read_bytes().endswith(bytes(1024)) for shard in whole)


def limited(size: int) -> None:
    """No file of this process may grow beyond `size` bytes: a disk that is full, for real."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_full_disk_while_appending(scene, add, in_child, share):
    path, staging, rows, whole = scene
    old = Store.open(path)
    before = sorted(path.rglob("*"))
    largest = max(p.stat().st_size for p in (whole.path / "index" / "v000002").iterdir())

    def work():
        limited(int(share * largest))
        try:
            add(path, staging, rows)
        except StoreError as error:
            return str(error)
        return "stored"

    _, said = in_child(work)
    assert said.startswith(f"cannot write the store at {path} ("), said
    assert "\n" not in said
    assert sorted(path.rglob("*")) == before
    assert check_whole(path, old, whole) == 1
    finish(path, staging, rows, whole, add)


def test_full_disk_while_writing_shards(tmp_path, recording, in_child):
    def work():
        limited(10_000)
        try:
            with ShardWriter(tmp_path / "staging", "b") as writer:
                for number in range(20):
                    writer.add(recording(f"p{number}", count=50))
        except StoreError as error:
            return str(error)
        return "written"

    _, said = in_child(work)
    assert said.startswith("cannot write shard"), said
    assert list((tmp_path / "staging").iterdir()) == []


def test_the_second_of_two_writers_is_refused_at_once(scene, add, monkeypatch):
    path, staging, rows, whole = scene
    inside, proceed = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(proceed[1])  # a parent that fails ends the waiting
        real = writer_module.write_manifest

        def slowly(*arguments):
            os.write(inside[1], b"x")
            os.read(proceed[0], 1)
            real(*arguments)

        try:
            monkeypatch.setattr(writer_module, "write_manifest", slowly)
            add(path, staging, rows)
        finally:
            os._exit(0)
    os.read(inside[0], 1)
    begun = time.perf_counter()
    with pytest.raises(StoreError, match="another process is writing") as caught:
        add(path, staging, rows)
    assert time.perf_counter() - begun < 1
    assert "\n" not in str(caught.value)
    assert len(Store.open(path)) == 20  # readers need no lock
    os.write(proceed[1], b"xx")
    assert os.waitpid(child, 0)[1] == 0
    assert Store.open(path).digest == whole.digest
    assert verify(path, deep=True) == []


def test_the_lock_of_a_killed_writer_is_free(scene, add, in_child, monkeypatch):
    path, staging, rows, whole = scene

    def work():
        def die(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(writer_module, "write_manifest", die)
        add(path, staging, rows)
        return "not killed"

    status, said = in_child(work)
    assert os.WIFSIGNALED(status), said
    assert any("belongs to no version" in problem for problem in verify(path))
    finish(path, staging, rows, whole, add)


def test_any_exception_leaves_the_old_store(scene, add, monkeypatch):
    path, staging, rows, whole = scene
    before = sorted(path.rglob("*"))

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "write_manifest", interrupt)
        with pytest.raises(KeyboardInterrupt):
            add(path, staging, rows)
    assert sorted(path.rglob("*")) == before
    finish(path, staging, rows, whole, add)


def test_a_failure_after_the_commit_keeps_the_new_store(scene, add, monkeypatch):
    """`store.json` is replaced, and flushing its folder fails: nothing may be rolled back."""
    path, staging, rows, whole = scene
    real = writer_module.write_manifest

    def fail_late(target, manifest):
        real(target, manifest)
        if target.parent == path:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "write_manifest", fail_late)
        with pytest.raises(StoreError, match="Input/output error"):
            add(path, staging, rows)
    assert check_whole(path, whole, whole) == 2
    finish(path, staging, rows, whole, add)
