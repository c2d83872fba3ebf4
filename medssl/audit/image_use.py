"""Audit: do scores of an image–text model need the image, or does the text alone give them?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from medssl.audit.findings import Finding, Severity, Table

AUDIT: Final = "image_use"
PAIRS: Final = "pairs"

_SEVERITY: Final = {
    "depends": Severity.OK,
    "does not depend": Severity.WARNING,
    "unclear": Severity.NOTE,
}
_ADVICE: Final = {
    Severity.OK: "Nothing to do.",
    Severity.WARNING: "Do not report this score as one of images: look at what the texts give "
    "away, and train on reports that say what is seen.",
    Severity.NOTE: "Score more participants before saying that images are used.",
}


def image_use(found: Mapping[str, Any], *, target: str) -> list[Finding]:
    """The verdict that the zero_shot stage left, as a finding.

    Args:
        found: Of `medssl.evaluation.image_text.image_use.ImageUse.to_dict`.
        target: A finding, or `pairs`: which report belongs to an image.

    Returns:
        One finding: a warning where a score does as well without the true images. Its value is
        the smallest gain from them.
    """
    what = "The choice of a report" if target == PAIRS else f"The zero-shot score of {target}"
    severity = _SEVERITY[found["verdict"]]
    verdict = {
        Severity.OK: "depends on the image",
        Severity.WARNING: "does not depend on the image",
        Severity.NOTE: "may or may not depend on the image",
    }[severity]
    gains = found["differences"]
    least = min(gains, key=lambda name: _number(gains[name]["value"]))
    gain = gains[least]
    return [
        Finding(
            audit=AUDIT,
            severity=severity,
            title=f"{what} {verdict}",
            measure=f"{found['metric']} with the true images minus that with: {least}",
            value=gain["value"],
            low=gain["low"],
            high=gain["high"],
            threshold=0.0 if severity is not Severity.WARNING else found["margin"],
            n_participants=gain["n_participants"],
            n_records=gain["n_records"],
            detail=found["sentence"],
            advice=_ADVICE[severity],
            table=Table(
                title=f"{what}: {found['metric']}, chance {found['chance']:.3g}",
                columns=("condition", found["metric"], "low", "high"),
                rows=tuple(
                    (name, one["value"], one["low"], one["high"])
                    for name, one in found["scores"].items()
                ),
            ),
        )
    ]


def _number(value: float | None) -> float:
    return float("inf") if value is None else value
