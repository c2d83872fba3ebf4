"""Tokenizers: trained the same whatever the order, read from local folders, never downloaded."""

import json
import pickle
import random
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medssl.errors import ConfigError
from medssl.text.deidentified import DEID
from medssl.text.tokenizer import SPECIAL, Tokenizer, train_tokenizer
from medssl.text.word_pieces import find_pieces

TEXTS = [
    "No pleural effusion. Lungs are clear.",
    "Small left effusion, 2.5 cm.",
    "Cardiomegaly is stable.",
    "No pneumothorax; clear lungs.",
    "Compared to [DEID]: unchanged effusion.",
    "Heart size is normal.",
] * 3
TOKENIZER = train_tokenizer(TEXTS, vocabulary=120)
BERT = [
    "[PAD]",
    "[unused1]",
    "[unused2]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "no",
    "effusion",
    "##s",
    ".",
]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_the_texts_changes_nothing(seed):
    shuffled = random.Random(seed).sample(TEXTS, len(TEXTS))
    assert train_tokenizer(shuffled, vocabulary=120).to_json() == TOKENIZER.to_json()


def test_another_process_trains_the_same_one():
    code = (
        "import json, sys; from medssl.text.tokenizer import train_tokenizer; "
        "print(train_tokenizer(json.load(sys.stdin), vocabulary=120).digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == TOKENIZER.digest


def test_special_tokens_come_first_and_size_is_kept():
    for number, name in enumerate(SPECIAL):
        assert TOKENIZER.to_json().find(f'"{name}": {number}') >= 0
    assert (TOKENIZER.pad_id, TOKENIZER.mask_id) == (0, 4)
    assert TOKENIZER.special_ids == frozenset(range(6))
    assert len(SPECIAL) < TOKENIZER.size <= 120
    assert train_tokenizer(TEXTS, vocabulary=20).size == 20
    with pytest.raises(ValueError, match="6 are special"):
        train_tokenizer(TEXTS, vocabulary=6)


def test_texts_become_padded_rows():
    ids, mask = TOKENIZER.encode(["No effusion.", "", "No pleural effusion. " * 9], tokens=12)
    assert ids.dtype == np.int64
    assert mask.dtype == np.bool_
    assert ids.shape == mask.shape == (3, 12)
    assert ids[1, :2].tolist() == [2, 3]
    assert mask.sum(axis=1).tolist() == [int((ids[0] != 0).sum()), 2, 12]
    assert ids[2, -1] == 3  # [SEP] stays when a text is cut
    assert (ids[~mask] == TOKENIZER.pad_id).all()
    assert TOKENIZER.encode([], tokens=4)[0].shape == (0, 0)
    assert TOKENIZER.encode(["", ""], tokens=99)[0].shape == (2, 2)
    with pytest.raises(ValueError, match="room for 1 token"):
        TOKENIZER.encode(["a"], tokens=1)


def test_a_word_that_was_taken_out_is_one_token():
    ids, _ = TOKENIZER.encode([f"effusion {DEID} lungs"], tokens=99)
    assert list(ids[0]).count(5) == 1
    assert TOKENIZER.decode(ids[0]) == "effusion lungs"


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(["no", "effusion", "clear", "lungs", ",", ".", "2", "heart", DEID]),
        max_size=8,
    )
)
def test_decoding_gives_the_words_back(words):
    ids, mask = TOKENIZER.encode([" ".join(words)], tokens=64)
    said = TOKENIZER.decode(ids[0][mask[0]])
    assert said.replace(" ", "") == "".join(word for word in words if word != DEID)


@given(st.text(max_size=40), st.integers(2, 9))
def test_any_text_fits(text, tokens):
    ids, mask = TOKENIZER.encode([text], tokens=tokens)
    assert ids.shape[1] <= tokens
    assert (ids[0][0], ids[0][-1]) == (2, 3)
    assert mask.all()
    assert 0 <= ids.min() <= ids.max() < TOKENIZER.size


def test_it_survives_json_and_other_processes():
    for again in (Tokenizer.from_json(TOKENIZER.to_json()), pickle.loads(pickle.dumps(TOKENIZER))):
        assert again.to_json() == TOKENIZER.to_json()
        assert again.digest == TOKENIZER.digest
        assert (again.encode(TEXTS, tokens=9)[0] == TOKENIZER.encode(TEXTS, tokens=9)[0]).all()
    assert train_tokenizer(TEXTS[:3] * 2, vocabulary=120).digest != TOKENIZER.digest
    with pytest.raises(ValueError, match="not a tokenizer"):
        Tokenizer.from_json("{}")


