"""What a policy reads of a report."""

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medssl.text.errors import MISSING_SECTIONS, TextError
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_sentences, chosen_text, normalised, prepared, text_digest
from medssl.text.report import Report, Section

STORED = (
    "INDICATION: Cough.\nFINDINGS: Heart of XXXX size. No Effusion.\n"
    "IMPRESSION: 1. Normal. 2. No edema."
)
PIECES = [
    "1. No edema.",
    "Compared to XXXX.",
    "Clear lungs",
    "___",
    ".",
    "2.5 cm.",
    "XXXX.",
    "Dr. A. B",
]
SECTIONS = st.sampled_from(["findings", "impression", "indication", "text", "last paragraph"])
REPORTS = st.lists(
    st.tuples(SECTIONS, st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(" ".join)),
    min_size=1,
    max_size=4,
).map(lambda pairs: Report(tuple(Section(n, t, 0) for n, t in pairs), "plain").to_text())
POLICIES = st.builds(
    TextPolicy,
    missing=st.sampled_from(["skip", "other", "last_paragraph"]),
    deidentified=st.sampled_from(["token", "remove", "drop_sentence"]),
    lowercase=st.booleans(),
)


def test_sections_are_read_in_the_order_of_the_policy():
    policy = TextPolicy(sections=("impression", "findings"), lowercase=False)
    assert chosen_text(STORED, policy) == (
        "1. Normal. 2. No edema. Heart of [DEID] size. No Effusion."
    )
    assert chosen_sentences(STORED, policy) == (
        "Normal.",
        "No edema.",
        "Heart of [DEID] size.",
        "No Effusion.",
    )


@pytest.mark.parametrize(
    ("missing", "text"),
    [("skip", None), ("other", "cough. clear. done."), ("last_paragraph", "clear. done.")],
)
def test_reports_without_the_sections(missing, text):
    stored = "HISTORY: Cough.\nLAST PARAGRAPH: Clear. Done."
    policy = TextPolicy(missing=missing)
    assert chosen_text(stored, policy) == text
    assert " ".join(chosen_sentences(stored, policy)) == (text or "")


def test_the_last_section_stands_in_for_a_last_paragraph():
    policy = TextPolicy(missing="last_paragraph")
    assert chosen_text("HISTORY: Cough.\nCOMMENT: Clear.", policy) == "clear."


def test_missing_sections_can_be_an_error_that_names_them_and_no_text():
    with pytest.raises(TextError, match="without findings or impression") as caught:
        chosen_text("HISTORY: Secretive cough.", TextPolicy(missing="error"))
    assert caught.value.code == MISSING_SECTIONS
    assert "Secretive" not in str(caught.value)


def test_words_that_were_taken_out_follow_the_policy():
    def read(how):
        return chosen_text(STORED, TextPolicy(sections=("findings",), deidentified=how))

    assert read("token") == "heart of [DEID] size. no effusion."
    assert read("remove") == "heart of size. no effusion."
    assert read("drop_sentence") == "no effusion."
    only = "FINDINGS: Compared to XXXX."
    assert chosen_text(only, TextPolicy(deidentified="drop_sentence")) is None
    assert chosen_text("", TextPolicy()) is None


@given(REPORTS, POLICIES)
@example("FINDINGS: Clear lungs 1. No edema. ___ 1. No edema.", TextPolicy())
def test_text_and_sentences_agree(stored, policy):
    text, sentences = chosen_text(stored, policy), chosen_sentences(stored, policy)
    assert (text is None) == (sentences == ())
    if text is not None:
        # In the order of the text, which may hold numbers of a list besides.
        words = iter(normalised(text).split())
        assert all(word in words for word in normalised(" ".join(sentences)).split())
        for sentence in sentences:
            assert sentence in text
            assert prepared(sentence, policy) == sentence
        assert (
            policy.lowercase is False
            or text.replace("[DEID]", "") == text.replace("[DEID]", "").lower()
        )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("No effusion.", "NO  EFFUSION", True),
        ("1. No effusion.", "No effusion", True),
        ("Compared to XXXX.", "compared to ___", True),
        ("x-ray: clear", "x ray clear", True),
        ("2.5 cm", "25 cm", False),
        ("2.5 cm", "2 5 cm", False),
        ("No effusion.", "Effusion.", False),
        ("left", "right", False),
        ("1. Clear. 2. Normal.", "Clear. Normal.", True),
    ],
)
def test_texts_with_the_same_words_have_the_same_digest(one, other, same):
    assert (normalised(one) == normalised(other)) is same
    assert (text_digest(one) == text_digest(other)) is same


def test_the_digest_is_the_same_in_every_process():
    code = "from medssl.text.reading import text_digest; print(text_digest('No effusion.'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == text_digest("no effusion") == 6481998513258075056
    assert 0 <= text_digest("") < 2**63
