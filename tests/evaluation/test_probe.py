from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from medssl.errors import StageError
from medssl.evaluation.baselines import (
    DEMOGRAPHICS,
    HEART_RATE,
    MEAN,
    METADATA,
    STATISTICS,
    UNTRAINED,
    FeatureTable,
)
from medssl.evaluation.cases import Case
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.heart_rate import heart_rate_features
from medssl.evaluation.predictions import Predictions
from medssl.evaluation.probe import Rival, probe_store, run_probes
from medssl.evaluation.probes import ProbeConfig
from medssl.evaluation.scoring import ENCODER
from medssl.evaluation.tables import ProbeTable
from medssl.evaluation.units import Records
from medssl.store import Store
from medssl.types import Modality

TARGETS = [
    {"name": "age", "column": "age", "kind": "regression"},
    {"name": "sex", "column": "sex", "kind": "binary", "positive": "F"},
    {"name": "noise", "column": "noise", "kind": "binary", "threshold": 0},
]


def config(**changes: object) -> ProbeConfig:
    values = {"targets": TARGETS, "bootstrap": 300, "demographics": ["age", "sex", "bmi"]}
    return ProbeConfig.model_validate(values | changes)


def untrained(like: Embeddings, seed: int) -> Embeddings:
    values = np.random.default_rng(seed).normal(size=like.values.shape)
    return Embeddings(like.records, like.participants, like.sessions, values)


@pytest.fixture(scope="module", params=[None, 5], ids=["holdout", "folds"])
def table(request: pytest.FixtureRequest, planted: Callable, alternate: Callable) -> ProbeTable:
    """Planted, synthetic signal: the encoder knows age and sex, and nothing of the noise."""
    embeddings, labels = planted(count=300)
    names = np.unique(embeddings.participants)
    setting = config() if request.param is None else config(
        folds=5, repeats=2, score_on=["train", "validation", "test"]
    )  # fmt: skip
    return run_probes(
        embeddings,
        labels,
        setting,
        alternate(names),
        untrained=[untrained(embeddings, seed) for seed in (1, 2)],
        pretraining=names[:200].tolist(),
    )


def test_planted_signal_is_found_and_noise_is_not(table: ProbeTable) -> None:
    assert table.row("age", ENCODER, "r2").interval.low > 0.5
    assert table.row("sex", ENCODER, "auroc").interval.low > 0.75
    noise = table.row("noise", ENCODER, "auroc").interval
    assert noise.low < 0.5 < noise.high
    verdicts = {(d.target, d.metric, d.baseline): d.verdict for d in table.differences}
    assert verdicts["noise", "auroc", MEAN] == "unclear"
    for baseline in (UNTRAINED, MEAN):
        assert verdicts["age", "mae", baseline] == "better"
        assert verdicts["age", "r2", baseline] == "better"
        assert verdicts["sex", "auroc", baseline] == "better"


def test_mean_is_chance(table: ProbeTable) -> None:
    for metric in ("auroc", "partial_auroc"):
        interval = table.row("sex", MEAN, metric).interval
        assert (interval.value, interval.low, interval.high) == pytest.approx((0.5, 0.5, 0.5))
    assert -0.15 < table.row("age", MEAN, "r2").interval.value <= 0


def test_every_feature_set_stands_beside_every_target(table: ProbeTable) -> None:
    for target, metrics in (("age", ("mae", "r2")), ("sex", ("auroc", "partial_auroc"))):
        for metric in metrics:
            for features in (ENCODER, UNTRAINED, DEMOGRAPHICS, MEAN):
                row = table.row(target, features, metric)
                assert row.interval.low <= row.interval.value <= row.interval.high
                assert row.interval.n_records == 4 * row.n_score
    assert table.row("age", UNTRAINED, "mae").note == "mean of 2 seeds"


def test_overlap_with_pretraining_is_told(table: ProbeTable) -> None:
    row = table.row("age", ENCODER, "mae")
    assert (row.n_score, row.n_pretrained) in {(60, 40), (300, 200)}
    assert any("were in pretraining" in note for note in table.notes)


