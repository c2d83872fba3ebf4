from __future__ import annotations

import hashlib
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medssl.errors import StageError
from medssl.sampling.pairs import PairConfig, PairSampler
from medssl.sampling.weights import RecordWeights


def sampler(quality, *, batch_size=1, **config):
    """One participant a list of qualities; rows are numbered from 100 in that order."""
    participants = np.repeat([f"p{i}" for i in range(len(quality))], [len(q) for q in quality])
    return PairSampler(
        np.arange(100, 100 + len(participants)), participants, batch_size=batch_size, seed=3,
        config=PairConfig(**{"quality_weight": 1.0} | config),
        quality=np.concatenate(quality).astype(np.float32),
    )  # fmt: skip


def sequential(weights, wanted):
    """Probability of every ordered choice without replacement, one draw after the other."""
    found = {}
    for chosen in permutations(range(len(weights)), wanted):
        probability, left = 1.0, float(np.sum(weights))
        for one in chosen:
            probability *= weights[one] / left
            left -= weights[one]
        found[chosen] = probability
    return found


def assert_as_expected(counts, expected):
    keys = sorted(expected)
    total = sum(counts.values())
    assert set(counts) <= set(keys)
    observed = [counts[key] for key in keys]
    assert stats.chisquare(observed, [expected[key] * total for key in keys]).pvalue > 1e-3


@pytest.mark.parametrize(("exponent", "quality"), [
    (1.0, [0.9, 0.3, 0.6]), (2.0, [0.9, 0.3, 0.6, 0.8]), (0.5, [1.0, 0.01]),
])  # fmt: skip
def test_pairs_come_up_as_often_as_their_weights_say(exponent, quality):
    made = sampler([quality, [0.5, 0.5]], quality_weight=exponent)
    counts = Counter()
    for epoch in range(4000):
        for batch in made.epoch(epoch):
            if batch.participants[0] == 0:
                counts[(int(batch.first[0]) - 100, int(batch.second[0]) - 100)] += 1
    assert_as_expected(counts, sequential(np.array(quality) ** exponent, 2))


def test_several_first_records_come_up_as_often_as_their_weights_say():
    quality = [0.9, 0.3, 0.6, 0.1]
    made = sampler([quality, [0.5] * 4], batch_size=2, per_participant=2, level="segment")
    counts = Counter()
    for epoch in range(6000):
        for batch in made.epoch(epoch):
            if batch.participants[0] == 0:
                counts[tuple((batch.first - 100).tolist())] += 1
    assert_as_expected(counts, sequential(np.array(quality), 2))


def test_participants_stay_uniform():
    made = sampler([[1.0] * 4, [0.01] * 4, [0.0, 0.0, 1.0]])
    seen = Counter(int(b.participants[0]) for e in range(30) for b in made.epoch(e))
    assert set(seen.values()) == {30}


def test_a_participant_whose_records_are_all_of_quality_0_is_drawn_evenly():
    made = sampler([[0.0, 0.0, 0.0], [0.5, 0.5]])
    counts = Counter()
    for epoch in range(3000):
        for batch in made.epoch(epoch):
            if batch.participants[0] == 0:
                counts[(int(batch.first[0]) - 100, int(batch.second[0]) - 100)] += 1
    assert_as_expected(counts, sequential([1.0, 1.0, 1.0], 2))


@pytest.mark.parametrize("quality", [[0.9, 0.1], [1.0, 0.0], [0.0, 0.0], [1.0, 1e-30]])
def test_two_records_always_make_the_pair(quality):
    made = sampler([quality])
    pairs = [made.epoch(epoch)[0] for epoch in range(500)]
    assert all({*b.first.tolist(), *b.second.tolist()} == {100, 101} for b in pairs)
    share = np.mean([b.first[0] == 100 for b in pairs])
    assert share == pytest.approx(quality[0] / sum(quality) if sum(quality) else 0.5, abs=0.07)


def test_records_of_quality_0_are_left_aside_when_there_are_others():
    made = sampler([[0.0, 0.7, 0.0, 0.4, 0.0]])
    for epoch in range(500):
        (batch,) = made.epoch(epoch)
        assert {int(batch.first[0]), int(batch.second[0])} == {101, 103}


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1e-12, 0.3, 1.0]), min_size=3, max_size=6),
        min_size=2, max_size=8,
    ),
    st.integers(1, 3),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.integers(0, 9),
)  # fmt: skip
def test_pairs_are_different_records_of_one_participant(quality, each, exponent, epoch):
    made = sampler(quality, batch_size=each, per_participant=each, quality_weight=exponent)
    owner = np.repeat(np.arange(len(quality)), [len(q) for q in quality])
    for batch in made.epoch(epoch):
        first, second = batch.first - 100, batch.second - 100
        assert (first != second).all()
        assert len(set(first.tolist())) == each
        assert set(owner[first]) == set(owner[second]) == {int(batch.participants[0])}


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True), st.integers(0, 99))
def test_the_largest_uniform_stays_inside_the_participant(count, uniform, seed):
    quality = np.random.default_rng(seed).random(3 * count)
    weights = RecordWeights(quality, 1.0, np.arange(3) * count)
    for value in (uniform, 0.0, np.nextafter(1.0, 0.0)):
        picks = weights.draw(np.full((3, count), value), np.arange(3) * count, np.full(3, count))
        assert (np.sort(picks, axis=1) == np.arange(count)).all()


def test_ranks_share_the_global_batch():
    quality = np.random.default_rng(0).random(60)
    people = np.repeat([f"p{i}" for i in range(20)], 3)

    def epoch(rank, world_size):
        return PairSampler(
            np.arange(60), people, batch_size=8, seed=1, quality=quality, rank=rank,
            world_size=world_size, config=PairConfig(quality_weight=2.0),
        ).epoch(5)  # fmt: skip

    parts = [epoch(rank, 4) for rank in range(4)]
    for position, whole in enumerate(epoch(0, 1)):
        for rank in range(4):
            assert (parts[rank][position].first == whole.first[rank::4]).all()
            assert (parts[rank][position].second == whole.second[rank::4]).all()


def test_without_weight_the_batches_are_those_of_before():
    """A fixed number: a change of it changes every training run."""
    people = np.repeat([f"p{i:03d}" for i in range(20)], np.arange(20) % 5 + 1)
    people = people[np.random.default_rng(0).permutation(len(people))]
    state = hashlib.blake2b(digest_size=8)
    for level in ("participant", "segment"):
        made = PairSampler(
            np.arange(len(people)), people, batch_size=6, seed=3, config=PairConfig(level=level),
            quality=np.full(len(people), np.nan),
        )  # fmt: skip
        for epoch in range(4):
            for batch in made.epoch(epoch):
                for rows in (batch.first, batch.second, batch.participants):
                    state.update(np.asarray(rows, dtype="<i8").tobytes())
    assert state.hexdigest() == "38f7e09df06d86dd"


def test_records_without_quality_are_an_error():
    with pytest.raises(StageError, match=r"1 of 3 record\(s\) have no quality: ingest them with"):
        sampler([[0.5, np.nan, 0.1]])
    with pytest.raises(StageError, match="set pairs.quality_weight to 0"):
        PairSampler(
            np.arange(2), np.array(["a", "a"]), batch_size=1, seed=0,
            config=PairConfig(quality_weight=0.5),
        )  # fmt: skip
