from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medssl.audit.findings import Severity
from medssl.audit.near_duplicates import near_duplicates, spread
from medssl.store import Store


def test_silent_on_clean_data(clean: Store, make: SimpleNamespace) -> None:
    splits = make.splits(list(clean.participants.index))
    (finding,) = near_duplicates(clean, clean.rows(), splits=splits)
    assert finding.severity is Severity.OK
    assert finding.value == 0
    assert finding.n_records == 80


@pytest.mark.parametrize(("shift", "noise"), [(0, 0.0), (17, 0.0), (-31, 0.002)])
def test_finds_a_shifted_and_scaled_copy(
    tmp_path: Path, make: SimpleNamespace, shift: int, noise: float
) -> None:
    generator = np.random.default_rng(5)
    signals = make.pulses(seed=1)
    long = make.pulse(generator, make.samples + 100)
    signals["p004"][0] = long[None, 50 : 50 + make.samples]
    copy = 2.5 * long[None, 50 + shift : 50 + shift + make.samples] - 3
    signals["p005"][1] = copy + noise * generator.normal(size=copy.shape)
    store = make.store(tmp_path / "store", signals)
    splits = make.splits(list(signals))

    (finding,) = near_duplicates(store, store.rows(), splits=splits)
    assert finding.severity is Severity.CRITICAL  # p004 is in test, p005 in train
    assert finding.participants == ("p004", "p005")
    assert finding.value == 1
    assert finding.table is not None
    (pair,) = finding.pairs
    position = store.column("record").tolist().index(pair.left)
    sign = 1 if store.column("participant")[position] == "p004" else -1
    assert sign * pair.lag == pytest.approx(shift, abs=0.3)

    same = dict.fromkeys(signals, "train")
    assert near_duplicates(store, store.rows(), splits=same)[0].severity is Severity.WARNING
    rest = np.delete(store.rows(), position)
    kept = near_duplicates(store, store.rows(), splits=splits, kept=rest)[0]
    assert kept.severity is Severity.WARNING


def test_bit_identical_pairs_are_left_to_the_other_audit(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    signals = make.pulses(seed=2)
    signals["p001"][0] = signals["p000"][0]
    store = make.store(tmp_path / "store", signals)
    (finding,) = near_duplicates(store, store.rows(), splits={})
    assert finding.severity is Severity.OK


def test_spread_takes_an_equal_number_of_everyone() -> None:
    people = np.repeat(np.array(["a", "b", "c"]), [90, 30, 5])
    chosen = people[spread(people, 30)]
    assert {name: int((chosen == name).sum()) for name in "abc"} == {"a": 10, "b": 10, "c": 5}


def test_says_how_many_records_were_compared(clean: Store) -> None:
    (finding,) = near_duplicates(clean, clean.rows(), splits={}, max_records=40)
    assert finding.n_records == 40
    assert finding.detail.startswith("40 of 80 records compared")