def test_demographics_never_hold_the_target(table: ProbeTable) -> None:
    assert table.row("age", DEMOGRAPHICS, "mae").note == "sex, bmi"
    assert table.row("sex", DEMOGRAPHICS, "auroc").note == "age, bmi"


def test_outputs_are_complete_and_strict(table: ProbeTable) -> None:
    read = json.loads(table.to_json())
    assert len(read["rows"]) == len(table.rows) == len(table.to_pandas())
    assert len(read["differences"]) == len(table.differences_to_pandas())
    text = table.to_markdown()
    assert text.count("\n| ") == len(table.rows)
    assert "not corrected for their number" in text
    missing = "heart rate, signal statistics, acquisition metadata"
    assert f"Not beside the encoder, because not given: {missing}." in text
    everything = {ENCODER, UNTRAINED, DEMOGRAPHICS, MEAN}
    assert {features for _, features in table.predictions} == everything


def test_holdout_values_are_reproduced_by_hand(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=200)
    found = run_probes(embeddings, labels, config(), alternate(np.unique(embeddings.participants)))
    predictions = found.predictions["age", ENCODER]
    splits = alternate(labels.index.to_numpy())
    test = [name for name, split in splits.items() if split == "test"]
    assert predictions.participants.tolist() == test
    np.testing.assert_array_equal(predictions.truth, labels.loc[test, "age"])
    error = np.abs(labels.loc[test, "age"] - predictions.scores[0])
    assert found.row("age", ENCODER, "mae").interval.value == pytest.approx(error.mean())
    gap = np.abs(labels.loc[test, "age"] - predictions_of(found, MEAN)).mean() - error.mean()
    difference = next(d for d in found.differences if (d.metric, d.baseline) == ("mae", MEAN))
    assert difference.interval.value == pytest.approx(-gap)


def predictions_of(table: ProbeTable, features: str) -> np.ndarray:
    return table.predictions["age", features].scores[0]


def test_results_repeat_and_ignore_the_order_of_records(
    planted: Callable, alternate: Callable
) -> None:
    embeddings, labels = planted(count=60)
    splits = alternate(labels.index.to_numpy())
    first = run_probes(embeddings, labels, config(), splits).to_dict()
    assert run_probes(embeddings, labels, config(), splits).to_dict() == first
    order = np.random.default_rng(0).permutation(len(embeddings))
    shuffled = run_probes(embeddings.take(order), labels.sample(frac=1), config(), splits)
    for row in shuffled.rows:
        own = next(r for r in first["rows"] if (r["target"], r["features"], r["metric"]) == (row.target, row.features, row.metric))  # noqa: E501  # fmt: skip
        assert row.interval.value == pytest.approx(own["value"], rel=1e-5)


def test_copies_of_records_leave_the_intervals(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=100, records=2)
    splits = alternate(labels.index.to_numpy())
    rows = np.repeat(np.arange(len(embeddings)), 5)
    copies = Embeddings(
        np.arange(len(rows)).astype(str),
        embeddings.participants[rows],
        embeddings.sessions[rows],
        embeddings.values[rows],
    )
    once = run_probes(embeddings, labels, config(), splits).row("age", ENCODER, "mae").interval
    many = run_probes(copies, labels, config(), splits).row("age", ENCODER, "mae").interval
    assert (many.low, many.value, many.high) == pytest.approx((once.low, once.value, once.high))
    assert many.n_records == 5 * once.n_records


def test_missing_labels_are_left_out_and_counted(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=100)
    labels.loc[labels.index[::10], "age"] = np.nan  # train participants
    labels.loc[labels.index[8::20], "age"] = np.nan  # test participants
    found = run_probes(embeddings, labels, config(), alternate(labels.index.to_numpy()))
    row = found.row("age", ENCODER, "mae")
    assert (row.n_fit, row.n_score) == (70, 15)
    assert "age: 15 participants have no label." in found.notes


