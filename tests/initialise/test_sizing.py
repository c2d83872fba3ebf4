from __future__ import annotations

from collections import Counter

import pytest

from medssl.errors import ConfigError
from medssl.initialise.sizing import choose_rate, choose_sizes
from medssl.types import Modality


def sizes(durations, people, **options):
    settings = {"source": "x", "scored": False} | options
    return choose_sizes(Modality.ECG, 128.0, people, durations, **settings)


@pytest.mark.parametrize(
    ("modality", "rates", "chosen"),
    [
        (Modality.ECG, {500.0: 10}, 128),
        (Modality.ECG, {100.0: 10}, 100),
        (Modality.ECG, {100.0: 50, 500.0: 50}, 100),
        (Modality.ECG, {30.0: 1, 500.0: 99}, 128),
        (Modality.PPG, {62.4725: 10}, 62.4725),
        (Modality.RESPIRATION, {125.0: 10}, 25),
    ],
)
def test_rate(modality, rates, chosen):
    assert choose_rate(modality, rates) == chosen


@pytest.mark.parametrize(
    ("seconds", "recordings", "segment"),
    [(20.0, 2, 10), (2.1, 3, 2.1), (10.0, 1, 5), (7.0, 1, 3), (1805.0, 1, 10), (0.9, 2, 0.9)],
)
def test_segments_give_nearly_everyone_two(seconds, recordings, segment):
    people = [str(k) for k in range(20) for _ in range(recordings)]
    chosen = sizes([seconds] * len(people), people)
    assert chosen.segment_seconds == pytest.approx(segment)
    assert min(chosen.trained) >= 2


def test_few_short_recordings_do_not_decide():
    durations = [0.5] + [30.0] * 39
    chosen = sizes(durations, [str(k // 2) for k in range(40)])
    assert chosen.segment_seconds == 10
    assert chosen.short == 1


def test_recordings_that_cannot_be_used_give_no_pairs():
    people = [str(k // 2) for k in range(40)]
    everyone = sizes([20.0] * 40, people)
    half = sizes([20.0] * 20 + [0.0] * 20, people)
    assert half.segments == everyone.segments // 2
    assert 2 <= half.batch_size(1.0) < everyone.batch_size(1.0)


def test_what_was_not_looked_at_counts_as_the_rest():
    people = [str(k // 4) for k in range(400)]
    looked = [20.0 if k % 4 == 0 else None for k in range(400)]
    assert sizes(looked, people).segments == 800
    partly = [(20.0 if k % 8 else 0.0) if k % 4 == 0 else None for k in range(400)]
    assert sizes(partly, people).usable == 0.5


def test_a_batch_never_needs_more_pairs_than_there_are():
    for count in (4, 5, 8, 20, 100, 1000):
        people = [str(k // 2) for k in range(2 * count)]
        chosen = sizes([5.0] * len(people), people, scored=True)
        assert 2 <= chosen.batch_size(1.0) <= min(64, len(chosen.trained))
        assert chosen.batch_size(0.6) <= chosen.batch_size(1.0)


def test_probes_get_participants_to_score():
    people = [str(k // 2) for k in range(100)]
    kept = sizes([20.0] * 100, people, scored=True).participants
    assert kept["test"] >= 12
    assert kept["train"] >= 20
    assert Counter(kept).total() == 50


def test_too_little_is_refused():
    with pytest.raises(ConfigError, match="at least 4"):
        sizes([20.0] * 6, ["a", "a", "b", "b", "c", "c"])
    with pytest.raises(ConfigError, match="too short"):
        sizes([0.1] * 20, [str(k // 2) for k in range(20)])
