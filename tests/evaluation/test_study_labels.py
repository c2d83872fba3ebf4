"""Labels of a study's other records, beside a loop that looks at every pair of records."""

import numpy as np
import pandas as pd
import pytest

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.probe import probe_store
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.study_labels import study_labels
from medssl.evaluation.units import Records
from medssl.finetuning.units import label_units
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.store import Store


def slow_label(store, row, name):
    """The one value that records of the study of a row have; None if none or several."""
    place = ("participant", "study")
    table = store.records.to_pylist()
    key = [table[row][part] for part in place]
    found = {
        store.record_labels[name].get(other["record"])
        for other in table
        if key[1] is not None and [other[part] for part in place] == key
    }
    known = {value for value in found if value is not None and value == value}
    return known.pop() if len(known) == 1 else None


@pytest.mark.parametrize("name", ["effusion", "brightness"])
def test_reports_have_the_labels_on_which_the_images_of_their_study_agree(studies_store, name):
    rows = studies_store.rows(modality="report")[::-1]
    frame, given = study_labels(studies_store, rows)
    expected = [slow_label(studies_store, int(row), name) for row in rows]
    assert frame.index.tolist() == studies_store.column("record", rows).tolist()
    found = [None if pd.isna(value) else value for value in frame[name]]
    assert found == expected
    assert {None} < set(expected)
    assert set(given) == {"effusion", "brightness"}


def test_a_label_that_some_of_the_records_have_is_left_as_it_is(studies_store):
    rows = studies_store.rows(modality="radiograph")
    frame, given = study_labels(studies_store, rows)
    assert given == ()
    own = studies_store.record_labels.reindex(studies_store.column("record", rows))
    pd.testing.assert_frame_equal(frame, own)
    assert frame["brightness"].isna().any()


def without_studies(store, path):
    """A copy of a store whose records belong to no study."""
    from medssl.records import Record
    from medssl.store import write_store
    from medssl.types import Modality, ParticipantId

    records = [
        Record(
            participant=ParticipantId(row["participant"]), session=row["session"], study=None,
            recording=row["recording"], modality=Modality(row["modality"]), source="synthetic",
            data=store.read_record(place), source_digest=row["source_digest"],
        )
        for place, row in enumerate(store.records.to_pylist())
    ]  # fmt: skip
    return write_store(path, records, labels=store.record_labels)


def test_records_without_a_study_lend_nothing(studies_store, tmp_path):
    store = without_studies(studies_store, tmp_path / "store")
    frame, given = study_labels(store, store.rows(modality="report"))
    assert given == ()
    assert frame.isna().all(axis=None)
    assert set(frame.columns) == {"effusion", "brightness"}


TARGET = {"name": "fluid", "kind": "binary", "column": "effusion"}


def probe(store, **target):
    config = ProbeConfig.model_validate(
        {"targets": [TARGET | target], "bootstrap": 100, "interval": "percentile"}
    )
    rows = store.rows(modality="report")
    records = Records.of(store, rows)
    generator = np.random.default_rng(0)
    # Reports that speak of fluid lie apart from those that deny it.
    fluid = [not str(store.read_record(int(row))).startswith("FINDINGS: No") for row in rows]
    values = generator.normal(size=(len(rows), 4)) + 4 * np.array(fluid)[:, None]
    embeddings = Embeddings(records.records, records.participants, records.sessions, values)
    splits = assign_splits(
        store.participants, SplitConfig.model_validate({"train": 0.5, "validation": 0, "test": 0.5})
    )
    return probe_store(embeddings, store, config, splits)


@pytest.mark.parametrize("level", ["record", "participant"])
def test_reports_are_probed_on_labels_of_their_images(image_text_store, level):
    table = probe(Store.open(image_text_store), level=level)
    row = table.row("fluid", "encoder", "auroc")
    assert row.interval.value > 0.95
    assert row.n_fit > 20
    assert (
        "fluid: no embedded record has effusion itself; it is that of the other records of its "
        "study."
    ) in table.notes
    # The reports name the finding: their words alone tell it, and nothing of signals is missed.
    assert table.row("fluid", "bag of words", "auroc").interval.value > 0.95
    assert not any("signal statistics" in note for note in table.notes)


def test_labels_that_no_study_gives_are_named_in_one_line(studies_store, tmp_path):
    store = without_studies(studies_store, tmp_path / "store")
    table = probe(store, positive="yes")
    note = table.row("fluid", "encoder", "auroc").note
    assert note == "none of these records has this label"
    assert not any("that of the other records" in note for note in table.notes)


def test_fine_tuning_sees_the_same_labels(studies_store):
    from medssl.evaluation.targets import Target

    rows = studies_store.rows(modality="report")
    target = Target(name="fluid", kind="binary", column="effusion", positive="yes", level="record")
    units = label_units(studies_store, rows, target)
    names = studies_store.column("record", rows).tolist()
    expected = {
        name: float(value == "yes")
        for name, row in zip(names, rows, strict=True)
        if (value := slow_label(studies_store, int(row), "effusion")) is not None
    }
    assert dict(zip(units.names.tolist(), units.values.tolist(), strict=True)) == expected