def test_what_cannot_be_probed_says_why(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=60)
    splits = alternate(labels.index.to_numpy())
    labels["one"] = "F"
    labels["rare"] = [60.0 if i < 7 else np.nan for i in range(60)]
    labels["same"] = 5.0
    targets = [
        {"name": "one", "column": "one", "kind": "binary", "positive": "F"},
        {"name": "typo", "column": "sex", "kind": "binary", "positive": "Female"},
        {"name": "rare", "column": "rare", "kind": "regression"},
        {"name": "same", "column": "same", "kind": "regression"},
        {"name": "age", "column": "age", "kind": "regression"},
    ]
    found = run_probes(embeddings, labels, config(targets=targets), splits)
    for target, metric, reason in (
        ("one", "auroc", "0 participants of the rarer class to fit on"),
        ("typo", "auroc", "nobody has sex = Female; there is F, M"),
        ("rare", "mae", "7 participants to fit on, at least 10"),
        ("same", "r2", "the same value"),
    ):
        for features in (ENCODER, MEAN):
            row = found.row(target, features, metric)
            assert np.isnan(row.interval.value)
            assert reason in row.note
    assert np.isfinite(found.row("age", ENCODER, "mae").interval.value)
    json.loads(found.to_json())


def test_missing_baseline_rows_are_imputed_on_the_same_participants(
    planted: Callable, alternate: Callable
) -> None:
    embeddings, labels = planted(count=100)
    half = labels.index.to_numpy()[::2]
    rates = FeatureTable(HEART_RATE, half, labels.loc[half, ["age"]].to_numpy())
    found = run_probes(
        embeddings, labels, config(), alternate(labels.index.to_numpy()), baselines=[rates]
    )
    row = found.row("age", HEART_RATE, "mae")
    assert row.n_score == found.row("age", ENCODER, "mae").n_score == 20
    assert row.interval.value < found.row("age", MEAN, "mae").interval.value


def test_only_the_target_as_demographic_is_told(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=60)
    found = run_probes(
        embeddings, labels, config(demographics=["age"]), alternate(labels.index.to_numpy())
    )
    row = found.row("age", DEMOGRAPHICS, "mae")
    assert np.isnan(row.interval.value)
    assert "no demographic column" in row.note


def test_untrained_encoder_must_see_the_same_participants(
    planted: Callable, alternate: Callable
) -> None:
    embeddings, labels = planted(count=60)
    other = untrained(embeddings, 0).take(np.arange(40))
    with pytest.raises(StageError, match="other records"):
        run_probes(
            embeddings, labels, config(), alternate(labels.index.to_numpy()), untrained=[other]
        )


def test_ridge_classifier_follows_the_published_recipe(
    planted: Callable, alternate: Callable
) -> None:
    embeddings, labels = planted(count=200)
    found = run_probes(
        embeddings, labels, config(classifier="ridge"), alternate(labels.index.to_numpy())
    )
    assert found.row("sex", ENCODER, "auroc").interval.low > 0.5


def test_store_gives_labels_and_heart_rate(store: Store) -> None:
    """Eight participants are too few for a good model, and enough to see what is compared."""
    rows = store.rows()
    rng = np.random.default_rng(0)
    embeddings = Embeddings(
        store.column("record", rows),
        store.column("participant", rows),
        store.column("session", rows),
        rng.normal(size=(len(rows), 3)),
    )
    splits = dict.fromkeys(store.participants.index, "test")
    setting = config(targets=[TARGETS[0]], folds=4, repeats=3, minimum=4, inner_folds=3)
    found = probe_store(embeddings, store, setting, splits)
    by_hand = heart_rate_features(store, rows, modality=Modality.PPG)
    again = run_probes(embeddings, store.participants, setting, splits, baselines=[by_hand])
    for name in (STATISTICS, METADATA):
        assert np.isfinite(found.row("age", name, "mae").interval.low)
    assert found.row("age", HEART_RATE, "mae") == again.row("age", HEART_RATE, "mae")
    assert np.isfinite(found.row("age", HEART_RATE, "mae").interval.low)
    assert not any(HEART_RATE in note for note in found.notes)
    gone = Embeddings(["other"], ["p00001"], ["s"], [[1.0]])
    with pytest.raises(StageError, match="not in the store"):
        probe_store(gone, store, setting, splits)


