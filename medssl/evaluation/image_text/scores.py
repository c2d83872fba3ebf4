"""What an image–text model scores without labels, in one object: tables, verdicts, the gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from medssl.evaluation.image_text.image_use import ImageUse
from medssl.evaluation.image_text.zero_shot_table import ZeroShotTable, shown
from medssl.evaluation.retrieval_tables import RetrievalTable
from medssl.evaluation.statistics import Interval

PAIRS: Final = "pairs"
"""The question which report belongs to an image, among the questions of image use."""


@dataclass(frozen=True)
class Gap:
    """How far projected images and reports of the same participants lie apart.

    Args:
        distance: ‖mean image − mean report‖ of participants' mean unit rows, in [0, 2].
        chance: Its 99 % quantile when the two are exchanged at random in each participant.
        separability: AUROC of a plane between the two, on participants it was not fitted on.
    """

    distance: Interval
    chance: float
    separability: Interval

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "distance": self.distance.to_dict(),
            "chance": self.chance,
            "separability": self.separability.to_dict(),
        }

    def to_markdown(self) -> str:
        """As a table for people."""
        people = self.distance.n_participants
        return (
            "| of projected images and reports | value | by chance | participants |\n"
            "|---|---|---|---|\n"
            f"| distance of the centroids | {shown(self.distance)} | {self.chance:.3f} (99 %) "
            f"| {people} |\n"
            f"| AUROC of a plane between them | {shown(self.separability)} | 0.500 | {people} |\n"
        )


@dataclass(frozen=True)
class ImageTextScores:
    """Everything that was asked of an image–text model.

    Args:
        counts: Images, reports and participants that were scored.
        findings: Zero-shot AUROC; None without findings.
        retrieval: Precision@k by shared finding; None without findings.
        pairs: Retrieval of the true report and image; None without pairs.
        image_use: Whether scores need the image, by finding, or `PAIRS`.
        gap: Modality gap; None without pairs, or of too few participants.
        notes: What a reader should know.
    """

    counts: Mapping[str, int]
    findings: ZeroShotTable | None = None
    retrieval: RetrievalTable | None = None
    pairs: RetrievalTable | None = None
    image_use: Mapping[str, ImageUse] = field(default_factory=dict)
    gap: Gap | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        tables = {"findings": self.findings, "retrieval": self.retrieval, "pairs": self.pairs}
        return {
            "counts": dict(self.counts),
            **{name: None if one is None else one.to_dict() for name, one in tables.items()},
            "image_use": {name: found.to_dict() for name, found in self.image_use.items()},
            "modality_gap": None if self.gap is None else self.gap.to_dict(),
            "notes": list(self.notes),
        }

    def to_markdown(self) -> str:
        """As a page for people."""
        said = ", ".join(f"{count:,} {noun}" for noun, count in self.counts.items())
        parts = [f"# Images and sentences\n\nScored: {said}.\n"]
        tables = {
            "Findings by prompts alone": self.findings,
            "Images found by finding": self.retrieval,
            "Report of an image, image of a report": self.pairs,
            "Gap between images and reports": self.gap,
        }
        parts += [f"## {name}\n\n{one.to_markdown()}" for name, one in tables.items() if one]
        if self.image_use:
            parts.append("## Does it need the image?\n")
            parts += [
                f"### {_asked(n)}\n\n{one.to_markdown()}" for n, one in self.image_use.items()
            ]
        if self.notes:
            parts.append("## Notes\n\n" + "".join(f"- {note}\n" for note in self.notes))
        return "\n".join(parts)


def _asked(question: str) -> str:
    return "Which report belongs to the image?" if question == PAIRS else question
