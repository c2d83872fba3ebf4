import math

import numpy as np
import pytest
import torch

from medssl.errors import StageError
from medssl.text.tokenizer import train_tokenizer
from medssl.training.text_batches import TextBatches

TEXTS = [
    text
    for finding in ("effusion", "oedema", "nodule", "opacity", "fracture")
    for place in ("left apex", "right apex", "left base", "right base", "left hilum", "right hilum")
    for text in (
        f"there is a {finding} at the {place} and the lungs are otherwise clear",
        f"no {finding}",
        f"no {finding} is seen at the {place}",
    )
]
TOKENIZER = train_tokenizer(TEXTS, vocabulary=100)


def batches(size=8, seed=0, texts=TEXTS):
    return TextBatches(TOKENIZER, texts, tokens=24, batch_size=size, seed=seed)


def test_every_text_comes_once_an_epoch_beside_texts_of_its_length():
    made = batches()
    assert len(made) == math.ceil(90 / 8)
    for epoch in range(2):
        rows = [made.rows(epoch * len(made) + i) for i in range(len(made))]
        assert sorted(np.concatenate(rows)) == list(range(90))
        mixed = [len(set(made.lengths[one])) for one in rows]
        # Where one length ends and the next begins, a batch may have both.
        assert sum(mixed) < len(made) + len(set(made.lengths))
        assert len({made.lengths[one][0] for one in rows[:6]}) > 1  # not shortest first
    assert not np.array_equal(made.rows(0), made.rows(len(made)))


def test_a_batch_is_as_wide_as_its_longest_text():
    made = batches()
    expected, _ = TOKENIZER.encode(TEXTS, tokens=24)
    for step in range(len(made)):
        rows, tokens = made.rows(step), made[step]
        width = made.lengths[rows].max()
        assert torch.equal(tokens.ids, torch.from_numpy(expected[rows, :width]))
        assert torch.equal(tokens.mask, tokens.ids != 0)


def test_the_texts_of_a_step_follow_from_seed_and_step():
    forth, back, other = batches(), batches(), batches(seed=1)
    steps = range(3 * len(forth))
    seen = {step: forth.rows(step) for step in steps}
    assert all(np.array_equal(seen[step], back.rows(step)) for step in reversed(steps))
    assert any(not np.array_equal(seen[step], other.rows(step)) for step in steps)


def test_texts_without_words_are_left_out():
    made = batches(texts=["", "no effusion", ""])
    assert len(made.lengths) == 1
    with pytest.raises(StageError, match="2 text"):
        batches(texts=["", ""])
