"""Opposites: the words that turn the meaning are all that changes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.findings import label_findings
from medssl.text.opposites import opposite

TURNED = [
    ("No pleural effusion.", "Pleural effusion."),
    ("no pleural effusion.", "pleural effusion."),
    ("There is no pneumothorax.", "There is pneumothorax."),
    ("There is a small nodule.", "There is no small nodule."),
    ("There are some nodules.", "There are no nodules."),
    ("Clear lungs without effusion.", "Clear lungs with effusion."),
    ("Cardiomegaly with a small effusion.", "Cardiomegaly without small effusion."),
    ("Pneumothorax is not seen.", "Pneumothorax is seen."),
    ("The heart is enlarged.", "The heart is not enlarged."),
    ("Negative for pneumonia.", "Positive for pneumonia."),
    ("Normal heart size.", "Abnormal heart size."),
    ("Mild pulmonary edema.", "No mild pulmonary edema."),
    ("Heart size is within normal limits.", "Heart size is not within normal limits."),
]
SAME = [
    "Stable chest.",
    "No change.",
    "No longer seen",
    "Compatible with scarring.",
    "",
    "Two views.",
    "Bright lights.",
    "Right and left lungs.",
]
TURNS = {
    "no",
    "not",
    "without",
    "with",
    "a",
    "an",
    "some",
    "left",
    "right",
    "negative",
    "positive",
    "normal",
    "abnormal",
}
PARTS = [
    "no",
    "there is",
    "there are",
    "a",
    "left",
    "Right-sided",
    "effusion",
    "with",
    "without",
    "not",
    "is",
    "seen",
    "the lungs",
    "are",
    "clear",
    "LEFT",
    "[DEID]",
    "small",
    "and",
    "No",
]


@pytest.mark.parametrize(("sentence", "other"), TURNED)
def test_a_denial_is_taken_out_or_put_in(sentence, other):
    assert opposite(sentence, 0.0) == other


@pytest.mark.parametrize(
    ("sentence", "other"),
    [
        ("Scar in the left base.", "Scar in the right base."),
        ("RIGHT BASE SCAR", "LEFT BASE SCAR"),
        ("Right-sided port.", "Left-sided port."),
        ("Left hilum, left base.", "Right hilum, right base."),
        ("leftward shift", "rightward shift"),
    ],
)
def test_the_side_is_exchanged_in_its_letters(sentence, other):
    assert opposite(sentence, 0.99) == other


@pytest.mark.parametrize("sentence", SAME)
def test_some_sentences_have_no_opposite(sentence):
    assert opposite(sentence, 0.5) is None


def test_the_uniform_number_chooses_among_what_is_possible():
    sentence = "No left effusion."
    found = [opposite(sentence, step / 10) for step in range(10)]
    assert found == ["Left effusion."] * 5 + ["No right effusion."] * 5


@given(st.lists(st.sampled_from(PARTS), max_size=8).map(" ".join), st.floats(0, 1))
def test_nothing_but_the_turning_words_changes(sentence, uniform):
    other = opposite(sentence, uniform)
    assert other == opposite(sentence, uniform)
    if other is None:
        return
    assert other != sentence

    def rest(text):
        return [word for word in re.findall(r"\w+", text.lower()) if word not in TURNS]

    assert rest(other) == rest(sentence)
    before, after = (re.findall(r"\w+", text.lower()) for text in (sentence, other))
    assert abs(len(after) - len(before)) <= 1


@pytest.mark.parametrize(
    "sentence", [pair[0] for pair in TURNED if "heart size" not in pair[0].lower()]
)
def test_the_rules_for_findings_read_the_opposite_as_one(sentence):
    """Turned once, some label is the other one of present and absent."""
    before, after = label_findings(sentence), label_findings(opposite(sentence, 0.0))
    turned = {n for n in before if n in after and {before[n], after[n]} == {"present", "absent"}}
    assert turned - {"no finding"}
