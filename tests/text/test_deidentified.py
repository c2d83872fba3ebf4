"""Words that were taken out are one token, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.deidentified import DEID, has_deidentified, with_token, without

TEXTS = st.lists(
    st.sampled_from(
        [
            "XXXX",
            "___",
            "_____",
            "[**2101-1-1**]",
            "x-XXXX.",
            "No",
            "edema.",
            "xx",
            "__",
            "[DEID]",
            "XXX",
        ]
    )
).map(" ".join)


@pytest.mark.parametrize(
    "text",
    ["Seen on XXXX.", "Seen on ___.", "Seen on ______.", "Seen on [**Date 1**].", "Seen on xxxx."],
)
def test_all_spellings_are_the_same_token(text):
    assert has_deidentified(text)
    assert with_token(text) == "Seen on [DEID]."
    assert with_token(text, lowercase=True) == "seen on [DEID]."
    assert without(text) == "Seen on."


@pytest.mark.parametrize("text", ["XXX ribs", "a__b", "30 x 40", "[DE]"])
def test_other_texts_stay(text):
    assert not has_deidentified(text)
    assert with_token(text) == without(text) == text


@given(TEXTS, st.booleans())
def test_mapping_twice_changes_nothing(text, lowercase):
    once = with_token(text, lowercase=lowercase)
    assert with_token(once, lowercase=lowercase) == once
    gone = without(text, lowercase=lowercase)
    assert DEID not in gone
    assert not has_deidentified(gone)
    assert without(gone, lowercase=lowercase) == gone
