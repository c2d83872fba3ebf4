import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

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


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(1, 3), st.integers(1, 3), st.integers(0, 20))
def test_several_pairs_of_one_participant_have_different_records(counts, size, each, epoch):
    if sum(n >= max(2, each) for n in counts) < size:
        return
    rows, participants = corpus(counts)
    owner = dict(zip(rows.tolist(), participants.tolist(), strict=True))
    made = sampler(counts, size * each, per_participant=each)
    batches = made.epoch(epoch)
    assert len(batches) == made.batches_per_epoch == made.n_participants // size
    for batch in batches:
        owners = [owner[row] for row in batch.first.tolist()]
        assert owners == [owner[row] for row in batch.second.tolist()]
        assert (batch.first != batch.second).all()
        assert sorted(Counter(owners).values()) == [each] * size
        assert len(set(batch.first.tolist())) == size * each


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(1, 3), st.integers(2, 3))
def test_every_participant_gives_equally_many_pairs(counts, size, each):
    if sum(n >= each for n in counts) < size:
        return
    made = sampler(counts, size * each, per_participant=each, level="segment", min_records=1)
    present = [n for n in counts if n > 0]
    seen = Counter({code: 0 for code, n in enumerate(present) if n >= each})
    for epoch in range(made.n_participants):
        for batch in made.epoch(epoch):
            seen.update(batch.participants.tolist())
        assert max(seen.values()) - min(seen.values()) <= each
    assert len(seen) == made.n_participants


def test_all_subsets_of_records_come_up_equally_often():
    made = sampler([5, 5], 2, per_participant=2, level="segment")
    subsets = Counter()
    for epoch in range(3000):
        for batch in made.epoch(epoch):
            if batch.participants[0] == 0:
                subsets[tuple(sorted(batch.first.tolist()))] += 1
    assert len(subsets) == 10
    expected = sum(subsets.values()) / 10
    chi2 = sum((n - expected) ** 2 / expected for n in subsets.values())
    assert chi2 < 27.9  # 99.9 % point for 9 degrees of freedom


def test_moments_are_drawn_as_they_were_matched():
    rows, participants = corpus([4] * 10)
    partners = rows + 5000
    made = PairSampler(
        rows, participants, batch_size=8, seed=3, partners=partners,
        config=PairConfig(level="moment", partner="ecg", per_participant=2),
    )  # fmt: skip
    batches = made.epoch(0) + made.epoch(1)
    assert all((batch.second == batch.first + 5000).all() for batch in batches)
    ranks = [
        PairSampler(
            rows, participants, batch_size=8, seed=3, partners=partners, rank=rank, world_size=2,
            config=PairConfig(level="moment", partner="ecg", per_participant=2),
        ).epoch(0)
        for rank in range(2)
    ]  # fmt: skip
    for whole, *parts in zip(made.epoch(0), *ranks, strict=True):
        for rank, part in enumerate(parts):
            assert (part.first == whole.first[rank::2]).all()
            assert (part.second == whole.second[rank::2]).all()


GOLDEN = [
    ({}, "072c32570dd819ae"),
    ({"per_participant": 2}, "257265f78780f66f"),
    ({"level": "segment", "min_records": 1}, "e3be0623941320fb"),
    ({"quality_weight": 2.0}, "5b45bb2a78480501"),
    ({"level": "moment", "partner": "ecg", "min_records": 1}, "93759e5067743635"),
]


@pytest.mark.parametrize(("config", "expected"), GOLDEN)
def test_draws_of_version_0_1_are_drawn_for_ever(config, expected):
    """Taken from the sampler of before there were studies: old runs can be repeated."""
    rows, participants = corpus([4, 1, 3, 7, 2, 5] * 5)
    made = PairSampler(
        rows, participants, batch_size=8, config=PairConfig(**config), seed=3,
        partners=rows + 5000 if "partner" in config else None,
        quality=np.linspace(0, 1, len(rows)),
    )  # fmt: skip
    state = hashlib.blake2b(digest_size=8)
    for batch in (batch for epoch in range(6) for batch in made.epoch(epoch)):
        for numbers in (batch.first, batch.second, batch.participants):
            state.update(numbers.astype("<i8").tobytes())
    assert state.hexdigest() == expected


def by_study(studies, batch_size, **config):
    """Images of studies: a list of the images of each study, for each participant."""
    counts = [n for person in studies for n in person]
    people = np.repeat(np.arange(len(studies)), [sum(person) for person in studies])
    codes = np.repeat(np.arange(len(counts)), counts)
    order = np.random.default_rng(1).permutation(len(codes))
    made = PairSampler(
        order + 100, people[order], batch_size=batch_size, seed=3, studies=codes[order],
        partners=codes[order] + 1000, config=PairConfig(**config),
    )  # fmt: skip
    return made, people, codes


STUDIES = st.lists(
    st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=2, max_size=12
).filter(lambda people: sum(map(len, people)) >= 3)


