from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medssl.audit.findings import Severity
from medssl.audit.groups import grouped
from medssl.audit.subgroups import predictions_from_frame, subgroup_gap
from medssl.evaluation.probes import Predictions

NAMES = np.array([f"p{number:03d}" for number in range(240)])
SEX = {name: "FM"[place % 2] for place, name in enumerate(NAMES.tolist())}


def predictions(truth: np.ndarray, scores: np.ndarray) -> Predictions:
    return Predictions(
        participants=NAMES,
        truth=truth.astype(float),
        scores=scores[None],
        folds=np.zeros((1, len(truth)), dtype=np.int64),
        alphas=np.ones(1),
        n_fit=100,
        n_records=480,
    )


def binary(women: float) -> Predictions:
    """Scores that tell classes apart among M, and by `women` standard deviations among F."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, size=len(NAMES))
    signal = np.where([SEX[name] == "F" for name in NAMES.tolist()], women, 3.0)
    return predictions(truth, truth * signal + generator.normal(size=len(NAMES)))


def test_finds_a_group_that_is_served_less_well() -> None:
    (finding,) = subgroup_gap(binary(0.0), SEX, target="diabetes", attribute="sex")
    assert finding.severity is Severity.WARNING
    assert "sex = F" in finding.title
    assert finding.low is not None
    assert finding.low > 0
    assert finding.n_records == 480


def test_values_are_those_of_scikit_learn() -> None:
    given = binary(1.0)
    (finding,) = subgroup_gap(given, SEX, target="diabetes", attribute="sex")
    assert finding.table is not None
    for name, count, value, *_ in finding.table.rows:
        mine = np.array([SEX[person] == name for person in NAMES.tolist()])
        assert count == mine.sum()
        assert value == pytest.approx(roc_auc_score(given.truth[mine], given.scores[0, mine]))


def test_silent_on_equal_groups() -> None:
    (finding,) = subgroup_gap(binary(3.0), SEX, target="diabetes", attribute="sex")
    assert finding.severity is Severity.OK


@pytest.mark.parametrize(("noise", "severity"), [(1.0, Severity.OK), (4.0, Severity.WARNING)])
def test_regression_is_judged_by_its_error(noise: float, severity: Severity) -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=len(NAMES))
    scale = np.where([SEX[name] == "F" for name in NAMES.tolist()], noise, 1.0)
    given = predictions(truth, truth + scale * generator.normal(size=len(NAMES)))
    (finding,) = subgroup_gap(given, SEX, target="bmi", attribute="sex")
    assert finding.severity is severity
    assert "MAE" in finding.measure


def test_small_groups_are_listed_and_not_judged() -> None:
    few = {name: "rare" if place < 8 else "common" for place, name in enumerate(NAMES.tolist())}
    (finding,) = subgroup_gap(binary(3.0), few, target="diabetes", attribute="site")
    assert finding.severity is Severity.NOTE
    assert finding.value is None
    assert finding.table is not None
    assert ("rare", 8, None, None, None) in finding.table.rows


def test_groups_that_are_the_target_are_left_out() -> None:
    given = binary(3.0)
    same = {name: str(value) for name, value in zip(NAMES.tolist(), given.truth, strict=True)}
    assert subgroup_gap(given, same, target="sex = F", attribute="sex") == []


def test_predictions_survive_a_table() -> None:
    given = binary(1.0)
    frame = pd.DataFrame(
        {"participant": NAMES, "target": "t", "features": "encoder", "truth": given.truth,
         "score": given.scores[0]}
    )  # fmt: skip
    found = predictions_from_frame(frame)
    assert list(found) == [("t", "encoder")]
    np.testing.assert_array_equal(found["t", "encoder"].scores, given.scores)


def test_numbers_are_grouped_in_thirds_and_names_are_no_groups() -> None:
    values = pd.Series(np.arange(90.0), index=[f"p{n}" for n in range(90)])
    counts = pd.Series(list(grouped(values).values())).value_counts()
    assert len(counts) == 3
    assert counts.min() >= 29
    assert grouped(pd.Series([f"name {n}" for n in range(90)])) == {}
    assert grouped(pd.Series(["F"] * 9)) == {}
