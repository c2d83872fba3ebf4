from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medssl.ingest.waveforms.segment import cut


@given(
    time=st.integers(0, 60),
    length=st.integers(1, 12),
    step=st.integers(1, 12),
    bad=st.lists(st.integers(0, 59), max_size=4),
)
def test_it_agrees_with_a_slow_count(time, length, step, bad):
    signal = np.arange(2 * time, dtype=float).reshape(2, time)
    for place in bad:
        if place < time:
            signal[place % 2, place] = np.nan if place % 3 else np.inf
    kept, covered, reached = [], set(), set()
    for start in range(0, time, step):
        if start + length > time:
            break
        reached |= set(range(start, start + length))
        if np.isfinite(signal[:, start : start + length]).all():
            kept.append(start)
            covered |= set(range(start, start + length))
    found = cut(signal, length=length, step=step)
    assert found.starts.tolist() == kept
    assert found.tail == time - len(reached)
    assert found.gaps == len(reached - covered)
    assert found.segments.shape == (len(kept), 2, length)
    for start, segment in zip(kept, found.segments, strict=True):
        np.testing.assert_array_equal(segment, signal[:, start : start + length])


def test_nothing_is_filled_in():
    signal = np.array([[1.0, np.nan, 3.0, 4.0]])
    found = cut(signal, length=2, step=2)
    assert found.segments.tolist() == [[[3.0, 4.0]]]
    assert found.segments.dtype == np.float32
