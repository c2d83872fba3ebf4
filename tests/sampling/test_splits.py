import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import ConfigError, LeakageError
from medssl.sampling.splits import SPLITS, SplitConfig, assign_splits, check_disjoint


def table(names, added=1, **labels):
    return pd.DataFrame({"added": added, **labels}, index=pd.Index(names, name="participant"))


@settings(max_examples=30, deadline=None)
@given(st.sets(st.text("abcdef0123456789", min_size=4, max_size=8), min_size=2), st.data())
def test_adding_participants_moves_nobody(names, data):
    names = sorted(names)
    few = data.draw(st.sets(st.sampled_from(names), min_size=1))
    config = SplitConfig(train=0.5, validation=0.2, test=0.3)
    before, after = assign_splits(table(sorted(few)), config), assign_splits(table(names), config)
    assert all(after[name] == split for name, split in before.items())


def test_fractions_are_met_and_the_salt_matters():
    names = [f"p{i:05d}" for i in range(20_000)]
    splits = assign_splits(table(names), SplitConfig())
    shares = [sum(s == split for s in splits.values()) / len(names) for split in SPLITS]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    other = assign_splits(table(names), SplitConfig(salt="other"))
    changed = np.mean([splits[n] != other[n] for n in names])
    assert 0.25 < changed < 0.45  # 1 − (0.8² + 2·0.1²) = 0.34


def test_row_order_does_not_matter():
    names = [f"p{i}" for i in range(50)]
    assert assign_splits(table(names), SplitConfig()) == assign_splits(
        table(names[::-1]), SplitConfig()
    )


def test_strata_are_balanced_and_stay_when_data_are_added():
    rng = np.random.default_rng(0)
    names = [f"p{i:04d}" for i in range(600)]
    frame = table(
        names, added=[1] * 400 + [2] * 200,
        sex=rng.choice(["F", "M", None], 600), age=rng.integers(20, 80, 600).astype(float),
    )  # fmt: skip
    config = SplitConfig(train=0.6, validation=0.2, test=0.2, stratify_by=("sex", "age"))
    after = assign_splits(frame, config)
    before = assign_splits(frame[frame["added"] == 1], config)
    assert all(after[name] == split for name, split in before.items())
    # Ingested again from scratch everybody is new: what was assigned before is kept.
    fresh = assign_splits(frame.assign(added=1), config, previous=before)
    assert all(fresh[name] == split for name, split in before.items())
    for _, group in frame.groupby(["sex", frame["age"] // 10], dropna=False):
        counts = {s: sum(after[n] == s for n in group.index) for s in SPLITS}
        assert abs(counts["train"] - 0.6 * len(group)) <= 2
        assert abs(counts["test"] - 0.2 * len(group)) <= 2


def test_small_strata_starve_no_split():
    names = [f"p{i:04d}" for i in range(3000)]
    frame = table(names, ward=[f"w{i // 2}" for i in range(3000)])  # strata of two
    splits = assign_splits(frame, SplitConfig(stratify_by=("ward",)))
    shares = [sum(s == split for s in splits.values()) / len(names) for split in SPLITS]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.03)


def test_an_unknown_stratum_is_named():
    with pytest.raises(ConfigError, match="no label column 'ward'"):
        assign_splits(table(["p1"]), SplitConfig(stratify_by=("ward",)))


def test_fractions_must_sum_to_one():
    with pytest.raises(ValueError, match="must be 1"):
        SplitConfig(train=0.5)


def test_shared_participants_are_a_leak():
    with pytest.raises(LeakageError, match="fit and score: p2"):
        check_disjoint("fit and score", ["p1", "p2"], ["p2", "p3"])
