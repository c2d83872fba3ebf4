from __future__ import annotations

import io
import re
import subprocess
import tarfile
from contextlib import suppress

import numpy as np
import pytest

from medssl.errors import StoreError
from medssl.store import ShardWriter
from medssl.types import Modality


def names(path):
    listing = subprocess.run(["tar", "tf", str(path)], capture_output=True, text=True, check=True)
    assert listing.stderr == ""
    return listing.stdout.split()


def test_tar_lists_and_extracts_what_was_written(tmp_path, recording, other):
    records = recording("p1", count=4)
    scan = other("p1", np.arange(60, dtype=np.uint16).reshape(3, 4, 5))
    with ShardWriter(tmp_path, "part") as writer:
        writer.add(records)
        writer.add([scan])
        writer.add([other("p1", "Größe: normal", recording="r")])
    shard = tmp_path / "part-00000.tar"
    suffixes = [name.split(".", 2)[2] for name in names(shard)]
    assert suffixes == ["ppg.npy", "volume.b2", "report.txt"]
    with tarfile.open(shard) as archive:
        first, _, text = archive.getmembers()
        stack = np.load(io.BytesIO(archive.extractfile(first).read()), allow_pickle=False)
        assert archive.extractfile(text).read().decode() == "Größe: normal"
    np.testing.assert_array_equal(stack, np.stack([record.data for record in records]))


def test_rows_point_at_the_bytes(tmp_path, recording):
    records = recording("p1", count=3) + recording("p2", count=2)
    with ShardWriter(tmp_path, "part") as writer:
        writer.add(records[:3])
        writer.add(records[3:])
        table = writer.close()
    for row, record in zip(table.to_pylist(), records, strict=True):
        data = (tmp_path / row["shard"]).read_bytes()[row["offset"] :][: row["size"]]
        assert data == record.data.tobytes()
        assert row["record"] == record.name
        assert row["content_digest"] == record.content_digest
        assert (row["offset"] % 64, row["added"]) == (0, 0)


def test_member_names_hold_no_raw_names(tmp_path, recording):
    with ShardWriter(tmp_path, "part") as writer:
        writer.add(recording("p1", recording="Doe_Jane_1980", session="visit-Doe"))
    (name,) = names(tmp_path / "part-00000.tar")
    assert re.fullmatch(r"p1\.[0-9a-f]{20}\.ppg\.npy", name)


def test_shards_roll_over_between_members(tmp_path, recording):
    limit = 6000
    with ShardWriter(tmp_path, "part", max_bytes=limit) as writer:
        for number in range(12):
            writer.add(recording(f"p{number}", count=10))
        table = writer.close()
    shards = sorted(tmp_path.glob("*"))
    assert len(shards) > 2
    assert [shard.name for shard in shards] == [f"part-{i:05d}.tar" for i in range(len(shards))]
    assert all(shard.stat().st_size <= limit for shard in shards)
    members = [name for shard in shards for name in names(shard)]
    assert [name.split(".")[0] for name in members] == [f"p{number}" for number in range(12)]
    assert set(table.column("shard").to_pylist()) == {shard.name for shard in shards}


def test_a_record_larger_than_a_shard_gets_its_own(tmp_path, recording):
    with ShardWriter(tmp_path, "part", max_bytes=2048) as writer:
        writer.add(recording("p1", count=1))
        writer.add(recording("p2", count=1, length=4000))
        writer.add(recording("p3", count=1))
    assert len(list(tmp_path.glob("*.tar"))) == 3


def test_the_same_records_give_the_same_bytes(tmp_path, recording, other):
    contents = []
    for name in ("a", "b"):
        with ShardWriter(tmp_path / name, "part") as writer:
            writer.add(recording("p1"))
            writer.add([other("p1", np.arange(4000, dtype=np.int16).reshape(40, 100))])
        contents.append((tmp_path / name / "part-00000.tar").read_bytes())
    assert contents[0] == contents[1]


