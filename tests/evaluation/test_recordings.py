from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medssl.evaluation.recordings import find_stretches
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId

RATE, LENGTH = 50.0, 100


@pytest.fixture
def cut(tmp_path: Path) -> Callable[..., Store]:
    """A store of segments of one recording (or two) that begin at some samples of a ramp."""

    def make(**recordings: list[int]) -> Store:
        records = [
            Record(
                participant=ParticipantId("p1"), session="s1", recording=name,
                modality=Modality.ECG, rate=RATE, channels=("I", "II"), units="mV",
                data=np.stack([np.arange(at, at + LENGTH), np.zeros(LENGTH)]).astype(np.float32),
                start=at / RATE, source_digest=f"{name}{at}",
            )
            for name, places in recordings.items()
            for at in places
        ]  # fmt: skip
        return write_store(tmp_path / "store", records)

    return make


def test_segments_that_follow_each_other_are_one_stretch(cut: Callable[..., Store]) -> None:
    store = cut(a=[200, 0, 100, 500, 600], b=[0])
    stretches, owner = find_stretches(store, store.rows()[::-1], longest=1e9)
    assert [one.samples for one in stretches] == [300, 200, 100]
    assert [one.seconds for one in stretches] == [6, 4, 2]
    assert stretches[0].recording == stretches[1].recording != stretches[2].recording
    assert sorted(np.bincount(owner).tolist()) == [1, 5]
    for one, first in zip(stretches, (0, 500, 0), strict=True):
        read = one.read(store, channel=0)
        np.testing.assert_array_equal(read, np.arange(first, first + one.samples))
        assert not one.read(store, channel=1).any()


def test_overlapping_segments_are_read_once(cut: Callable[..., Store]) -> None:
    store = cut(a=[0, 50, 100, 110])
    (one,), _ = find_stretches(store, store.rows(), longest=1e9)
    np.testing.assert_array_equal(one.read(store, channel=0), np.arange(210))


def test_long_stretches_are_cut_inside_segments(cut: Callable[..., Store]) -> None:
    store = cut(a=[0, 100, 200, 300])
    pieces, _ = find_stretches(store, store.rows(), longest=3.0)
    assert [one.samples for one in pieces] == [150, 150, 100]
    read = [one.read(store, channel=0) for one in pieces]
    np.testing.assert_array_equal(np.concatenate(read), np.arange(400))
