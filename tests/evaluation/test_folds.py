from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.evaluation.folds import grouped_folds


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 99), st.booleans())
def test_participants_stay_whole_and_folds_even(
    count: int, folds: int, seed: int, binary: bool
) -> None:
    rng = np.random.default_rng(seed)
    owners = np.repeat([f"p{i}" for i in range(count)], rng.integers(1, 4, count))
    per_participant = rng.integers(0, 2, count) if binary else rng.normal(size=count)
    target = dict(zip([f"p{i}" for i in range(count)], per_participant, strict=True))
    y = np.array([target[name] for name in owners], dtype=float)
    found = grouped_folds(owners, y, folds=folds, seed=seed)
    fold_of = {name: set(found[owners == name].tolist()) for name in owners.tolist()}
    assert all(len(one) == 1 for one in fold_of.values())
    sizes = np.bincount([min(one) for one in fold_of.values()], minlength=min(folds, count))
    assert sizes.max() - sizes.min() <= 1
    if binary:
        positives = [
            sum(target[name] for name, one in fold_of.items() if one == {fold})
            for fold in range(min(folds, count))
        ]
        assert max(positives) - min(positives) <= 1


def test_folds_follow_names_not_row_order() -> None:
    rng = np.random.default_rng(0)
    owners = np.array([f"p{i}" for i in range(30)])
    y = rng.normal(size=30)
    order = rng.permutation(30)
    first = grouped_folds(owners, y, folds=5, seed=1)
    np.testing.assert_array_equal(
        grouped_folds(owners[order], y[order], folds=5, seed=1), first[order]
    )
    assert (grouped_folds(owners, y, folds=5, seed=2) != first).any()


def test_numeric_targets_are_spread() -> None:
    y = np.arange(100.0)
    found = grouped_folds(np.array([f"p{i:03d}" for i in range(100)]), y, folds=5, seed=0)
    means = [y[found == fold].mean() for fold in range(5)]
    assert np.ptp(means) < 12  # four of each quintile in every fold
