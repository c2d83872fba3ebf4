"""Writes `cxr_nih/reports.csv`: template sentences made from the labels, no radiologist's words.

python -m medssl.samples.template_reports medssl/samples/cxr_nih
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PRESENT: Final[dict[str, tuple[str, ...]]] = {
    "Atelectasis": (
        "There is atelectasis.",
        "Atelectasis is seen.",
        "Areas of atelectasis are present.",
    ),
    "Cardiomegaly": ("The heart is enlarged.", "There is cardiomegaly.", "Cardiomegaly is noted."),
    "Consolidation": ("There is consolidation in the lung.", "Consolidation is seen."),
    "Edema": ("There is pulmonary edema.", "Pulmonary edema is present."),
    "Effusion": (
        "There is a pleural effusion.",
        "A pleural effusion is seen.",
        "Pleural fluid is present.",
    ),
    "Emphysema": ("There is emphysema.", "Emphysema is seen."),
    "Fibrosis": ("There is pulmonary fibrosis.", "Fibrosis is seen in the lung."),
    "Hernia": ("There is a hiatal hernia.",),
    "Infiltration": (
        "There is an infiltrate in the lung.",
        "Infiltrates are seen.",
        "An infiltrate is present.",
    ),
    "Mass": ("A mass is seen in the lung.",),
    "Nodule": ("A pulmonary nodule is seen.", "There is a nodule in the lung."),
    "Pleural_Thickening": ("There is pleural thickening.", "Pleural thickening is seen."),
    "Pneumonia": ("The appearance is that of pneumonia.",),
    "Pneumothorax": ("There is a pneumothorax.",),
}
"""Sentences for a finding that an image is labelled with."""

ABSENT: Final[dict[str, tuple[str, ...]]] = {
    "Atelectasis": ("There is no atelectasis.", "No atelectasis."),
    "Cardiomegaly": (
        "The heart is normal in size.",
        "Heart size is normal.",
        "The heart is not enlarged.",
    ),
    "Consolidation": ("There is no focal consolidation.", "No consolidation is seen."),
    "Edema": ("There is no pulmonary edema.", "No edema."),
    "Effusion": (
        "There is no pleural effusion.",
        "No pleural effusion is seen.",
        "No effusion.",
    ),
    "Infiltration": ("There is no infiltrate.", "No infiltrates are seen."),
    "Pneumothorax": ("There is no pneumothorax.", "No pneumothorax."),
}
"""Sentences for a finding that it is not labelled with; the others are passed over, as in life."""

NORMAL: Final = (
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary abnormality.",
    "Normal chest.",
    "No acute disease.",
)
"""Impressions of images without a label; one is frequent, as in real collections."""

WORDS: Final = {
    "Edema": "Pulmonary edema",
    "Effusion": "Pleural effusion",
    "Hernia": "Hiatal hernia",
    "Infiltration": "Pulmonary infiltrate",
    "Mass": "Lung mass",
    "Nodule": "Pulmonary nodule",
    "Pleural_Thickening": "Pleural thickening",
}
"""What an impression calls a finding, where not by its own name."""

DENIED: Final = 3
"""Findings that a report denies, at most."""


def drawn(study: str, what: str, choices: int) -> int:
    """A number below `choices`: the same one for ever."""
    digest = hashlib.blake2b(f"{study}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % choices


def template_report(study: str, labels: Mapping[str, bool]) -> tuple[str, str]:
    """Findings and impression of one study, from its labels alone.

    Every finding that is present has one sentence; up to three others are denied. Nothing is said
    of sides, places, degrees or doubt: the labels do not tell them.

    Args:
        study: Name of the study, by which sentences are chosen.
        labels: Finding → whether the image is labelled with it.

    >>> template_report("00000001_000", {"Cardiomegaly": True, "Effusion": False})
    ('The heart is enlarged. No pleural effusion is seen.', 'Cardiomegaly.')
    """
    present = [name for name in PRESENT if labels.get(name)]
    open_ = [name for name in ABSENT if name in labels and not labels[name]]
    denied = sorted(open_, key=lambda name: drawn(study, f"deny {name}", 1 << 30))[:DENIED]
    findings = [_chosen(study, name, PRESENT[name]) for name in present]
    findings += [_chosen(study, name, ABSENT[name]) for name in ABSENT if name in denied]
    if not present:
        impression = _chosen(study, "impression", NORMAL)
    else:
        impression = " ".join(f"{WORDS.get(name, name)}." for name in present)
    return " ".join(findings), impression


def _chosen(study: str, what: str, sentences: Sequence[str]) -> str:
    return sentences[drawn(study, what, len(sentences))]


def main(folder: Path) -> None:
    """Write `reports.csv` beside `metadata.csv`."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "reports.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["participant", "study", "findings", "impression"])
        for row in rows:
            labels = {name: row[name] == "1" for name in PRESENT}
            findings, impression = template_report(row["study"], labels)
            writer.writerow([row["participant"], row["study"], findings, impression])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
