from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medssl.audit.inputs import AuditInputs
from medssl.errors import ConfigError, StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.targets import Target
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Six participants, two sessions of two records; each session has its own device."""
    generator = np.random.default_rng(0)
    records = [
        Record(
            participant=ParticipantId(f"p{person}"),
            session=f"s{session}",
            recording=f"{person}-{session}-{number}",
            modality=Modality.PPG,
            data=generator.normal(size=(1, 16)).astype(np.float32),
            source_digest="0" * 32,
            rate=16.0,
            channels=("ppg",),
            units="counts",
            site="A" if person < 3 else "B",
            device=f"d{session}",
            source="test",
        )
        for person in range(6)
        for session in range(2)
        for number in range(2)
    ]
    people = pd.DataFrame(
        {"age": [20.0, 30, 40, 50, 60, np.nan], "site": ["x"] * 6, "ward": list("NNNSSS")},
        index=[f"p{person}" for person in range(6)],
    ).rename_axis("participant")
    names = [record.name for record in records]
    labels = pd.DataFrame(
        {"rhythm": ["AF", "AF", "N", "AF"] * 6}, index=pd.Index(names, name="record")
    )
    return write_store(
        tmp_path_factory.mktemp("inputs") / "store", records, participants=people, labels=labels
    )


@pytest.fixture(scope="module")
def inputs(store: Store) -> AuditInputs:
    rows = store.rows()[::-1].copy()  # another order than the store's
    embeddings = Embeddings(
        store.column("record", rows), store.column("participant", rows),
        store.column("session", rows), np.arange(48, dtype=np.float32).reshape(24, 2),
        {"modality": "ppg"},
    )  # fmt: skip
    return AuditInputs(store=store, embeddings=embeddings, rows=rows[:20], splits={"p0": "train"})


def test_people_and_rows_are_those_in_use(inputs: AuditInputs) -> None:
    assert list(inputs.participants.index) == sorted(set(inputs.people.tolist()))
    assert len(inputs.audited) == 24
    np.testing.assert_array_equal(
        inputs.store.column("record", inputs.embedded), inputs.embeddings.records
    )
    assert inputs.labels == ("age", "site", "ward", "rhythm")
    assert inputs.trained_on == ["p0"]
    assert inputs.boundaries == []


def test_what_is_known_of_records_goes_before_what_is_known_of_participants(
    inputs: AuditInputs,
) -> None:
    people = inputs.embeddings.participants
    expected = np.where(np.isin(people, ["p0", "p1", "p2"]), "A", "B")
    np.testing.assert_array_equal(inputs.texts("site"), expected)
    np.testing.assert_array_equal(
        inputs.texts("ward"), np.where(np.isin(people, ["p0", "p1", "p2"]), "N", "S")
    )
    assert set(inputs.texts("rhythm")) == {"AF", "N"}
    assert set(inputs.texts("source")) == {"test"}
    assert set(inputs.texts("study")) == {""}


def test_numbers_are_cut_at_their_thirds_and_gaps_stay_gaps(inputs: AuditInputs) -> None:
    texts = inputs.texts("age")
    of = dict(zip(inputs.embeddings.participants.tolist(), texts.tolist(), strict=True))
    assert of["p5"] == ""
    assert of["p0"] == "20"


def test_groups_hold_for_the_units_whose_records_agree(inputs: AuditInputs) -> None:
    assert inputs.groups("ward")["p1"] == "N"
    device = inputs.groups("device")
    assert device["p0/s1"] == "d1"
    assert "p0" not in device  # two devices
    rhythm = inputs.groups("rhythm")
    assert rhythm["p0/s0"] == "AF"
    assert "p0/s1" not in rhythm
    assert inputs.groups("source") == {}


def test_an_unknown_column_is_named(inputs: AuditInputs) -> None:
    with pytest.raises(ConfigError, match="no label or column 'rythm'; did you mean rhythm"):
        inputs.texts("rythm")


@pytest.mark.parametrize(
    ("target", "count"),
    [
        (Target(name="age", column="age", kind="regression"), 5),
        (Target(name="af", column="rhythm", kind="binary", positive="AF", level="record"), 24),
        (Target(name="af", column="rhythm", kind="binary", positive="AF", level="session"), 6),
    ],
)
def test_labelled_units_have_the_mean_of_their_own_records(
    inputs: AuditInputs, target: Target, count: int
) -> None:
    found = inputs.labelled(target)
    assert len(found.units) == len(found.truth) == len(found.x) == count
    embeddings = inputs.embeddings
    keys = {
        "participant": embeddings.participants,
        "record": embeddings.records,
        "session": np.char.add(np.char.add(embeddings.participants, "/"), embeddings.sessions),
    }[target.level]
    for name, row in zip(found.units.names.tolist(), found.x, strict=True):
        np.testing.assert_allclose(row, embeddings.values[keys == name].mean(axis=0))
    assert found.n_records == np.isin(keys, found.units.names).sum()
    if target.kind == "regression":
        assert found.truth.tolist() == [20, 30, 40, 50, 60]


def test_a_target_without_any_label_has_no_unit(inputs: AuditInputs, store: Store) -> None:
    few = AuditInputs(
        store=store, embeddings=inputs.embeddings.take(inputs.embeddings.participants == "p5"),
        rows=store.rows(), splits={},
    )  # fmt: skip
    found = few.labelled(Target(name="age", column="age", kind="regression"))
    assert (len(found.units), found.n_records) == (0, 0)


def test_records_of_another_store_are_refused(
    tmp_path: Path, make: SimpleNamespace, inputs: AuditInputs
) -> None:
    other = make.store(tmp_path / "other", make.pulses(participants=2))
    wrong = AuditInputs(store=other, embeddings=inputs.embeddings, rows=other.rows(), splits={})
    with pytest.raises(StageError, match="24 embedded records are not in the store"):
        _ = wrong.embedded


def test_reports_have_the_labels_of_their_images(image_text_store: Path) -> None:
    store = Store.open(image_text_store)
    rows = store.rows(modality="report")
    records, people, sessions = (
        store.column(n, rows) for n in ("record", "participant", "session")
    )
    values = np.zeros((len(rows), 2), dtype=np.float32)
    embeddings = Embeddings(records, people, sessions, values)
    inputs = AuditInputs(store=store, embeddings=embeddings, rows=rows, splits={})
    said = [float("No pleural" not in str(store.read_record(int(row)))) for row in rows]
    found = inputs.column("effusion").to_numpy(dtype=np.float64)
    known = np.isfinite(found)
    assert known.sum() == len(rows) - 1  # one image has no label
    np.testing.assert_array_equal(found[known], np.array(said)[known])
    target = Target(name="fluid", kind="binary", column="effusion", level="record")
    assert len(inputs.labelled(target).truth) == known.sum()
