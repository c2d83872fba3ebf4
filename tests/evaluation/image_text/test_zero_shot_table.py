from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medssl.errors import StageError
from medssl.evaluation.image_text.zero_shot_table import MACRO, zero_shot_table
from medssl.evaluation.metrics import auroc
from medssl.evaluation.statistics import bootstrap


@pytest.fixture(scope="module")
def case() -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Scores of one good and one useless finding and a rare one; 60 participants, 3 images each."""
    rng = np.random.default_rng(0)
    people = np.repeat([f"p{i:03d}" for i in range(60)], 3)
    labels = pd.DataFrame(
        {
            "Edema": (rng.random(60) < 0.4).repeat(3).astype(float),
            "Mass": (rng.random(180) < 0.3).astype(float),
            "Hernia": np.zeros(180),
        }
    )
    labels.loc[0, "Hernia"] = 1.0
    labels.loc[5:20, "Mass"] = np.nan
    scores = pd.DataFrame(
        {
            "Edema": labels["Edema"] + 0.7 * rng.normal(size=180),
            "Mass": rng.normal(size=180),
            "Hernia": rng.random(180),
        }
    )
    return scores, labels, people


def test_values_counts_and_mean(case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray]) -> None:
    scores, labels, people = case
    table = zero_shot_table(scores, labels, people, replicates=100)
    known = labels["Mass"].notna()
    expected = {
        "Edema": roc_auc_score(labels["Edema"], scores["Edema"]),
        "Mass": roc_auc_score(labels["Mass"][known], scores["Mass"][known]),
    }
    for name, value in expected.items():
        assert table.row(name).interval.value == pytest.approx(value)
        assert table.row(name).n_positive == int((labels[name] == 1).sum())
    assert table.row("Mass").n_images == int(known.sum())
    assert table.row(MACRO).interval.value == pytest.approx(np.mean(list(expected.values())))
    assert table.row("Edema").above_chance
    assert not table.row("Mass").above_chance
    positive = people[(labels["Mass"] == 1).to_numpy()]
    assert table.row("Mass").n_participants_positive == len(set(positive))


def test_a_rare_finding_has_no_interval_and_stays_out_of_the_mean(
    case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray],
) -> None:
    scores, labels, people = case
    table = zero_shot_table(scores, labels, people, replicates=50)
    rare = table.row("Hernia")
    assert rare.interval.value == pytest.approx(roc_auc_score(labels["Hernia"], scores["Hernia"]))
    assert np.isnan(rare.interval.low)
    assert "fewer than 5" in rare.note
    assert any("Hernia" in note for note in table.notes)
    assert "over 2 of 3" in " ".join(table.notes)


def test_interval_is_that_of_a_bootstrap_over_participants(
    case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray],
) -> None:
    scores, labels, people = case
    chosen = ["Edema"]
    table = zero_shot_table(scores[chosen], labels[chosen], people, replicates=200, seed=3)
    y, s = labels["Edema"].to_numpy(), scores["Edema"].to_numpy()
    expected = bootstrap(lambda w: auroc(y, s, w), people, replicates=200, seed=3)
    found = table.row("Edema").interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    alone = table.row(MACRO).interval
    assert (alone.low, alone.high) == pytest.approx((expected.low, expected.high))


def test_the_mean_varies_as_the_mean_of_joint_replicates(
    case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray],
) -> None:
    """Two findings whose scores are the same have a mean as wide as each; opposite ones, none."""
    scores, labels, people = case
    both = pd.DataFrame({"a": labels["Edema"], "b": labels["Edema"]})
    same = zero_shot_table({"a": scores["Edema"], "b": scores["Edema"]}, both, people)
    one, mean = same.row("a").interval, same.row(MACRO).interval
    assert (mean.low, mean.high) == pytest.approx((one.low, one.high))
    opposite = zero_shot_table({"a": scores["Edema"], "b": -scores["Edema"]}, both, people)
    flat = opposite.row(MACRO).interval
    assert (flat.low, flat.high) == pytest.approx((0.5, 0.5))


def test_baselines_stand_beside_with_paired_differences(
    case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray],
) -> None:
    scores, labels, people = case
    baselines = {
        "itself": scores,
        "constant": {name: np.zeros(len(people)) for name in scores},
    }
    table = zero_shot_table(scores, labels, people, baselines=baselines, replicates=100)
    itself = table.row("Edema", "itself").difference
    assert itself is not None
    assert (itself.value, itself.low, itself.high) == (0.0, 0.0, 0.0)
    constant = table.row("Edema", "constant")
    assert constant.interval.value == 0.5
    assert constant.difference is not None
    assert constant.difference.low > 0
    text = table.to_markdown()
    assert text.count("| constant |") == 4
    assert json.loads(table.to_json())["rows"][0]["metric"] == "auroc"
    assert len(table.to_pandas()) == len(table.rows)


def test_several_seeds_of_a_baseline_give_the_mean_of_their_aurocs(
    case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray],
) -> None:
    scores, labels, people = case
    seeds = np.random.default_rng(1).normal(size=(len(people), 3)) + labels[["Edema"]].to_numpy()
    names = ["Edema"]
    table = zero_shot_table(
        scores[names], labels[names], people, replicates=200,
        baselines={"untrained": {"Edema": seeds}, "first": {"Edema": seeds[:, 0]}},
    )  # fmt: skip
    each = [roc_auc_score(labels["Edema"], seed) for seed in seeds.T]
    several, one = table.row("Edema", "untrained").interval, table.row("Edema", "first").interval
    assert several.value == pytest.approx(np.mean(each))
    assert one.value == pytest.approx(each[0])
    assert several.high - several.low < one.high - one.low
    with pytest.raises(StageError, match="one of each per image"):
        zero_shot_table(scores, labels, people, baselines={"cube": dict.fromkeys(scores, seeds.T)})


def test_what_does_not_belong_together_is_refused(
    case: tuple[pd.DataFrame, pd.DataFrame, np.ndarray],
) -> None:
    scores, labels, people = case
    with pytest.raises(StageError, match="no scores or no labels of Mass"):
        zero_shot_table(scores, labels[["Edema", "Hernia"]], people)
    with pytest.raises(StageError, match="one of each per image"):
        zero_shot_table(scores, labels, people[:-1])
    with pytest.raises(StageError, match="uncertain"):
        zero_shot_table(scores, labels.replace(0.0, -1.0), people)
