"""Sentences: decimals, enumerations and abbreviations stay whole; nothing is lost."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medssl.text.sentences import split_sentences

CASES = [
    (["Nodule of 2.5 cm.", "No effusion."], " "),
    (["1. No acute disease.", "2. Stable 1.2 x 3.4 cm mass.", "3. COPD."], " "),
    (["1) Clear lungs.", "2) No effusion."], " "),
    (["1. No acute disease", "2. Stable nodule", "3. COPD"], " "),
    (["Chest", "1. No acute disease.", "2. COPD."], " "),
    (["Seen with Dr. XXXX at 3 p.m. on XXXX.", "XXXX lungs are clear."], " "),
    (["Compared to ___.", "No effusion."], " "),
    (["Atelectasis vs. scarring, e.g. of the base.", "normal heart."], " "),
    (["Edema?", "Yes!", "No."], " "),
    (["Heart normal", "No edema"], "\n\n"),
    (["Lungs are clear.", "There is no edema."], ""),
    (["Volume of 5.", "No change."], " "),
    (["Distance is 3 cm.", "No edema."], " "),
    (["A 2 cm. nodule in the base."], " "),
    (["(1) Clear.", "(2) Normal."], " "),
    (["Old fracture of T12.", "Heart is normal."], " "),
    (["Clear lungs. ."], " "),
]


@pytest.mark.parametrize(("sentences", "between"), CASES)
def test_a_text_is_cut_where_its_sentences_end(sentences, between):
    found = split_sentences(between.join(sentences))
    assert [sentence.text for sentence in found] == sentences


WORDS = st.sampled_from(
    [
        "1.",
        "2)",
        "3.",
        "2.5",
        "cm.",
        "No",
        "effusion.",
        "XXXX.",
        "___.",
        "Dr.",
        "e.g.",
        "p.m.",
        "?",
        "..",
        "Heart",
        "(left).",
        "lung.The",
        "\n\n",
        "\n",
        "é.",
        "A",
        ".",
        "10.",
    ]
)


@given(st.one_of(st.lists(WORDS, max_size=20).map(" ".join), st.text(max_size=60)))
def test_every_character_but_white_space_is_in_one_sentence_in_order(text):
    sentences = split_sentences(text)
    place = 0
    for sentence in sentences:
        assert text[place : sentence.start].strip() == ""
        assert text[sentence.start : sentence.stop] == sentence.text == sentence.text.strip() != ""
        place = sentence.stop
    assert text[place:].strip() == ""


@example(Decimal("2.0"), "x 2.0 cm")
@given(st.decimals(0, 99, places=1), st.sampled_from(["cm", "mm", "x 2.0 cm"]))
def test_decimals_are_never_cut(number, unit):
    text = f"Nodule of {number} {unit} in the base. It measures {number}. {number} {unit} mass."
    said = [f"{number} {unit}", f"{number}.", f"{number} {unit}"]
    assert [s.text.count(one) for s, one in zip(split_sentences(text), said, strict=True)] == [
        1
    ] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1. No edema.", "No edema."),
        ("2)Stable.", "Stable."),
        ("2.5 cm mass.", "2.5 cm mass."),
        ("1.", "1."),
        ("(3) COPD", "COPD"),
        ("12 ribs.", "12 ribs."),
    ],
)
def test_numbers_of_an_enumeration_can_be_taken_off(text, said):
    assert [sentence.unmarked for sentence in split_sentences(text)] == [said]


def test_time_grows_with_the_length_alone():
    for piece in ("e.g. ", ". ", "1. A ", "1. ", " ", "\n", "a.b "):
        text = piece * 40_000
        joined = "".join(sentence.text for sentence in split_sentences(text))
        assert "".join(joined.split()) == "".join(text.split())
