from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import StageError
from medssl.evaluation.embeddings import EMBEDDING, METADATA_KEY, Embeddings


def make(n: int, d: int, seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    return Embeddings(
        np.array([f"r{i}" for i in range(n)]),
        rng.choice(["p1", "p22", "p3"], size=n),
        rng.choice(["s1", "s2"], size=n),
        rng.normal(size=(n, d)),
        {"store": "abc"},
    )


@pytest.mark.parametrize("n", [0, 1, 50])
def test_file_gives_back_what_was_written(tmp_path: Path, n: int) -> None:
    written = make(n, 7)
    written.write(tmp_path / "e.parquet")
    read = Embeddings.read(tmp_path / "e.parquet")
    for name in ("records", "participants", "sessions", "values"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert read.metadata == {"store": "abc"}
    assert read.values.dtype == np.float32
    assert pq.read_schema(tmp_path / "e.parquet").field(EMBEDDING).type.list_size == 7


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1000))
def test_participant_means_equal_a_loop(n: int, seed: int) -> None:
    embeddings = make(n, 3, seed)
    names, means, counts = embeddings.participant_table()
    assert names.tolist() == sorted(set(embeddings.participants.tolist()))
    for name, mean, count in zip(names, means, counts, strict=True):
        own = embeddings.values[embeddings.participants == name].astype(np.float64)
        np.testing.assert_allclose(mean, own.mean(axis=0), rtol=1e-12)
        assert count == len(own)


def test_non_finite_values_are_refused() -> None:
    with pytest.raises(StageError, match="1 of 2 embeddings are not finite"):
        Embeddings(["a", "b"], ["p", "p"], ["s", "s"], [[1.0], [np.nan]])


def test_columns_must_belong_together() -> None:
    with pytest.raises(StageError, match="different lengths"):
        Embeddings(["a"], ["p", "p"], ["s", "s"], [[1.0], [2.0]])
    with pytest.raises(StageError, match="two embeddings"):
        Embeddings(["a", "a"], ["p", "p"], ["s", "s"], [[1.0], [2.0]])
    with pytest.raises(StageError, match="shape"):
        Embeddings(["a"], ["p"], ["s"], [1.0])


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="cannot read embeddings"):
        Embeddings.read(tmp_path / "absent.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(StageError, match="not an embeddings file"):
        Embeddings.read(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(StageError, match="cannot read embeddings"):
        Embeddings.read(tmp_path / "text.parquet")


def test_newer_files_ask_for_an_upgrade(tmp_path: Path) -> None:
    make(3, 2).write(tmp_path / "e.parquet")
    table = pq.read_table(tmp_path / "e.parquet")
    head = {METADATA_KEY: b'{"version": 99, "metadata": {}}'}
    pq.write_table(table.replace_schema_metadata(head), tmp_path / "new.parquet")
    with pytest.raises(StageError, match="upgrade medssl"):
        Embeddings.read(tmp_path / "new.parquet")


def test_take_keeps_rows_together() -> None:
    embeddings = make(10, 2)
    taken = embeddings.take(np.array([7, 1]))
    assert taken.records.tolist() == ["r7", "r1"]
    np.testing.assert_array_equal(taken.values, embeddings.values[[7, 1]])