def test_a_failing_block_leaves_nothing(tmp_path, recording):
    def write():
        with ShardWriter(tmp_path, "part") as writer:
            writer.add(recording("p1"))
            assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_nothing_added_makes_no_shard(tmp_path):
    with ShardWriter(tmp_path, "part") as writer:
        assert len(writer.close()) == 0
    assert list(tmp_path.iterdir()) == []


def test_records_that_cannot_be_stored_are_refused(tmp_path, segment, recording, other):
    good = np.zeros((1, 8), dtype=np.float32)
    bad = {
        "pseudonym": [segment("../p1", good)],
        "at least one record": [],
        "differ in participant": [segment("p1", good), segment("p2", good)],
        "differ in recording": [segment("p1", good), segment("p1", good, recording="x")],
        "differ in shape": [segment("p1", good), segment("p1", good[:, :4], start=1.0)],
        "float32.*int16": [segment("p1", good), segment("p1", good.astype("i2"), start=1.0)],
        "cannot be stored": [segment("p1", np.array([[None, {}]], dtype=object))],
        "complex": [segment("p1", good.astype(complex))],
        "impossible shape": [segment("p1", good[:, :0])],
        "2 dimensions": [segment("p1", np.zeros((1, 2, 3)), channels=("a",))],
        "rate above 0": [segment("p1", good, rate=None)],
        "one name for each channel": [segment("p1", good, channels=("a", "b"))],
        "one by one": [other("p1", "a"), other("p1", "b", recording="y")],
        "not empty": [other("p1", "")],
        "not a NumPy array": [other("p1", "text", modality=Modality.PPG)],
    }
    with ShardWriter(tmp_path, "part") as writer:
        for reason, records in bad.items():
            with pytest.raises(StoreError, match=reason) as caught:
                writer.add(records)
            assert "\n" not in str(caught.value)
        writer.add(recording("p1"))
        with pytest.raises(StoreError, match="added twice"):
            writer.add(recording("p1"))
        assert len(writer.close()) == 3
        with pytest.raises(StoreError, match="closed"):
            writer.add(recording("p2"))


def test_what_is_added_together_is_written_whole(tmp_path, recording):
    with ShardWriter(tmp_path / "a", "part") as writer:
        writer.add(recording("p1"))
        with writer.together():
            writer.add(recording("p2"))
            writer.add(recording("p2", session="s2"))
        together = writer.close()
    with ShardWriter(tmp_path / "b", "part") as writer:
        for records in (recording("p1"), recording("p2"), recording("p2", session="s2")):
            writer.add(records)
        assert together.equals(writer.close())
    shards = [(tmp_path / folder / "part-00000.tar").read_bytes() for folder in "ab"]
    assert shards[0] == shards[1]


def add_and_fail(writer, recording, count):
    with suppress(ZeroDivisionError), writer.together():
        for number in range(count):
            writer.add(recording("p2", session=f"s{number}"))
        raise ZeroDivisionError


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("inside", [0, 1, 2, 7])
def test_a_block_that_raises_leaves_nothing_of_it(tmp_path, recording, before, inside):
    # About three members fill a shard, so that the block closes up to three of them.
    def write(folder, *, fail):
        with ShardWriter(folder, "part", max_bytes=4_000) as writer:
            for number in range(before):
                writer.add(recording("p1", session=f"s{number}"))
            if fail:
                add_and_fail(writer, recording, inside)
            for number in range(4):
                writer.add(recording("p2", session=f"s{number}"))
            return writer.close()

    table = write(tmp_path / "failed", fail=True)
    assert table.equals(write(tmp_path / "smooth", fail=False))
    found, expected = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        for folder in ("failed", "smooth")
    )
    assert found == expected
    assert len(expected) > 1


def test_nothing_at_all_is_left_when_the_first_block_raises(tmp_path, recording):
    with ShardWriter(tmp_path, "part", max_bytes=4_000) as writer:
        add_and_fail(writer, recording, 7)
        assert len(writer.close()) == 0
    assert list(tmp_path.iterdir()) == []
