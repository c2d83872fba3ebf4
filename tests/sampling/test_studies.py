"""Images find the report of their study, and further images, as a plain search would find them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import StageError
from medssl.sampling.studies import Companions, match_studies, study_codes

PEOPLE = st.lists(st.integers(0, 4), min_size=1, max_size=30)


def slow(groups, apart, place):
    """The companions of a place, found one by one."""
    return [
        other
        for other in range(len(groups))
        if other != place
        and groups[other] == groups[place]
        and (apart is None or apart[other] != apart[place])
    ]


@settings(max_examples=100, deadline=None)
@given(PEOPLE, st.integers(0, 2**31), st.booleans())
def test_companions_are_those_of_a_slow_search(people, seed, longitudinal):
    groups = np.array([f"p{person}" for person in people])
    # A study belongs to one participant.
    numbers = np.random.default_rng(seed).integers(0, 3, size=len(people))
    apart = 10 * np.array(people) + numbers if longitudinal else None
    companions = Companions(groups, apart=apart)
    steps = np.arange(60) / 60  # every companion comes up: nobody has more than 30
    for place in range(len(people)):
        expected = slow(groups, apart, place)
        assert companions.counts[place] == len(expected)
        found = companions.draw(np.full(60, place), steps)
        assert set(found.tolist()) == set(expected or [place])


def test_companions_are_equally_likely():
    groups, apart = np.array([0, 1, 0, 0, 1, 0, 0]), np.array([5, 9, 5, 6, 9, 7, 7])
    uniforms = (np.arange(3000) + 0.5) / 3000
    found = Counter(Companions(groups, apart=apart).draw(np.zeros(3000, int), uniforms).tolist())
    assert found == {3: 1000, 5: 1000, 6: 1000}


def test_a_participant_with_thousands_of_images_takes_no_square_of_memory():
    many = Companions(np.zeros(20_000, dtype=np.int64))
    assert (many.counts == 19_999).all()
    held = [value.nbytes for value in vars(many).values() if isinstance(value, np.ndarray)]
    assert sum(held) < 20_000 * 8 * 8


def test_every_image_finds_the_report_of_its_own_study(studies_store):
    store = studies_store
    images, reports = store.rows(modality="radiograph"), store.rows(modality="report")
    found = match_studies(store, images, reports)
    for name in ("participant", "study"):
        left, right = store.column(name, found.images), store.column(name, found.reports)
        assert (left == right).all()
    assert (found.participants == store.column("participant", found.images)).all()
    studies = list(zip(found.participants, store.column("study", found.images), strict=True))
    numbers = dict(zip(studies, found.codes.tolist(), strict=True))
    assert [numbers[study] for study in studies] == found.codes.tolist()
    assert sorted(numbers.values()) == list(range(len(numbers)))
    # An image without a study, two of a study with two reports; those reports, one without image.
    assert found.alone == (3, 3)
    assert len(found) == len(images) - 3
    assert "two reports" not in store.column("study", found.images)


def test_images_and_reports_may_come_in_any_order(studies_store):
    store = studies_store
    images, reports = store.rows(modality="radiograph"), store.rows(modality="report")
    expected = match_studies(store, images, reports)
    found = match_studies(store, images[::-1], np.random.default_rng(0).permutation(reports))
    assert (found.images == expected.images[::-1]).all()
    assert (found.reports == expected.reports[::-1]).all()
    assert (found.codes == expected.codes[::-1]).all()


def test_no_report_of_any_study_is_an_error_that_says_what_to_do(studies_store):
    store = studies_store
    images = store.rows(modality="radiograph")
    alone = images[[study is None for study in store.column("study", images)]]
    assert len(alone) == 1
    for rows, reports in ((alone, store.rows(modality="report")), (images, images[:0])):
        with pytest.raises(StageError, match="ingest both with a rule for study"):
            match_studies(store, rows, reports)


def test_codes_of_studies_tell_them_apart(studies_store):
    store = studies_store
    rows = store.rows(modality="radiograph")
    codes = study_codes(store, rows)
    people, studies = store.column("participant", rows), store.column("study", rows)
    for i in range(len(rows)):
        same = (people == people[i]) & (studies == studies[i]) & (studies[i] is not None)
        same[i] = True
        assert ((codes == codes[i]) == same).all()
    assert sorted(set(codes.tolist())) == list(range(codes.max() + 1))
