"""Ranges of quality components; the other rules are tested with the selection they make."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from medssl.config import validate
from medssl.errors import ConfigError
from medssl.records import Record
from medssl.reduction.config import ReduceConfig
from medssl.reduction.rules import count_ungraded, reduce
from medssl.store import write_store
from medssl.store.schema import GRADES
from medssl.types import Modality

GOOD = {"template": 0.9, "skewness": 0.5, "kurtosis": 8.0, "flat": 0.0, "clipped": 0.0,
        "missing": 0.0}  # fmt: skip
BAD = {"template": 0.1, "skewness": -2.0, "kurtosis": 2.5, "flat": 0.4, "clipped": 0.3,
       "missing": 0.5}  # fmt: skip
RANGES = {
    "template": {"min": 0.6}, "skewness": {"min": 0}, "kurtosis": {"min": 3, "max": 20},
    "flat": {"max": 0.1}, "clipped": {"max": 0.05}, "missing": {"max": 0.1},
}  # fmt: skip


def record(name, **fields):
    data = np.random.default_rng(sum(map(ord, name))).normal(size=(1, 16)).astype(np.float32)
    return Record(
        participant=name, session="s1", recording="r", modality=Modality.ECG, data=data,
        source_digest=name, rate=8.0, channels=("I",), units="mV", **fields,
    )  # fmt: skip


def config(**values):
    return validate(ReduceConfig, values, where="reduce")


@pytest.fixture
def store(tmp_path):
    """One good record, one that is bad in each component, one bad in all, one partly graded."""
    spoilt = [record(name, quality=0.7, grades=GOOD | {name: BAD[name]}) for name in GRADES]
    others = [
        record("all", quality=0.2, grades=BAD), record("good", quality=0.9, grades=GOOD),
        record("partly", quality=0.9, grades={"flat": 0.0}), record("ungraded"),
    ]  # fmt: skip
    return write_store(tmp_path / "store", [*spoilt, *others])


def reasons(store, found):
    return dict(zip(store.column("participant"), found.table["reason"].to_pylist(), strict=True))


@pytest.mark.parametrize("name", GRADES)
def test_each_component_leaves_out_what_is_bad_in_it(store, name):
    found = reasons(store, reduce(store, config(quality={name: RANGES[name]})))
    left_out = {who: reason for who, reason in found.items() if reason}
    assert left_out == {name: f"quality_{name}", "all": f"quality_{name}"}


def test_the_first_rule_names_the_reason_and_ungraded_records_are_kept_and_counted(store):
    given = config(quality_floor=0.5, quality=RANGES)
    selection = reduce(store, given)
    found = reasons(store, selection)
    assert found.pop("all") == "low_quality"
    assert [found.pop(name) for name in ("good", "partly", "ungraded")] == [None] * 3
    assert found == {name: f"quality_{name}" for name in GRADES}
    lacking = dict.fromkeys(GRADES, 2) | {"flat": 1, "quality": 1}
    assert count_ungraded(store, given, selection) == lacking
    assert count_ungraded(store, config(), selection) == {}


def test_both_ends_are_kept_as_they_are_stored(tmp_path):
    values = [0.1, np.nextafter(np.float32(0.1), np.float32(1)), 0.3]
    records = [record(f"p{i}", grades={"kurtosis": float(v)}) for i, v in enumerate(values)]
    store = write_store(tmp_path / "store", records)
    ends = {"min": 0.1, "max": 0.1}
    assert reduce(store, config(quality={"kurtosis": ends})).keep.tolist() == [True, False, False]


def test_an_empty_range_of_settings_changes_nothing(store):
    assert reduce(store, config(quality={})).digest == reduce(store, config()).digest


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        ({"kurtois": {"min": 3}}, r"reduce\.quality\.kurtois: unknown key; did you mean kurtosis"),
        ({"flat": {"mx": 0.1}}, r"reduce\.quality\.flat\.mx: unknown key; did you mean max"),
        ({"flat": {}}, r"reduce\.quality\.flat: give min, max or both"),
        ({"flat": {"min": 2, "max": 1}}, r"min 2 is above max 1"),
        ({"flat": 0.1}, r"reduce\.quality\.flat: "),
    ],
)
def test_what_cannot_be_meant_is_refused(quality, message):
    with pytest.raises(ConfigError, match=message):
        config(quality=quality)


def test_every_component_of_the_store_has_a_range():
    from medssl.reduction.config import QualityRanges

    assert list(QualityRanges.model_fields) == list(GRADES)


def test_equal_reports_of_two_people_stay_and_views_are_chosen(tmp_path):
    def record(person, view, data, modality="radiograph"):
        return Record(
            participant=person, session="s", recording=f"{person}{view}{modality}",
            modality=Modality(modality), data=data, source_digest="d", view=view, study="1",
        )  # fmt: skip

    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    text = "FINDINGS: Normal chest."
    records = [
        record("p1", "PA", image), record("p1", "lateral", image + 1),
        record("p2", None, image + 2),
        record("p1", None, text, "report"), record("p2", None, text, "report"),
    ]  # fmt: skip
    store = write_store(tmp_path / "store", records)
    kept = reduce(store, ReduceConfig(views=("PA", "AP")))
    views, modalities = store.column("view"), store.column("modality")
    left = zip(modalities[kept.keep].tolist(), views[kept.keep].tolist(), strict=True)
    assert sorted(left, key=str) == [("radiograph", "PA"), ("report", None), ("report", None)]
    assert kept.counts()["other_view"] == 2
    assert reduce(store, ReduceConfig()).keep.all()


def test_a_view_that_nobody_knows_is_refused_and_others_get_their_name():
    assert ReduceConfig(views=("pa ", "AP_SUPINE")).views == ("PA", "AP supine")
    with pytest.raises(ValidationError, match="unknown view 'APP': use PA, AP"):
        ReduceConfig(views=("APP",))
