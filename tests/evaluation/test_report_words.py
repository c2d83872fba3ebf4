import numpy as np
import pytest

from medssl.errors import StageError
from medssl.evaluation.report_words import COLUMNS, word_features
from medssl.store import Store


def test_equal_reports_have_equal_words_and_others_do_not(image_text_store):
    store = Store.open(image_text_store)
    rows = store.rows(modality="report")
    table = word_features(store, rows)
    assert table.values.shape == (len(rows), COLUMNS)
    assert np.linalg.norm(table.values, axis=1) == pytest.approx(1)
    texts = np.array([str(store.read_record(int(row))) for row in rows])
    same = texts[:, None] == texts[None, :]
    cosine = table.values @ table.values.T
    assert cosine[same] == pytest.approx(1, abs=1e-5)
    assert cosine[~same].max() < 0.999
    assert len(np.unique(texts)) == 4
    back = word_features(store, rows[::-1])
    np.testing.assert_array_equal(back.values[::-1], table.values)


def test_only_reports_have_words(image_text_store):
    store = Store.open(image_text_store)
    with pytest.raises(StageError, match="choose rows of modality report"):
        word_features(store, store.rows(modality="radiograph"))
