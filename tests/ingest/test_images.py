"""Images from files to the store, and what is refused on the way."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from medssl.errors import ConfigError, IngestError
from medssl.ingest import ingest
from medssl.ingest.radiographs.fit import fit
from medssl.store import Store, verify

IMAGE = {"format": "image"}


def png(rows, columns, data=b""):
    """A PNG file that claims a size, with data of its own."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.fixture
def run(tmp_path, chest_config):
    def read(*sources, store="store", **top):
        report = ingest(chest_config(tmp_path / "raw", *sources, **top), tmp_path / store)
        return report, Store.open(tmp_path / store)

    return read


def reasons(store):
    return {row["path"]: row["reason"] for row in store.ledger.to_pylist()}


def test_an_image_is_stored_as_displayed_with_its_longer_side_as_told(
    tmp_path, run, write_image, make_grey
):
    write_image(tmp_path / "raw" / "p1" / "a_1.png", make_grey(48, 64))
    report, store = run(IMAGE | {"view": "PA", "device": "ward", "site": "north"})
    (row,) = store.records.to_pylist()
    expected = fit(make_grey(48, 64).astype(np.float32) / 255, edge=32, bits=8)
    np.testing.assert_array_equal(store.read_record(0), expected)
    assert (row["shape"], row["dtype"], row["view"]) == ([24, 32], "|u1", "PA")
    assert (row["site"], row["device"], row["channels"], row["rate"]) == ("north", "ward", [], None)
    assert json.loads(row["display"]) == ["full range"]
    assert (row["study"][0], row["session"][0]) == ("e", "s")
    assert report.studies.model_dump() == {"complete": 0, "images_only": 1, "reports_only": 0}
    assert report.views == {"PA": 1}
    assert verify(store.path, deep=True) == []


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (16, 65535)])
def test_sixteen_bits_go_in_and_come_out_as_asked(tmp_path, run, write_image, bits, white):
    ramp = np.linspace(0, 65535, 32 * 24).reshape(24, 32).round().astype(np.uint16)
    write_image(tmp_path / "raw" / "p1" / "a.png", ramp)
    write_image(tmp_path / "raw" / "p1" / "b.tiff", ramp)
    _, store = run(IMAGE | {"include": ["**/*.png", "**/*.tiff"], "bits": bits})
    for row in range(2):
        stored = store.read_record(row)
        assert (stored.dtype, stored.min(), stored.max()) == (f"u{bits // 8}", 0, white)
        assert np.abs(stored / white - ramp / 65535).max() <= 0.51 / white


def test_files_of_one_study_share_it_and_their_session(tmp_path, run, write_image):
    for seed, name in enumerate(("p1/a_1", "p1/a_2", "p1/b_1", "p2/c_1")):
        write_image(tmp_path / "raw" / f"{name}.png", seed=seed)
    report, store = run(IMAGE)
    frame = store.records.to_pandas()
    assert sorted(frame.groupby("study").size()) == [1, 1, 2]
    assert frame.study.nunique() == frame.session.nunique() == 3
    assert report.studies.images_only == 3
    assert report.views == {"unknown": 4}
    again, _ = run(IMAGE)
    assert (again.already_stored, again.records, again.version) == (4, 0, 1)


def test_a_session_of_its_own_is_not_the_study(tmp_path, run, write_image):
    for seed, name in enumerate(("p1/a_1", "p1/b_1")):
        write_image(tmp_path / "raw" / f"{name}.png", seed=seed)
    _, store = run(IMAGE | {"session": {"from_parent": True}})
    assert len(set(store.column("session"))) == 1
    assert len(set(store.column("study"))) == 2


def test_a_manifest_tells_study_view_time_and_labels(tmp_path, run, write_image, write_text):
    for seed, name in enumerate("abcd"):
        write_image(tmp_path / "raw" / f"{name}.png", seed=seed)
    rows = "a,1,0,Postero-anterior,0,-inf\nb,1,1,LL,10,3.5\nc,2,0,LLD,5,inf\n"
    write_text(tmp_path / "raw" / "list.csv", f"f,who,visit,view,day,crp\n{rows}")
    listed = {
        "table": "list.csv", "file": "f", "participant": "who", "study": ["who", "visit"],
        "view": "view", "time": "day", "labels": {"crp": "crp"}, "infinite": "crp",
    }  # fmt: skip
    report, store = run(IMAGE | {"participant": None, "study": None, "manifest": listed})
    assert report.ledger == {"not_a_recording": 1, "not_listed": 1}
    frame = store.records.to_pandas().merge(store.record_labels, on="record").sort_values("crp")
    assert frame["view"].tolist() == ["PA", "lateral", None]  # a decubitus view has no name here
    assert frame["time"].tolist() == [0, 10, 0]  # from the first of each participant
    assert frame["crp"].tolist() == [-np.inf, 3.5, np.inf]
    assert frame["study"].nunique() == 3