def test_capitals_count_only_where_they_should():
    texts = ["Mass MASS mass"] * 2
    lower, cased = (train_tokenizer(texts, vocabulary=60, lowercase=low) for low in (True, False))
    assert len({tuple(row) for row in lower.encode(["Mass", "MASS"], tokens=9)[0].tolist()}) == 1
    assert len({tuple(row) for row in cased.encode(["Mass", "mass"], tokens=9)[0].tolist()}) == 2


def slow_pieces(words, limit, fewest):
    """Merging by counting every pair anew in each step."""
    split = {w: [w[0], *("##" + c for c in w[1:])] for w in words}
    pieces = sorted({p for w in split.values() for p in w})
    while len(pieces) < limit:
        counts = {}
        for word, parts in split.items():
            for pair in pairwise(parts):
                counts[pair] = counts.get(pair, 0) + words[word]
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < fewest:
            break
        merged = best[0] + best[1][2:]
        if merged not in pieces:
            pieces.append(merged)
        for word, parts in split.items():
            out = []
            for part in parts:
                if out and (out[-1], part) == best:
                    out[-1] = merged
                else:
                    out.append(part)
            split[word] = out
    return pieces


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 5), max_size=8),
    st.integers(6, 25),
)
def test_pieces_are_those_of_a_slow_merge(words, limit):
    assert find_pieces(words, limit=limit, fewest=2) == slow_pieces(words, limit, 2)


def test_the_commonest_letters_stay_where_not_all_fit():
    assert find_pieces({"a": 5, "b": 3, "c": 4}, limit=2, fewest=2) == ["a", "c"]


def folder(tmp_path, words, **config):
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    if config:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return Tokenizer.from_folder(tmp_path)


def test_a_vocabulary_of_bert_is_read_and_spares_a_token(tmp_path):
    read = folder(tmp_path, BERT)
    assert read.size == len(BERT)
    ids, _ = read.encode(["No effusions XXXX.".replace("XXXX", DEID)], tokens=99)
    assert ids[0].tolist() == [4, 7, 8, 9, 1, 10, 5]  # [unused1] keeps its place
    assert read.special_ids == {0, 1, 3, 4, 5, 6}
    assert Tokenizer.from_json(read.to_json()).encode([DEID], tokens=9)[0].tolist() == [[4, 1, 5]]


def test_without_a_spare_token_the_mask_stands_in(tmp_path):
    words = [word for word in BERT if "unused" not in word]
    read = folder(tmp_path, words)
    assert read.encode([f"no {DEID}."], tokens=9)[0].tolist() == [[2, 5, 4, 8, 3]]
    assert read.size == len(words)


def test_capitals_follow_the_configuration_of_the_folder(tmp_path):
    assert (
        folder(tmp_path, [*BERT, "No"], do_lower_case=False).encode(["No"], tokens=9)[0][0, 1] == 11
    )
    assert (
        folder(tmp_path, [*BERT, "No"], do_lower_case=True).encode(["No"], tokens=9)[0][0, 1] == 7
    )


def test_a_whole_tokenizer_is_read_as_it_was_saved(tmp_path):
    (tmp_path / "tokenizer.json").write_text(TOKENIZER.to_json(), encoding="utf-8")
    assert Tokenizer.from_folder(tmp_path).digest == TOKENIZER.digest


def test_it_gives_what_transformers_gives(tmp_path):
    from transformers import BertTokenizerFast

    read = folder(tmp_path, BERT)
    theirs = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    texts = ["No effusions.", "unknown words", ""]
    expected = theirs(texts, padding=True)["input_ids"]
    assert read.encode(texts, tokens=99)[0].tolist() == expected


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "neither tokenizer.json nor vocab.txt: copy"),
        ({"tokenizer.json": "{"}, "cannot be read"),
        ({"vocab.txt": "a\nb\n"}, "take an encoder of BERT's kind|cannot be read"),
    ],
)
def test_what_is_absent_is_named_with_the_remedy(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        Tokenizer.from_folder(tmp_path)
