"""Every broken file ends in the ledger with its reason; nothing is lost and nothing crashes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from medssl.errors import IngestError
from medssl.ingest import Reason, ingest
from medssl.ingest.ledger import LedgerRow, ledger_table, nothing_stored
from medssl.store import Store
from medssl.store.schema import LEDGER_SCHEMA


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def broken(tmp_path, write_record, make_heartbeat):
    """A folder with one good recording and every kind of broken one, and what each should give."""
    folder = tmp_path / "raw"
    expected = {}

    def wreck(name, reason, *, files=("hea", "dat"), **options):
        header = write_record(folder, name, **options)
        expected.update({f"{name}.{suffix}": reason for suffix in files})
        return header, header.with_suffix(".dat")

    write_record(folder, "good_1")
    header, _ = wreck("truncated_1", Reason.UNREADABLE_HEADER, files=("hea",))
    header.write_text("truncated_1 1 2")
    expected["truncated_1.dat"] = Reason.ORPHAN_DATA_FILE
    header, _ = wreck("fewer_1", Reason.UNREADABLE_HEADER)
    edit(header, "fewer_1 1", "fewer_1 4")
    _, data = wreck("nodata_1", Reason.MISSING_DATA_FILE, files=("hea",))
    data.unlink()
    _, data = wreck("short_1", Reason.WRONG_BYTE_COUNT)
    data.write_bytes(data.read_bytes()[:-100])
    _, data = wreck("long_1", Reason.WRONG_BYTE_COUNT)
    data.write_bytes(data.read_bytes() + bytes(100))
    nothing = np.full((2500, 1), np.nan)
    wreck("nan_1", Reason.ALL_NAN, signal=nothing)
    header, _ = wreck("units_1", Reason.UNKNOWN_UNITS)
    edit(header, "/mV", "/bananas")
    header, _ = wreck("gain_1", Reason.UNKNOWN_UNITS)
    edit(header, "16 1000.0(0)/mV", "16 0")
    (tmp_path / "secret.dat").write_bytes(bytes(5000))
    header, _ = wreck("escape_1", Reason.PATH_OUTSIDE_FOLDER, files=("hea",))
    edit(header, "escape_1.dat", "../secret.dat")
    expected["escape_1.dat"] = Reason.ORPHAN_DATA_FILE
    header, _ = wreck("absolute_1", Reason.PATH_OUTSIDE_FOLDER, files=("hea",))
    edit(header, "absolute_1.dat", str(tmp_path / "secret.dat"))
    expected["absolute_1.dat"] = Reason.ORPHAN_DATA_FILE
    header, _ = wreck("remote_1", Reason.PATH_OUTSIDE_FOLDER, files=("hea",))
    edit(header, "remote_1.dat", "simplecache::http:evil")
    expected["remote_1.dat"] = Reason.ORPHAN_DATA_FILE
    _, data = wreck("link_1", Reason.PATH_OUTSIDE_FOLDER)
    data.unlink()
    data.symlink_to(tmp_path / "secret.dat")
    header, _ = wreck("huge_1", Reason.CLAIMS_TOO_LARGE)
    edit(header, " 2500", " 5000000000")
    wreck("brief_1", Reason.TOO_SHORT, seconds=1)
    wreck("otherlead_1", Reason.MISSING_CHANNEL, sig_name=["V5"])
    gappy = make_heartbeat(10)[:, None]
    gappy[100::200] = np.nan
    wreck("gaps_1", Reason.GAPS, signal=gappy)
    (folder / "empty_1.hea").touch()
    expected["empty_1.hea"] = Reason.EMPTY_FILE
    (folder / "master_1.hea").write_text("master_1/2 1 250 20\na 10\nb 10\n")
    expected["master_1.hea"] = Reason.MISSING_DATA_FILE
    header, _ = wreck("flac_1", Reason.UNSUPPORTED_FORMAT)
    edit(header, "flac_1.dat 16", "flac_1.dat 516")
    (folder / "twin_1.hea").write_text((folder / "good_1.hea").read_text())
    expected["twin_1.hea"] = Reason.DUPLICATE_SOURCE
    (folder / "_nobody.hea").write_text((folder / "good_1.hea").read_text().replace("good_1", "x"))
    expected["_nobody.hea"] = Reason.NO_PARTICIPANT
    (folder / "alone.dat").write_bytes(bytes(10))
    expected["alone.dat"] = Reason.ORPHAN_DATA_FILE
    for name in ("README.txt", "good_1.atr", "sub/labels.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("words")
        expected[name] = Reason.NOT_A_RECORDING
    return folder, expected


def test_every_broken_wfdb_file_gets_its_reason(tmp_path, broken, wfdb_config):
    folder, expected = broken
    report = ingest(wfdb_config(folder), tmp_path / "store")
    store = Store.open(tmp_path / "store")
    rows = store.ledger.to_pylist()
    assert {row["path"]: row["reason"] for row in rows} == expected
    assert len(rows) == len(expected)
    assert report.stored_files == 2
    assert report.records == 5
    assert report.files == sum(1 for path in folder.rglob("*") if not path.is_dir())
    assert report.files == report.stored_files + len(rows)


def test_the_ledger_holds_no_identifier_in_its_details(tmp_path, broken, wfdb_config):
    folder, expected = broken
    ingest(wfdb_config(folder), tmp_path / "store")
    names = {name.split(".")[0] for name in expected}
    for row in Store.open(tmp_path / "store").ledger.to_pylist():
        assert not any(name in row["detail"] for name in names)
        assert row["source"] == "ecg"
        assert len(row["source_digest"]) in (0, 32)


def test_a_claim_of_10_gb_allocates_nothing(tmp_path, write_record, wfdb_config):
    import tracemalloc

    write_record(tmp_path / "raw", "good_1")
    header = write_record(tmp_path / "raw", "huge_1")
    edit(header, " 2500", " 5000000000")
    ingest(wfdb_config(tmp_path / "raw"), tmp_path / "warm")
    tracemalloc.start()
    ingest(wfdb_config(tmp_path / "raw"), tmp_path / "store")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_every_broken_text_file_gets_its_reason(tmp_path, write_row, text_config):
    folder = tmp_path / "raw"
    write_row(folder / "good_1.txt")
    numbers = [str(value) for value in range(200)]
    expected = {
        "empty_1.txt": (b"", Reason.EMPTY_FILE),
        "binary_1.txt": (os.urandom(64) + b"\x00\xff", Reason.UNREADABLE_TEXT),
        "comma_1.txt": (",".join(numbers).encode(), Reason.UNREADABLE_TEXT),
        "words_1.txt": (b"one\ttwo\tthree", Reason.UNREADABLE_TEXT),
        "ragged_1.txt": (b"1\t2\t3\n4\t5", Reason.UNREADABLE_TEXT),
        "brief_1.txt": ("\t".join(numbers[:150]).encode(), Reason.TOO_SHORT),
        "nan_1.txt": ("\t".join(["nan"] * 200).encode(), Reason.ALL_NAN),
        "holes_1.txt": ("\t".join([*numbers[:99], "", *numbers[100:]]).encode(), Reason.GAPS),
        "nameless.txt": ("\t".join(numbers).encode(), Reason.NO_PARTICIPANT),
    }
    for name, (data, _) in expected.items():
        (folder / name).write_bytes(data)
    report = ingest(text_config(folder, delimiter="tab"), tmp_path / "store")
    rows = Store.open(tmp_path / "store").ledger.to_pylist()
    assert {r["path"]: r["reason"] for r in rows} == {n: why for n, (_, why) in expected.items()}
    assert report.dropped_seconds == {"gaps": 2.0, "too_short": 1.5}


def test_a_run_that_stores_nothing_is_an_error_with_a_remedy(tmp_path, write_row, text_config):
    write_row(tmp_path / "raw" / "a_1.txt", samples=10)
    with pytest.raises(IngestError, match=r"too_short 1.*segment_seconds"):
        ingest(text_config(tmp_path / "raw"), tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_every_reason_has_a_remedy_and_its_code_as_value():
    assert all(reason.remedy.endswith(".") and reason.value == str(reason) for reason in Reason)
    assert len({reason.value for reason in Reason}) == len(Reason)
    assert Reason("all_nan") is Reason.ALL_NAN


def test_ledger_table_is_sorted_and_has_the_schema():
    rows = [
        LedgerRow(source="b", path="x", source_digest="", reason=Reason.GAPS),
        LedgerRow(source="a", path="y", source_digest="", reason=Reason.GAPS),
        LedgerRow(source="a", path="x", source_digest="", reason=Reason.GAPS),
    ]
    table = ledger_table(rows)
    assert table.schema == LEDGER_SCHEMA
    found = list(zip(table["source"].to_pylist(), table["path"].to_pylist(), strict=True))
    assert found == [("a", "x"), ("a", "y"), ("b", "x")]


def test_where_nothing_is_stored_the_commonest_verdict_is_told_with_its_detail():
    def row(path, reason, detail=""):
        return LedgerRow(source="s", path=path, source_digest="", reason=reason, detail=detail)

    rows = [row(f"{n}.txt", Reason.NOT_A_RECORDING) for n in range(9)]
    assert nothing_stored(rows) == "no file gave a record (not_a_recording 9)."
    rows += [row("a", Reason.MISSING_CHANNEL, "none of 2 is called 'II'")] * 2
    rows += [row("b", Reason.MISSING_CHANNEL, "none of 3 is called 'II'")]
    rows += [row("c", Reason.TOO_SHORT, "1 s")]
    said = nothing_stored(rows)
    assert said.startswith(
        "no file gave a record (not_a_recording 9, missing_channel 3, too_short 1). "
        "In 2 of them: none of 2 is called 'II'. "
    )
    assert said.endswith(Reason.MISSING_CHANNEL.remedy)
    assert "\n" not in said