def test_rows_of_a_manifest_may_be_chosen_and_say_the_same_again(
    tmp_path, run, write_image, write_text
):
    for seed, name in enumerate("ab"):
        write_image(tmp_path / "raw" / f"{name}.png", seed=seed)
    write_text(tmp_path / "raw" / "list.csv", "f,who,organ\na,1,chest\na,1,chest\nb,2,head\n")
    listed = {"table": "list.csv", "file": "f", "participant": "who", "where": {"organ": "chest"}}
    source = IMAGE | {"participant": None, "study": None, "manifest": listed}
    report, store = run(source)
    assert (report.records, report.ledger["not_listed"]) == (1, 1)
    assert store.column("study").tolist() == [None]


def test_bad_images_are_rows_of_the_ledger(tmp_path, run, write_image, write_text, make_grey):
    raw = tmp_path / "raw" / "p1"
    good = write_image(raw / "good.png").read_bytes()
    write_text(raw / "cut.png", good[: len(good) // 2])
    write_text(raw / "empty.png", b"")
    write_text(raw / "words.png", b"no image at all")
    write_image(raw / "dot.png", np.zeros((1, 1), np.uint8))
    write_text(raw / "huge.png", png(40_000, 40_000))
    rgb = np.stack([make_grey(seed=seed) for seed in range(3)], axis=-1)
    write_image(raw / "colour.png", rgb)
    write_image(raw / "grey3.png", np.repeat(make_grey()[..., None], 3, axis=-1))
    tracemalloc.start()
    report, store = run(IMAGE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6
    assert reasons(store) == {
        "p1/cut.png": "unreadable_pixels",
        "p1/empty.png": "empty_file",
        "p1/words.png": "unreadable_header",
        "p1/dot.png": "too_small",
        "p1/huge.png": "claims_too_large",
        "p1/colour.png": "wrong_photometric",
    }
    assert report.records == 2
    text = json.dumps([row["detail"] for row in store.ledger.to_pylist()])
    assert not any(name in text for name in ("p1", ".png", "words"))


def test_only_bad_images_are_one_line_and_no_store(tmp_path, run, write_text):
    write_text(tmp_path / "raw" / "p1" / "cut.png", png(24, 24, b"short"))
    with pytest.raises(IngestError, match="no file gave a record .unreadable_pixels 1.") as error:
        run(IMAGE)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store").exists()


def test_another_edge_or_depth_needs_another_store(tmp_path, run, write_image):
    write_image(tmp_path / "raw" / "p1" / "a.png")
    run(IMAGE)
    write_image(tmp_path / "raw" / "p1" / "b.png", seed=1)
    with pytest.raises(IngestError, match=r"shape \[24, 32\] and not \[24, 64\]"):
        run(IMAGE | {"edge": 64})
    with pytest.raises(IngestError, match="dtype .u1 and not <u2"):
        run(IMAGE | {"bits": 16})
    assert run(IMAGE)[0].records == 1


def test_batches_of_any_size_give_the_same_store(tmp_path, run, write_image):
    for seed in range(6):
        write_image(tmp_path / "raw" / f"p{seed % 3}" / f"s{seed}.png", seed=seed)
    alone, _ = run(IMAGE)
    several, _ = run(IMAGE, store="other", files_per_task=1)
    assert alone.digest == several.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "ecg"}, "ecg is not an image"),
        ({"study": {"header": True}}, "header: true is for DICOM"),
        ({"view": "sideways"}, "unknown view 'sideways'"),
        ({"labels": {"findings": "edema"}}, "read from reports"),
        ({"labels": {"level": "segment", "annotations": "atr", "symbols": "aami"}}, "waveforms"),
        ({"study": {"pattern": "(?P<s>.)"}}, r"needs a group \(\?P<study>"),
        ({"study": {"from_parent": True, "each_recording": True}}, "give one of pattern"),
        ({"time": {"pattern": "(?P<time>.)", "header": True}}, "give either pattern"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant(tmp_path, chest_config, changes, message):
    with pytest.raises(ConfigError, match=message):
        chest_config(tmp_path, IMAGE | changes)


def test_a_study_rule_that_matches_nothing_is_an_error(tmp_path, run, write_image):
    write_image(tmp_path / "raw" / "p1" / "a.png")
    with pytest.raises(IngestError, match="the study rule matches none of 1 recordings"):
        run(IMAGE | {"study": {"pattern": r"visit(?P<study>\d)"}})
