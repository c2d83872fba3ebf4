"""Labels from what reports say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from medssl.ingest.findings_rule import FindingsRule
from medssl.text.findings import CHEXPERT, NIH

TEXT = "FINDINGS: Mild cardiomegaly. No pneumothorax. Possible small effusion."


@pytest.mark.parametrize(
    ("uncertain", "effusion"), [("missing", {}), ("present", {"e": 1}), ("absent", {"e": 0})]
)
def test_present_absent_uncertain_and_not_mentioned(uncertain, effusion):
    findings = {"c": "cardiomegaly", "p": "pneumothorax", "e": "effusion", "m": "mass"}
    rule = FindingsRule(findings=findings, uncertain=uncertain)
    assert rule.labels_of(TEXT) == {"c": 1, "p": 0, **effusion}
    assert rule.names == ("c", "p", "e", "m")


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ("nih", NIH),
        ("chexpert", CHEXPERT),
        ("edema", {"edema": "edema"}),
        (["mass", "edema"], {"mass": "mass", "edema": "edema"}),
        ({"Water": "edema"}, {"Water": "edema"}),
    ],
)
def test_how_findings_may_be_named(findings, expected):
    assert FindingsRule(findings=findings).findings == expected


def test_an_unknown_finding_is_named_with_the_nearest():
    with pytest.raises(ValidationError, match="no finding is called 'efusion'; did you mean eff"):
        FindingsRule(findings=["efusion"])
    with pytest.raises(ValidationError):
        FindingsRule(findings=[])