@settings(max_examples=40, deadline=None)
@given(STUDIES, st.integers(1, 3), st.sampled_from(["none", "study", "participant"]))
def test_studies_are_drawn_equally_often_with_their_report(studies, size, companion):
    made, people, codes = by_study(
        studies, size, level="study", partner="report", draw="study", companion=companion
    )
    seen = Counter(dict.fromkeys(range(codes.max() + 1), 0))
    for epoch in range(len(seen)):
        for batch in made.epoch(epoch):
            images = batch.first - 100
            assert (batch.second == codes[images] + 1000).all()
            assert (batch.participants == people[images]).all()
            assert len(set(codes[images])) == size
            seen.update(codes[images].tolist())
            others = batch.companions - 100
            if companion == "study":
                assert (codes[others] == codes[images]).all()
                alone = np.bincount(codes)[codes[images]] == 1
                assert ((others == images) == alone).all()
            elif companion == "participant":
                assert (people[others] == people[images]).all()
                assert ((others == images) | (codes[others] != codes[images])).all()
        assert max(seen.values()) - min(seen.values()) <= 1


@settings(max_examples=30, deadline=None)
@given(STUDIES)
def test_participants_are_drawn_equally_often_whatever_their_studies(studies):
    made, _, _ = by_study(studies, 2, level="study", partner="report")
    assert made.n_participants == len(studies)
    seen = Counter(dict.fromkeys(range(len(studies)), 0))
    for epoch in range(len(studies)):
        for batch in made.epoch(epoch):
            assert len(set(batch.participants.tolist())) == 2
            seen.update(batch.participants.tolist())
        assert max(seen.values()) - min(seen.values()) <= 1


def test_two_studies_of_a_participant_may_meet_in_a_batch():
    made, _, _ = by_study([[1, 1, 1], [1]], 4, level="study", partner="report", draw="study")
    (batch,) = made.epoch(0)
    assert sorted(batch.participants.tolist()) == [0, 0, 0, 1]


def test_two_images_of_a_study_are_a_pair_where_there_is_no_report():
    made, _, codes = by_study([[2, 1], [3], [1, 2], [1]], 3, level="study")
    assert (made.n_participants, made.n_left_out) == (3, 1)
    for batch in made.epoch(0) + made.epoch(1):
        assert (codes[batch.first - 100] == batch.second - 1000).all()


def test_places_name_the_same_record_in_every_epoch_and_rank():
    made, _, _ = by_study([[2, 1], [3], [1, 2]], 2, level="study", partner="report")
    known = {}
    for epoch in range(5):
        for batch in made.epoch(epoch):
            for place, row in zip(batch.places.tolist(), batch.first.tolist(), strict=True):
                assert known.setdefault(place, row) == row
    assert len(set(known.values())) == len(known)


def test_companions_leave_the_other_draws_as_they_were():
    bare, with_companions = (
        by_study([[2, 1], [3], [1, 2]] * 3, 4, level="study", partner="report", companion=name)[0]
        for name in ("none", "study")
    )
    for left, right in zip(bare.epoch(2), with_companions.epoch(2), strict=True):
        assert (left.first == right.first).all()
        assert (left.companions == left.first).all()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"level": "moment"}, "level: moment needs partner"),
        ({"level": "record"}, "level: record needs partner, the second modality: partner: table"),
        ({"partner": "ecg"}, "use level: moment or study, or drop partner"),
        ({"level": "study", "companion": "study"}, "use level: study and partner: report"),
        (
            {"level": "moment", "partner": "ecg", "companion": "participant"},
            "companion is a further image beside an image and its report",
        ),
        ({"level": "moment", "partner": "ecg", "draw": "study"}, "moments are drawn by participa"),
    ],
)
def test_what_does_not_belong_together_is_refused(config, says):
    with pytest.raises(ValidationError, match=says):
        PairConfig(**config)


def test_studies_cannot_be_drawn_without_their_numbers():
    rows, participants = corpus([3, 3])
    for config in ({"draw": "study"}, {"level": "study"}):
        with pytest.raises(ValueError, match="give the study of each row"):
            PairSampler(
                rows, participants, batch_size=2, config=PairConfig(**config), seed=0
            )  # fmt: skip


def test_minimum_records():
    assert sampler([5, 2, 5, 3], 2, min_records=4).n_participants == 2
    assert sampler([5, 2, 5, 3], 6, per_participant=3).n_participants == 3


def test_it_says_where_nobody_has_enough_records():
    with pytest.raises(StageError, match=r"none of 3 participant\(s\) has at least 2 record"):
        sampler([1, 1, 1], 2)


def test_too_large_batches_say_what_would_fit():
    with pytest.raises(StageError, match="set pretrain.batch_size to 2 or less"):
        sampler([3, 1, 2], 3)
    with pytest.raises(StageError, match="does not divide by 3 processes"):
        sampler([3] * 20, 8, world_size=3)
    with pytest.raises(StageError, match=r"does not divide by pairs.per_participant 3: use 6"):
        sampler([3] * 20, 8, per_participant=3)
    with pytest.raises(StageError, match="set pretrain.batch_size to 6 or less, or raise pairs"):
        sampler([3, 3, 2], 9, per_participant=3)
