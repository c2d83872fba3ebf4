from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from medssl.audit.exact_duplicates import exact_duplicates
from medssl.audit.findings import Severity
from medssl.store import Store


def test_silent_on_clean_data(clean: Store, make: SimpleNamespace) -> None:
    findings = exact_duplicates(
        clean, clean.rows(), splits=make.splits(list(clean.participants.index))
    )
    assert [f.severity for f in findings] == [Severity.OK, Severity.OK]


def test_finds_a_copy_across_splits_and_judges_what_is_kept(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    signals = make.pulses(participants=8)
    signals["p001"][0] = signals["p000"][1]
    store = make.store(tmp_path / "store", signals)
    splits = make.splits(list(signals))
    rows = store.rows()

    across, inside = exact_duplicates(store, rows, splits=splits)
    assert across.severity is Severity.CRITICAL
    assert across.participants == ("p000", "p001")
    assert across.value == 1
    assert len(across.pairs) == 1
    assert inside.severity is Severity.OK

    one_split = dict.fromkeys(signals, "train")
    assert exact_duplicates(store, rows, splits=one_split)[0].severity is Severity.WARNING

    copy = store.column("record").tolist().index(across.pairs[0].right)
    kept = exact_duplicates(store, rows, splits=splits, kept=np.delete(rows, copy))[0]
    assert kept.severity is Severity.WARNING
    assert "no longer used under both" in kept.title


def test_repeats_inside_a_participant_are_a_note(tmp_path: Path, make: SimpleNamespace) -> None:
    signals = make.pulses(participants=4)
    signals["p002"][1] = signals["p002"][0]
    store = make.store(tmp_path / "store", signals)
    across, inside = exact_duplicates(store, store.rows(), splits={})
    assert across.severity is Severity.OK
    assert inside.severity is Severity.NOTE
    assert inside.value == 1


def test_flat_signals_are_not_shared_signals(tmp_path: Path, make: SimpleNamespace) -> None:
    signals = make.pulses(participants=4)
    for name in ("p000", "p001"):
        signals[name][0] = np.zeros((1, make.samples))
    store = make.store(tmp_path / "store", signals)
    assert exact_duplicates(store, store.rows(), splits={})[0].severity is Severity.OK
