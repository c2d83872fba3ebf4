from __future__ import annotations

import numpy as np

from medssl.audit.findings import Severity
from medssl.audit.overlap import participant_overlap


def test_finds_a_participant_whose_records_went_to_two_splits() -> None:
    people = np.array(["a", "a", "b", "c"])
    splits = np.array(["train", "test", "train", "test"])
    (finding,) = participant_overlap(people, splits)
    assert finding.severity is Severity.CRITICAL
    assert finding.participants == ("a",)
    assert finding.value == 1


def test_finds_a_scored_participant_of_pretraining() -> None:
    people = np.array(["a", "b", "c"])
    splits = np.array(["train", "test", "test"])
    (finding,) = participant_overlap(
        people, splits, sides={"pretraining": ["a", "b"]}, boundaries=[("pretraining", "test")]
    )
    assert finding.severity is Severity.CRITICAL
    assert finding.participants == ("b",)
    assert finding.table is not None
    assert ("pretraining | test", 2, 2, 1) in finding.table.rows


def test_says_ok_for_disjoint_sides() -> None:
    people = np.array(["a", "a", "b", "c"])
    splits = np.array(["train", "train", "validation", "test"])
    (finding,) = participant_overlap(
        people, splits, sides={"pretraining": ["a"]}, boundaries=[("pretraining", "test")]
    )
    assert finding.severity is Severity.OK
    assert finding.title.endswith("4 boundaries")


def test_names_participants_without_a_split() -> None:
    findings = participant_overlap(np.array(["a", "b", "c"]), np.array(["train", "test", ""]))
    assert [f.severity for f in findings] == [Severity.OK, Severity.WARNING]
    assert findings[1].participants == ("c",)


def test_warns_when_there_is_no_boundary() -> None:
    (finding,) = participant_overlap(np.array(["a", "b"]), np.array(["train", "train"]))
    assert finding.severity is Severity.WARNING
