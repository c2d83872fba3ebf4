from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from medssl.evaluation.outlyingness import (
    PER_PARTICIPANT,
    distance_to_others,
    robust_distance,
    tail_threshold,
)
from medssl.evaluation.units import spread_rows


def people(seed: int = 0, count: int = 40, each: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    owners = np.repeat([f"p{i:03d}" for i in range(count)], each)
    z = np.repeat(rng.normal(size=(count, 6)), each, axis=0)
    return (z + 0.3 * rng.normal(size=z.shape)).astype(np.float32), owners


def test_neighbours_are_other_participants_records() -> None:
    z, owners = people()
    far = cdist(z, z)
    far[owners[:, None] == owners] = np.inf
    expected = np.sort(far, axis=1)[:, :10].mean(axis=1)
    for offset in (0, 500):
        found = distance_to_others(z + np.float32(offset), owners)
        assert found == pytest.approx(expected, rel=1e-3 if offset else 1e-5)


def test_long_recordings_are_searched_by_a_few_of_their_records() -> None:
    z, owners = people(each=12)
    base = spread_rows(owners, PER_PARTICIPANT)
    far = cdist(z, z[base])
    far[owners[:, None] == owners[base]] = np.inf
    expected = np.sort(far, axis=1)[:, :10].mean(axis=1)
    assert distance_to_others(z, owners) == pytest.approx(expected, rel=1e-5)


def test_few_others_are_averaged_over_and_none_is_not_a_number() -> None:
    z = np.array([[0.0], [3.0], [5.0]], dtype=np.float32)
    assert distance_to_others(z, np.array(list("abb"))) == pytest.approx([4, 3, 5])
    assert np.isnan(distance_to_others(z, np.array(list("aaa")))).all()


def test_outliers_do_not_move_the_robust_distance() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 3)) * [3, 2, 1]
    owners = np.arange(400)
    z[:20] = [40, -40, 3]
    found = robust_distance(z, owners)
    truth = np.linalg.norm(z / [3, 2, 1], axis=1)
    assert found[20:] == pytest.approx(truth[20:], rel=0.25, abs=0.3)
    assert found[:20].min() > 2 * found[20:].max()
    assert found.tolist() == robust_distance(z, owners).tolist()


def test_robust_distance_survives_degenerate_embeddings() -> None:
    assert robust_distance(np.ones((30, 4)), np.arange(30)).tolist() == [0] * 30
    z = np.random.default_rng(0).normal(size=(60, 2)) @ np.ones((2, 9))
    assert np.isfinite(robust_distance(z, np.arange(60))).all()


@pytest.mark.parametrize("draw", ["normal", "exponential", "t"])
def test_clean_tails_stay_below_the_threshold(draw: str) -> None:
    named = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = {
            "normal": lambda rng=rng: 5 + rng.normal(size=300),
            "exponential": lambda rng=rng: rng.exponential(size=300),
            "t": lambda rng=rng: np.abs(rng.standard_t(8, size=300)),
        }[draw]()
        named += int((values > tail_threshold(values, expected_false=0.05)).sum())
    assert named <= 10


def test_threshold_follows_the_scale_and_finds_what_is_far() -> None:
    values = 5 + np.random.default_rng(0).normal(size=300)
    values[:5] = 30
    limit = tail_threshold(values, expected_false=0.05)
    assert (values > limit).sum() == 5
    assert tail_threshold(7 * values, expected_false=0.05) == pytest.approx(7 * limit)
    assert tail_threshold(values, expected_false=5.0) < limit


def test_threshold_without_a_tail() -> None:
    assert tail_threshold(np.ones(19), expected_false=0.05) == np.inf
    copies = np.ones(100)
    copies[0] = 1.0001
    assert (copies > tail_threshold(copies, expected_false=0.05)).sum() == 0
    assert not (np.zeros(50) > tail_threshold(np.zeros(50), expected_false=0.05)).any()
