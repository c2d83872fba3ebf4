from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import StageError
from medssl.sampling.pairs import PairConfig, PairSampler


def corpus(counts):
    participants = np.repeat([f"p{i:03d}" for i in range(len(counts))], counts)
    order = np.random.default_rng(0).permutation(len(participants))
    return np.arange(1000, 1000 + len(participants)), participants[order]


def sampler(counts, batch_size, *, rank=0, world_size=1, **config):
    rows, participants = corpus(counts)
    return PairSampler(
        rows, participants, batch_size=batch_size, config=PairConfig(**config), seed=3,
        rank=rank, world_size=world_size,
    )  # fmt: skip


COUNTS = st.lists(st.integers(0, 6), min_size=4, max_size=40).filter(
    lambda c: sum(n >= 2 for n in c) >= 3
)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(1, 3), st.integers(0, 20))
def test_pairs_are_two_records_of_one_participant_and_batches_of_many(counts, size, epoch):
    rows, participants = corpus(counts)
    owner = dict(zip(rows.tolist(), participants.tolist(), strict=True))
    for batch in sampler(counts, size).epoch(epoch):
        owners = [owner[row] for row in batch.first.tolist()]
        assert owners == [owner[row] for row in batch.second.tolist()]
        assert (batch.first != batch.second).all()
        assert len(set(owners)) == size == len(set(batch.participants.tolist()))


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(1, 3))
def test_every_participant_is_drawn_equally_often(counts, size):
    made = sampler(counts, size)
    present = [n for n in counts if n > 0]
    seen = Counter({code: 0 for code, n in enumerate(present) if n >= 2})
    for epoch in range(made.n_participants):
        for batch in made.epoch(epoch):
            seen.update(batch.participants.tolist())
        assert max(seen.values()) - min(seen.values()) <= 1
    assert len(seen) == made.n_participants
    assert made.n_left_out == sum(0 < n < 2 for n in counts)


def test_all_ordered_pairs_of_records_come_up_equally_often():
    made = sampler([3, 2], 1)
    pairs = Counter()
    for epoch in range(3000):
        for batch in made.epoch(epoch):
            if batch.participants[0] == 0:
                pairs[(int(batch.first[0]), int(batch.second[0]))] += 1
    assert len(pairs) == 6
    expected = sum(pairs.values()) / 6
    chi2 = sum((n - expected) ** 2 / expected for n in pairs.values())
    assert chi2 < 20.5  # 99.9 % point for 5 degrees of freedom


def test_ranks_share_the_global_batch():
    whole = sampler([4] * 20, 8).epoch(5)
    parts = [sampler([4] * 20, 8, rank=rank, world_size=4).epoch(5) for rank in range(4)]
    for position, batch in enumerate(whole):
        for rank in range(4):
            assert (parts[rank][position].first == batch.first[rank::4]).all()
            assert (parts[rank][position].second == batch.second[rank::4]).all()


def test_epochs_differ_and_repeat():
    made = sampler([4] * 20, 5)
    first = [b.first.tolist() for b in made.epoch(0)]
    assert first == [b.first.tolist() for b in sampler([4] * 20, 5).epoch(0)]
    assert first != [b.first.tolist() for b in made.epoch(1)]


def test_segment_level_pairs_use_one_segment_twice():
    made = sampler([1, 2, 3], 3, level="segment", min_records=1)
    for batch in made.epoch(0):
        assert (batch.first == batch.second).all()


def test_minimum_records():
    assert sampler([5, 2, 5, 3], 2, min_records=4).n_participants == 2


def test_too_large_batches_say_what_would_fit():
    with pytest.raises(StageError, match="set pretrain.batch_size to 2 or less"):
        sampler([3, 1, 2], 3)
    with pytest.raises(StageError, match="does not divide by 3 processes"):
        sampler([3] * 20, 8, world_size=3)