def test_labels_of_other_types_are_understood(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=60)
    labels["sex"] = pd.Categorical(labels["sex"])
    labels["age"] = labels["age"].round().astype("Int64")
    found = run_probes(embeddings, labels, config(), alternate(labels.index.to_numpy()))
    assert np.isfinite(found.row("age", DEMOGRAPHICS, "mae").interval.value)
    assert np.isfinite(found.row("sex", ENCODER, "auroc").interval.value)


@pytest.mark.parametrize("model", ["linear", "attentive"])
def test_layers_and_untrained_encoders_are_read_as_the_encoder_is(
    planted: Callable, alternate: Callable, model: str
) -> None:
    """By the same model, and whatever the order of their records: copies score as it does."""
    embeddings, labels = planted(count=60)
    order = np.random.default_rng(0).permutation(len(embeddings))
    copy = embeddings.take(order)
    setting = config(targets=TARGETS[:1], models=[model], epochs=5)
    found = run_probes(
        embeddings, labels, setting, alternate(labels.index.to_numpy()),
        untrained=[copy], layers={"layer copy": copy},
    )  # fmt: skip
    own = found.predictions["age", ENCODER].scores
    for name in (UNTRAINED, "layer copy"):
        np.testing.assert_allclose(found.predictions["age", name].scores, own, rtol=1e-4)


def test_participants_without_an_embedding_are_told(planted: Callable, alternate: Callable) -> None:
    embeddings, labels = planted(count=60)
    splits = alternate(labels.index.to_numpy())
    gone = [name for name in splits if splits[name] == "test"][:3]
    kept = embeddings.take(~np.isin(embeddings.participants, gone))
    notes = run_probes(kept, labels, config(), splits).notes
    assert (
        "3 participants of train, validation, test have no embedded record "
        "(another modality, or left out by the selection)."
    ) in notes


def test_a_rival_stands_beside_the_encoder_or_says_why_not(
    planted: Callable, alternate: Callable
) -> None:
    embeddings, labels = planted(count=60)
    setting = config(targets=TARGETS[:2])
    splits = alternate(labels.index.to_numpy())
    copied: list[str] = []
    encoder = run_probes(embeddings, labels, setting, splits).predictions

    def copy(case: Case) -> Predictions | str:
        copied.append(case.target.name)
        return encoder["age", ENCODER] if case.target.name == "age" else "too few of either sex"

    found = run_probes(
        embeddings, labels, setting, splits, rivals={"copy": Rival(copy, note="a copy")}
    )
    assert copied == ["age", "sex"]
    assert found.row("age", "copy", "mae").note == "a copy"
    (against,) = [d for d in found.differences if (d.baseline, d.metric) == ("copy", "mae")]
    assert (against.interval.low, against.interval.value, against.interval.high) == (0, 0, 0)
    absent = found.row("sex", "copy", "auroc")
    assert np.isnan(absent.interval.value)
    assert absent.note == "too few of either sex"
    assert not [d for d in found.differences if (d.baseline, d.target) == ("copy", "sex")]


def test_rivals_are_compared_before_there_is_an_encoder(
    planted: Callable, alternate: Callable
) -> None:
    embeddings, labels = planted(count=60)
    splits = alternate(labels.index.to_numpy())
    records = Records(embeddings.records, embeddings.participants, embeddings.sessions)
    other = untrained(embeddings, 1)
    found = run_probes(records, labels, config(), splits, untrained=[other])
    with_encoder = run_probes(embeddings, labels, config(), splits, untrained=[other])
    assert not found.differences
    assert ENCODER not in {row.features for row in found.rows}
    assert any("No encoder is in this table" in note for note in found.notes)
    for features in (UNTRAINED, DEMOGRAPHICS, MEAN):
        own, expected = (t.row("age", features, "mae") for t in (found, with_encoder))
        assert own.interval == expected.interval
