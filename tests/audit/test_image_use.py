from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from medssl.audit.config import AuditConfig
from medssl.audit.findings import Severity
from medssl.audit.image_use import image_use as audit
from medssl.audit.inputs import AuditInputs
from medssl.audit.registry import AUDITS
from medssl.audit.run import run_one
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.image_text.image_use import BLANK, SWAPPED, TRUE, image_use
from medssl.store import Store

PEOPLE = [f"p{n:03d}" for n in range(120)]


def verdict(noise: float, count: int = 120) -> dict[str, object]:
    """Scores that follow the truth through an image, less so with noise."""
    rng = np.random.default_rng(0)
    truth = (np.arange(count) % 2).astype(np.int64)
    answers = {
        TRUE: [truth + noise * rng.normal(size=count)],
        SWAPPED: [rng.normal(size=count)],
        BLANK: [np.zeros(count)],
    }
    return image_use(answers, truth, PEOPLE[:count], replicates=200).to_dict()


@pytest.mark.parametrize(
    ("noise", "count", "severity", "says"),
    [
        (0.3, 120, Severity.OK, "depends on the image"),
        (0.9, 12, Severity.NOTE, "may or may not depend"),
    ],
)
def test_a_verdict_becomes_a_finding(
    noise: float, count: int, severity: Severity, says: str
) -> None:
    found = verdict(noise, count)
    (finding,) = audit(found, target="edema")
    assert finding.severity is severity
    assert finding.title.startswith("The zero-shot score of edema")
    assert says in finding.title
    gains = [one["value"] for one in found["differences"].values()]  # type: ignore[attr-defined]
    assert finding.value == min(gains)
    assert finding.n_participants == count
    assert finding.table is not None
    assert [row[0] for row in finding.table.rows] == [TRUE, SWAPPED, BLANK]


def test_a_score_that_does_as_well_without_images_is_warned_of() -> None:
    truth = (np.arange(120) % 2).astype(np.int64)
    usual = truth + 0.2 * np.random.default_rng(0).normal(size=120)
    found = image_use({TRUE: [usual], SWAPPED: [usual]}, truth, PEOPLE, replicates=200)
    (finding,) = audit(found.to_dict(), target="pairs")
    assert finding.severity is Severity.WARNING
    assert finding.title == "The choice of a report does not depend on the image"
    assert finding.threshold == found.margin
    assert finding.detail == found.sentence


def test_the_page_is_fed_with_verdicts_and_projections(clean: Store, make: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    sides = {
        name: Embeddings(
            [f"{name}{n}" for n in range(40)], PEOPLE[:40], ["s"] * 40,
            rng.normal(size=(40, 6)) + shift,
        )
        for name, shift in (("radiograph", 0.0), ("report", 9.0))
    }  # fmt: skip
    inputs = AuditInputs(
        store=clean, embeddings=sides["report"], rows=clean.rows(), splits={},
        projected=sides, image_uses={"edema": verdict(0.3), "pairs": verdict(0.9, 12)},
    )  # fmt: skip
    by_name = {one.name: one for one in AUDITS}
    uses = run_one(by_name["image_use"], inputs)
    assert [one.severity for one in uses] == [Severity.OK, Severity.NOTE]
    assert {one.group for one in uses} == {"Shortcuts"}
    gap, plane = run_one(by_name["modality_gap"], inputs)
    assert gap.title.startswith("radiograph and report lie apart")
    assert gap.value is not None
    assert gap.value > 0.5
    # What contrastive training leaves is told; a threshold makes it a warning.
    assert (gap.severity, plane.severity) == (Severity.NOTE, Severity.NOTE)
    strict = AuditConfig(thresholds={"modality_gap": {"max_gap": 0.5}})
    warned = run_one(
        by_name["modality_gap"],
        AuditInputs(
            store=clean, embeddings=sides["report"], rows=clean.rows(), splits={}, config=strict,
            projected=sides,
        ),
    )  # fmt: skip
    assert warned[0].severity is Severity.WARNING
