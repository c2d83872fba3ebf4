"""The audits of the store's own tables: missingness, quality, split balance, baselines."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from medssl.audit.baselines import baselines
from medssl.audit.findings import Severity
from medssl.audit.missingness import missingness
from medssl.audit.quality import quality
from medssl.audit.split_balance import split_balance
from medssl.records import Record
from medssl.store import Store, write_store
from medssl.types import Modality, ParticipantId


def people(count: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "added": 1,
            "has_ppg": True,
            "has_ecg": False,
            "age": generator.normal(50, 10, size=count),
            "sex": np.resize(["F", "M"], count),
        },
        index=[f"p{number:02d}" for number in range(count)],
    )


def test_missing_labels_are_noted_and_complete_ones_are_not() -> None:
    frame = people()
    (complete,) = missingness(frame, n_records=60)
    assert complete.severity is Severity.OK
    frame.loc[frame.index[:30], "age"] = np.nan
    (noted,) = missingness(frame, n_records=60)
    assert noted.severity is Severity.NOTE
    assert noted.value == 0.5
    assert noted.table is not None
    assert ("age", 30, 30) in noted.table.rows
    assert ("sex", 60, 0) in noted.table.rows


def test_modalities_that_meet_in_nobody_are_noted() -> None:
    frame = people().assign(has_ecg=[True] * 20 + [False] * 40)
    labels, together = missingness(frame, n_records=60)
    assert (together.severity, together.value) == (Severity.OK, 20)
    assert labels.severity is Severity.OK
    apart = missingness(frame.assign(has_ppg=~frame["has_ecg"]), n_records=60)[1]
    assert (apart.severity, apart.value) == (Severity.NOTE, 0)


def test_a_store_without_labels_is_noted() -> None:
    (finding,) = missingness(people()[["added", "has_ppg"]], n_records=60)
    assert finding.severity is Severity.NOTE


def test_poor_signals_are_noted(tmp_path: Path, clean: Store, make: SimpleNamespace) -> None:
    assert quality(clean, clean.rows())[0].severity is Severity.OK
    poor = make.store(tmp_path / "store", make.pulses(participants=3), quality=0.2)
    (finding,) = quality(poor, poor.rows())
    assert finding.severity is Severity.NOTE
    assert finding.value == 1.0
    assert finding.n_records == 6


def test_components_that_fail_are_named_most_frequent_first(tmp_path: Path) -> None:
    bad = {"template": 0.9, "flat": 0.5, "clipped": 0.2, "kurtosis": 1.0, "missing": 0.0}
    records = [
        Record(
            participant=ParticipantId(f"p{number}"), session="s", recording="r",
            modality=Modality.PPG, data=np.full((1, 8), number, dtype=np.float32),
            source_digest="0" * 32, rate=8.0, channels=("ppg",), units="counts", quality=0.2,
            grades=bad if number % 2 else {**bad, "clipped": 0.0},
        )
        for number in range(6)
    ]  # fmt: skip
    store = write_store(tmp_path / "store", records)
    (finding,) = quality(store, store.rows())
    assert finding.title.endswith("poor quality; out of range: flat in 100.0%, clipped in 50.0%")
    assert "give ranges of flat and clipped (reduce.quality)" in finding.advice


def test_unlike_splits_are_found_and_like_ones_are_not() -> None:
    frame = people()
    names = list(frame.index)
    records = dict.fromkeys(names, 2)
    alike = {name: "test" if place % 4 == 0 else "train" for place, name in enumerate(names)}
    alike = {name: alike[name] if frame.loc[name, "sex"] else "" for name in names}
    frame["sex"] = np.random.default_rng(1).permutation(frame["sex"])
    (fine,) = split_balance(frame, alike, records)
    assert fine.severity is Severity.OK
    assert fine.table is not None
    assert fine.table.rows[0][:3] == ("train", 45, 90)

    old = set(frame["age"].nlargest(15).index)
    unlike = {name: "test" if name in old else "train" for name in names}
    (found,) = split_balance(frame, unlike, records)
    assert found.severity is Severity.WARNING
    assert "age" in found.title
    assert found.low is not None
    assert found.low > 0


def test_a_tiny_split_is_noted() -> None:
    frame = people(20)
    splits = {name: "test" if place < 2 else "train" for place, name in enumerate(frame.index)}
    (finding,) = split_balance(frame, splits, dict.fromkeys(frame.index, 1))
    assert finding.severity is Severity.NOTE
    assert "test" in finding.title


def difference(target: str, baseline: str, verdict: str) -> dict[str, object]:
    return {"target": target, "metric": "auroc", "baseline": baseline, "value": 0.1, "low": 0.0,
            "high": 0.2, "verdict": verdict, "n_records": 90}  # fmt: skip


def test_an_encoder_that_loses_to_a_baseline_is_found() -> None:
    rows = [difference("age", "untrained", "better"), difference("age", "heart rate", "worse")]
    (finding,) = baselines(rows, ())
    assert finding.severity is Severity.WARNING
    assert "heart rate beats the encoder" in finding.title


def test_an_encoder_that_beats_all_baselines_is_ok_and_one_that_may_not_is_noted() -> None:
    won = [difference("age", name, "better") for name in ("untrained", "heart rate")]
    assert baselines(won, ())[0].severity is Severity.OK
    unclear = [won[0], difference("age", "heart rate", "unclear")]
    assert baselines(unclear, ())[0].severity is Severity.NOTE
    assert baselines([], ()) == []
