import numpy as np
import pytest

from medssl.errors import StoreError
from medssl.records import Record
from medssl.reduction.config import ReduceConfig
from medssl.reduction.rules import reduce
from medssl.reduction.selection import Selection
from medssl.store import write_store
from medssl.types import Modality


def record(participant, value, session="s1", quality=None, start=0.0):
    data = np.random.default_rng(value).normal(size=(1, 16)).astype(np.float32)
    return Record(
        participant=participant, session=session, recording=session, modality=Modality.PPG,
        data=data, source_digest=f"{participant}{session}", rate=8.0, channels=("ppg",),
        units="counts", start=start, quality=quality,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return write_store(
        tmp_path / "store",
        [
            record("pa", 1, "s1", 0.9), record("pa", 1, "s2", 0.9), record("pa", 2, "s3", 0.1),
            record("pb", 3, "s1", 0.9), record("pb", 9, "s2", None),
            record("pc", 3, "s1", 0.9), record("pc", 3, "s2", 0.9), record("pc", 5, "s3", 0.9),
        ],
    )  # fmt: skip


def by_name(store, selection):
    table = selection.table.to_pandas()
    table["who"] = store.column("participant") + store.column("session")
    return table.set_index("who")


def test_every_record_left_out_has_a_reason(store):
    selection = reduce(store, ReduceConfig(quality_floor=0.5))
    table = by_name(store, selection)
    assert sorted(table.index[table["keep"]]) == ["pas1", "pbs2", "pcs3"]
    assert table.loc["pas3", "reason"] == "low_quality"
    assert table.loc["pas2", "reason"] == "exact_duplicate"
    assert table.loc["pas2", "keeper"] == table.loc["pas1", "record"]
    assert table.loc["pas2", "distance"] == 0
    assert set(table.loc[["pbs1", "pcs1", "pcs2"], "reason"]) == {"ambiguous_owner"}
    assert selection.counts() == {
        "kept": 3, "low_quality": 1, "exact_duplicate": 1, "ambiguous_owner": 3,
    }  # fmt: skip


def test_rules_can_be_switched_off(store):
    config = ReduceConfig(exact_duplicates=False, across_participants=False)
    assert reduce(store, config).keep.all()


def test_a_keeper_is_always_kept(store):
    selection = reduce(store, ReduceConfig(across_participants=False))
    table = selection.table.to_pandas().set_index("record")
    keepers = table["keeper"].dropna()
    assert len(keepers) == 2  # pa s2 → s1, pc s2 → s1; equal content of two people is left alone
    assert table.loc[keepers, "keep"].all()


def test_round_trip_and_identity(store, tmp_path):
    selection = reduce(store, ReduceConfig(quality_floor=0.5))
    selection.write(tmp_path / "selection.parquet")
    again = Selection.read(tmp_path / "selection.parquet")
    assert again.table.equals(selection.table)
    assert again.digest == selection.digest
    assert again.digest != reduce(store, ReduceConfig()).digest


def test_a_selection_belongs_to_its_store(store, tmp_path):
    other = write_store(tmp_path / "other", [record("pz", 1)])
    with pytest.raises(StoreError, match="run the reduce stage again"):
        reduce(store, ReduceConfig()).rows(other, other.rows())


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    with pytest.raises(StoreError, match="cannot read the selection"):
        Selection.read(tmp_path / "x.parquet")


def test_the_shared_signal_of_the_sample_set_is_left_out(ppg_store):
    selection = reduce(ppg_store, ReduceConfig())
    counts = selection.counts()
    assert counts["ambiguous_owner"] == 2  # one recording each of participants 23 and 24
    assert counts["exact_duplicate"] == 3  # 148, 185, 216
