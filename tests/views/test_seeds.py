import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medssl.views.seeds import derive_seed

PARTS = st.lists(st.one_of(st.integers(), st.text()), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_give_different_seeds(left, right):
    same = [(type(part), part) for part in left] == [(type(part), part) for part in right]
    assert (derive_seed(*left) == derive_seed(*right)) == same


@given(PARTS)
def test_seed_fits_63_bits(parts):
    assert 0 <= derive_seed(*parts) < 2**63


def test_concatenation_and_types_are_told_apart():
    seeds = {derive_seed("a", "bc"), derive_seed("ab", "c"), derive_seed("abc")}
    assert len(seeds | {derive_seed(1, 2), derive_seed(12), derive_seed("1", "2")}) == 6


def test_numpy_integers_count_as_integers():
    assert derive_seed(np.int64(3), "x") == derive_seed(3, "x")


def test_other_processes_agree_whatever_their_hash_seed():
    code = "from medssl.views.seeds import derive_seed; print(derive_seed('views', 7))"
    seen = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(seen.stdout) == derive_seed("views", 7)
