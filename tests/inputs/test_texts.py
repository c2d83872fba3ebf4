"""Reports of a store become tokens by the policy of the contract, and so do texts at hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.contracts import TextContract
from medssl.errors import ContractError, StageError
from medssl.inputs import make_inputs
from medssl.inputs.texts import TextInputs
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_sentences, chosen_text
from medssl.text.tokenizer import train_tokenizer
from medssl.types import Modality
from medssl.views.text_config import TextViewsConfig

TOKENIZER = train_tokenizer(["No pleural effusion. Heart size is normal."] * 2, vocabulary=80)


def inputs(tokens=24, **policy):
    contract = TextContract(
        modality=Modality.REPORT, policy=TextPolicy.model_validate(policy),
        tokenizer=TOKENIZER.digest, tokens=tokens,
    )  # fmt: skip
    return TextInputs(contract, TOKENIZER)


def test_plain_texts_are_whole_reports_without_their_headers():
    made = inputs()
    tokens = made.plain(["INDICATION: Heart.\nFINDINGS: No effusion.", "FINDINGS: Normal."])
    said = [TOKENIZER.decode(row) for row in tokens.ids]
    assert said == ["no effusion.", "normal."]
    assert tokens.mask.sum(dim=1).tolist() == [
        len(TOKENIZER.encode([text], tokens=24)[0][0]) for text in said
    ]
    assert (tokens.ids[~tokens.mask] == TOKENIZER.pad_id).all()


def test_views_draw_sentences_and_the_seed_decides():
    made = inputs()
    report = "FINDINGS: No pleural effusion. Heart size is normal. Size is pleural."
    views = TextViewsConfig().build()
    drawn = {TOKENIZER.decode(made.viewed([report], views, seed=seed).ids[0]) for seed in range(40)}
    assert drawn == {"no pleural effusion.", "heart size is normal.", "size is pleural."}
    first = made.viewed([report] * 3, views, seed=1)
    assert torch.equal(made.viewed([report] * 3, views, seed=1).ids, first.ids)


def test_usable_reports_have_what_the_policy_reads(studies_store):
    store = studies_store
    rows = store.rows(modality="report")
    kept = inputs().usable(store, rows)
    left_out = sorted(set(rows.tolist()) - set(kept.tolist()))
    assert [store.read_record(row) for row in left_out] == ["INDICATION: Cough."]
    assert len(inputs(missing="other").usable(store, rows)) == len(rows)
    assert len(inputs(sections=["history"]).usable(store, rows)) == 0


PIECES = st.lists(
    st.sampled_from(["1.", "No effusion.", "XXXX", "___", "2.5 cm.", "?", "-", "()", "1) ", "a"]),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(PIECES, st.sampled_from(["token", "remove", "drop_sentence"]))
def test_whatever_is_usable_can_be_read_and_drawn_from(pieces, deidentified):
    """A number with nothing behind it is a text, but no sentence that could be drawn."""
    report = "FINDINGS: " + " ".join(pieces)
    made = inputs(deidentified=deidentified)

    class Store:
        def read_record(self, row):
            return report

    policy = made.contract.policy
    readable = chosen_text(report, policy) is not None and chosen_sentences(report, policy) != ()
    assert len(made.usable(Store(), [0])) == readable
    if readable:
        assert made.plain([report]).mask.any()
        assert TextViewsConfig(policy=policy).build().draw([report], seed=0)[0]


def test_texts_at_hand_are_read_as_stored_reports_are():
    made = inputs()
    stored = ["FINDINGS: No pleural effusion. IMPRESSION: none."]
    given = made.accept("No pleural effusion.\nIMPRESSION:  none.")
    assert given == stored
    assert torch.equal(made.plain(given).ids, made.plain(stored).ids)


@pytest.mark.parametrize(
    ("texts", "told", "says"),
    [
        ([], {}, "give a text or a list of texts"),
        (["", "a"], {}, "none of them empty"),
        ([3], {}, "give a text or a list"),
        ("a", {"rate": 3}, "a text needs no rate: give it alone"),
        (["...", "Normal."], {}, "1 of 2 texts have no word in them"),
    ],
)
def test_what_is_no_text_is_refused(texts, told, says):
    with pytest.raises(ContractError, match=says):
        inputs().accept(texts, **told)


def test_a_text_of_words_that_are_taken_out_is_refused():
    with pytest.raises(ContractError, match="1 of 1 texts have no word in them, or none that the"):
        inputs(deidentified="remove").accept("XXXX ___.")


def test_stored_reports_without_the_sections_are_an_error_that_names_them():
    with pytest.raises(StageError, match=r"1 report\(s\) have none of the sections findings, impr"):
        inputs().plain(["INDICATION: Cough."])


def test_another_tokenizer_is_refused():
    other = train_tokenizer(["Lungs are clear."] * 2, vocabulary=60)
    with pytest.raises(ContractError, match="the tokenizer is not the one of the contract"):
        make_inputs(inputs().contract, other)
    with pytest.raises(ContractError, match="a text encoder needs its tokenizer"):
        make_inputs(inputs().contract)
