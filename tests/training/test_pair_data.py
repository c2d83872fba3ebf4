"""Pairs of every level come from the store as they belong together."""

import pytest
import torch

from medssl.batches import Cells, Pictures
from medssl.errors import StageError
from medssl.training.config import FitConfig
from medssl.training.pair_data import PairData
from tests.methods import method_cases as cases


def pairs(store, name="convirt", *, others=None, size=8, **changes):
    settings = FitConfig.model_validate(
        {"batch_size": size, "pairs": {**cases.CASES[name].pairs, **changes}}
    )
    rows = store.rows(modality="radiograph")
    if others is None:
        found = rows if name == "tip" else store.rows(modality="report")
        others = cases.inputs(name)["partner_inputs"].usable(store, found)
    return PairData(store, rows, settings, seed=0, partner_rows=others, **cases.inputs(name))


def first(data, total=3):
    return list(data.loader(data.sampler(), total))


def test_batches_hold_images_and_the_stored_report_of_their_study(studies_store):
    data = pairs(studies_store, companion="study", draw="study")
    for batch in first(data):
        assert isinstance(batch["first"], Pictures)
        rows = data.rows[batch["places"].numpy()]
        expected = cases.inputs("convirt")["inputs"].read(studies_store, rows)
        assert all(torch.equal(a, b) for a, b in zip(batch["first"], expected, strict=True))
        reports = [studies_store.read_record(row) for row in data.partners[batch["places"]]]
        assert batch["second"] == reports
        assert (data.codes[batch["places"]] == batch["studies"].numpy()).all()
        assert len(batch["companion"].pixels) == 8


def test_there_is_no_companion_that_nobody_asked_for(studies_store):
    assert "companion" not in first(pairs(studies_store), 1)[0]


def test_the_facts_count_what_places_and_studies_number(studies_store):
    data = pairs(studies_store)
    facts = data.facts()
    assert facts.records == len(data.rows)
    assert facts.studies == len(set(data.codes.tolist()))
    reports = facts.reports()
    assert len(reports) == facts.studies
    for place, code in enumerate(data.codes):
        assert reports[code] == studies_store.read_record(int(data.partners[place]))


def test_rows_of_a_table_stand_beside_their_own_image(studies_store):
    data = pairs(studies_store, "tip")
    labels = studies_store.record_labels
    names = studies_store.column("record", data.rows)
    (batch,) = first(data, 1)
    assert isinstance(batch["second"], Cells)
    for place, category in zip(batch["places"], batch["second"].categories[:, 0], strict=True):
        assert ("no", "yes")[category] == labels["effusion"][names[place]]


def test_reports_are_asked_of_pairs_that_have_them(studies_store):
    with pytest.raises(StageError, match="reports belong to pairs of an image and a report"):
        pairs(studies_store, "tip").reports()


def test_the_largest_batch_is_what_the_sampler_allows(studies_store):
    data = pairs(studies_store)
    assert data.largest_batch() == 38
    assert data.sampler(batch_size=38).batches_per_epoch == 1
    with pytest.raises(StageError, match="set pretrain.batch_size to 38 or less"):
        data.sampler(batch_size=39)
    drawn = pairs(studies_store, draw="study").largest_batch()
    assert drawn == data.facts().studies > 38
    assert pairs(studies_store, per_participant=2).largest_batch() % 2 == 0
    assert pairs(studies_store, per_participant=50).largest_batch() == 0


def test_memory_does_not_hold_the_corpus(studies_store):
    """Images are read when their batch comes, one batch ahead."""
    data = pairs(studies_store)
    read = []
    data.inputs.read = lambda store, rows: read.append(len(rows)) or torch.zeros(len(rows))
    batches = iter(data.loader(data.sampler(), 50))
    next(batches)
    next(batches)
    assert sum(read) <= 4 * 8
