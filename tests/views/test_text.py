from collections import Counter

import pytest
from pydantic import ValidationError

from medssl.errors import StageError
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_text
from medssl.views import text as module
from medssl.views.text_config import TextViewsConfig

REPORT = (
    "INDICATION: Cough for two weeks.\n"
    "FINDINGS: Heart size is 2.5 cm wider. No effusion. Lungs are clear.\n"
    "IMPRESSION: 1. No acute disease. 2. Old fracture."
)
SENTENCES = [
    "heart size is 2.5 cm wider.", "no effusion.", "lungs are clear.", "no acute disease.",
    "old fracture.",
]  # fmt: skip


def views(policy=None, **settings):
    return TextViewsConfig(**settings).build(policy or TextPolicy())


def test_published_default_is_one_sentence():
    assert TextViewsConfig().draw == "sentence"
    assert TextViewsConfig().kind == "text"


def test_each_sentence_of_the_policys_sections_is_equally_likely():
    drawn = views().draw([REPORT] * 4000, seed=0)
    counts = Counter(drawn)
    assert set(counts) == set(SENTENCES)
    assert max(abs(count / 4000 - 1 / 5) for count in counts.values()) < 0.02


def test_sections_are_the_policys():
    drawn = views(TextPolicy(sections=("impression",))).draw([REPORT] * 50, seed=1)
    assert set(drawn) == set(SENTENCES[3:])


def test_redrawn_with_every_seed_and_the_same_with_the_same():
    once = views().draw([REPORT] * 20, seed=7)
    assert views().draw([REPORT] * 20, seed=7) == once
    assert views().draw([REPORT] * 20, seed=8) != once


def test_a_draw_depends_on_seed_position_and_report_alone():
    other = "FINDINGS: Normal. Clear."
    once = views().draw([REPORT] * 9, seed=3)
    assert views().draw([REPORT] * 4, seed=3) == once[:4]
    mixed = views().draw([REPORT, other, REPORT, other, REPORT], seed=3)
    assert mixed[::2] == once[:5:2]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_several_sentences_keep_the_reports_order_and_none_comes_twice(count):
    seen = Counter()
    for drawn in views(draw="sentences", sentences=count).draw([REPORT] * 600, seed=0):
        parts = [sentence for sentence in SENTENCES if sentence in drawn]
        assert drawn == " ".join(parts)
        assert len(parts) == count
        seen.update(parts)
    assert all(abs(seen[sentence] / 600 - count / 5) < 0.08 for sentence in SENTENCES)


def test_more_sentences_than_there_are_is_all_of_them():
    assert views(draw="sentences", sentences=9).draw([REPORT], seed=0) == [" ".join(SENTENCES)]


def test_a_whole_report_is_what_is_embedded():
    policy = TextPolicy()
    assert views(policy, draw="report").draw([REPORT], seed=5) == [chosen_text(REPORT, policy)]


def test_policies_do_not_share_what_was_read():
    cased = TextPolicy(lowercase=False, sections=("impression",))
    lower = TextPolicy(sections=("impression",))
    for _ in range(2):
        assert set(views(cased).draw([REPORT] * 30, seed=0)) == {
            "No acute disease.",
            "Old fracture.",
        }
        assert set(views(lower).draw([REPORT] * 30, seed=0)) == set(SENTENCES[3:])


def test_a_report_is_read_once(monkeypatch):
    calls = []

    def chosen(text, policy):
        calls.append(text)
        return ("one.",)

    monkeypatch.setattr("medssl.text.reading.chosen_sentences", chosen)
    module._sentences.cache_clear()
    try:
        views().draw(["FINDINGS: One.", "FINDINGS: Two.", "FINDINGS: One."], seed=0)
        views().draw(["FINDINGS: Two."], seed=1)
    finally:
        module._sentences.cache_clear()
    assert calls == ["FINDINGS: One.", "FINDINGS: Two."]


@pytest.mark.parametrize("draw", ["sentence", "sentences", "report"])
def test_a_report_that_says_nothing_is_an_error_without_its_text(draw):
    with pytest.raises(StageError, match="1 of 2 reports say nothing") as caught:
        views(draw=draw).draw([REPORT, "INDICATION: Secret cough."], seed=0)
    assert "ecret" not in str(caught.value)


def test_no_sentence_at_all_is_refused():
    with pytest.raises(ValidationError):
        TextViewsConfig(draw="sentences", sentences=0)
