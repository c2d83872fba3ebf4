from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from medssl.evaluation.lidar import (
    chance_eigenvalue,
    discriminant_spectrum,
    group_scatter,
    lidar,
)


def planted(
    groups: int = 60, each: int = 10, d: int = 20, rank: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Groups that differ along `rank` of `d` directions."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((groups, d))
    centres[:, :rank] = 5 * rng.normal(size=(groups, rank))
    owners = np.repeat([f"p{i:03d}" for i in range(groups)], each)
    return np.repeat(centres, each, axis=0) + rng.normal(size=(groups * each, d)), owners


def slow(z: np.ndarray, owners: np.ndarray, ridge: float = 1e-4) -> float:
    """The formula, written out."""
    names = np.unique(owners)
    means = np.stack([z[owners == name].mean(axis=0) for name in names])
    rest = np.concatenate([z[owners == name] - z[owners == name].mean(axis=0) for name in names])
    within = rest.T @ rest / (len(z) - len(names)) + ridge * np.eye(z.shape[1])
    root = np.linalg.inv(np.real(sqrtm(within)))
    values = np.linalg.eigvalsh(root @ np.cov(means.T) @ root)
    p = np.maximum(values, 0) / values.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


@pytest.mark.parametrize("rank", [1, 5, 20])
def test_lidar_equals_its_formula(rank: int) -> None:
    z, owners = planted(rank=rank)
    assert lidar(z, owners) == pytest.approx(slow(z, owners), rel=1e-4)


def test_planted_directions_are_counted() -> None:
    z, owners = planted(rank=5)
    chance, shuffled = chance_eigenvalue(z, owners)
    assert np.count_nonzero(discriminant_spectrum(group_scatter(z, owners)) > chance) == 5
    assert 4 < lidar(z, owners) < 8
    assert shuffled > 15


def test_groups_that_do_not_differ_have_a_high_value_and_nothing_above_chance() -> None:
    z, owners = planted(rank=0)
    chance, shuffled = chance_eigenvalue(z, owners)
    assert lidar(z, owners) == pytest.approx(shuffled, rel=0.1)
    assert np.count_nonzero(discriminant_spectrum(group_scatter(z, owners)) > chance) == 0


def test_groups_are_names_not_positions() -> None:
    z, owners = planted()
    order = np.random.default_rng(1).permutation(len(z))
    assert lidar(z[order], owners[order]) == pytest.approx(lidar(z, owners))
    assert lidar(z[order], owners) > 1.5 * lidar(z, owners)


def test_at_most_as_many_directions_as_groups_less_one() -> None:
    z, owners = planted(groups=6, d=20, rank=20)
    assert len(discriminant_spectrum(group_scatter(z, owners))) == 5
    assert lidar(z, owners) <= 5 * (1 + 1e-4)


def test_shift_and_rotation_change_nothing() -> None:
    z, owners = planted()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))[0]
    assert lidar(z @ rotation + 300, owners) == pytest.approx(lidar(z, owners), rel=1e-6)


def test_groups_of_one_record_are_left_out() -> None:
    z, owners = planted()
    more = np.concatenate([z, 100 + np.random.default_rng(0).normal(size=(3, 20))])
    names = np.concatenate([owners, ["x", "y", "z"]])
    assert lidar(more, names) == pytest.approx(lidar(z, owners))
    alone = group_scatter(z[:4], np.arange(4))
    assert (len(alone.groups), alone.n) == (0, 0)
    assert np.isnan(lidar(z[:4], np.arange(4)))
    assert np.isnan(lidar(z[:4], np.zeros(4)))
    assert np.isnan(lidar(np.ones((6, 3)), np.repeat(np.arange(3), 2)))
    assert np.isnan(chance_eigenvalue(np.ones((6, 3)), np.repeat(np.arange(3), 2))[0])
