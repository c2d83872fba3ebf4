from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medssl.errors import StageError
from medssl.evaluation.baselines import FeatureTable, demographic_features


def test_rows_follow_the_participants_asked_for() -> None:
    table = FeatureTable("x", ["a", "b", "c"], [[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(
        table.rows_of(np.array(["c", "z", "a"])), [[3.0], [np.nan], [1.0]]
    )


def test_two_rows_of_one_participant_are_refused() -> None:
    with pytest.raises(StageError, match="two rows"):
        FeatureTable("x", ["a", "a"], [[1.0], [2.0]])
    with pytest.raises(StageError, match="one row per participant"):
        FeatureTable("x", ["a"], [[1.0], [2.0]])


def test_demographics_leave_out_the_target() -> None:
    labels = pd.DataFrame(
        {"age": [30.0, None, 50.0], "sex": ["F", "M", None], "site": ["x", "y", "x"]},
        index=["a", "b", "c"],
    )
    table = demographic_features(labels, ["age", "sex", "absent"], without="bmi")
    assert table is not None
    assert table.columns == ("age", "sex=F", "sex=M", "sex=missing")
    np.testing.assert_array_equal(table.values, [[30, 1, 0, 0], [np.nan, 0, 1, 0], [50, 0, 0, 1]])
    without_age = demographic_features(labels, ["age", "sex"], without="age")
    assert without_age is not None
    assert "age" not in without_age.columns
    assert demographic_features(labels, ["age"], without="age") is None
    assert demographic_features(labels, ["absent"], without="age") is None
