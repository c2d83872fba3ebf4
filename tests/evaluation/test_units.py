from __future__ import annotations

import numpy as np
import pandas as pd

from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.targets import Target
from medssl.evaluation.units import gather_units, spread_rows, unit_labels

FOUND = Embeddings(
    ["r3", "r1", "r2", "r4"], ["b", "a", "a", "b"], ["s", "s", "t", "s"], np.arange(4.0)[:, None]
)
PEOPLE = pd.DataFrame({"age": [40.0, 50.0]}, index=["a", "b"])
RECORDS = pd.DataFrame({"rhythm": ["AF", "N", "AF"]}, index=["r1", "r2", "r3"])
RHYTHM = Target(name="rhythm", kind="multiclass", column="rhythm")


def labels(level: str, column: str = "rhythm") -> tuple[dict[str, object], int]:
    target = RHYTHM.model_copy(update={"level": level, "column": column})
    frame, disagree = unit_labels(target, gather_units(FOUND, target.level), PEOPLE, RECORDS)
    return frame[column].dropna().to_dict(), disagree


def test_rows_and_their_means() -> None:
    expected = {
        "participant": (["a", "b"], [1.5, 1.5]),
        "session": (["a/s", "a/t", "b/s"], [1.0, 2.0, 1.5]),
        "record": (["r1", "r2", "r3", "r4"], [1.0, 2.0, 0.0, 3.0]),
    }
    for level, (names, means) in expected.items():
        units = gather_units(FOUND, level)
        assert units.names.tolist() == names
        np.testing.assert_array_equal(units.means(FOUND.values)[:, 0], means)
        assert units.counts.sum() == 4


def test_labels_of_records_hold_where_all_agree() -> None:
    assert labels("record") == ({"r1": "AF", "r2": "N", "r3": "AF"}, 0)
    assert labels("session") == ({"a/s": "AF", "a/t": "N", "b/s": "AF"}, 0)
    assert labels("participant") == ({"b": "AF"}, 1)  # the records of a disagree


def test_labels_of_participants_hold_for_all_their_records() -> None:
    assert labels("record", "age")[0] == {"r1": 40, "r2": 40, "r3": 50, "r4": 50}
    assert labels("participant", "age")[0] == {"a": 40, "b": 50}


def test_every_participant_gives_evenly_spaced_rows() -> None:
    owners = np.array(list("baaabaaaa"))  # a: 1 2 3 5 6 7 8
    assert spread_rows(owners, 3).tolist() == [0, 1, 4, 5, 8]
    assert spread_rows(owners, 9).tolist() == list(range(9))
    assert len(spread_rows(np.empty(0, dtype=str), 3)) == 0
