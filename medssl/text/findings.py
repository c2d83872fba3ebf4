"""Finding labels from report text: rules with negation and uncertainty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from medssl.text.assertions import Label, judged
from medssl.text.finding_phrases import ABSENT, NORMAL, OTHERS, PHRASES
from medssl.text.report import Report
from medssl.text.sentences import split_sentences

NO_FINDING: Final = "no finding"
SUPPORT_DEVICES: Final = "support devices"

NIH: Final[dict[str, str]] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Effusion": "effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Hernia": "hernia",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pleural_Thickening": "pleural thickening",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}
"""The fourteen findings of ChestX-ray14 (Wang et al., CVPR 2017), by its spelling, and ours."""

CHEXPERT: Final[dict[str, str]] = {
    "No Finding": NO_FINDING,
    "Enlarged Cardiomediastinum": "enlarged cardiomediastinum",
    "Cardiomegaly": "cardiomegaly",
    "Lung Opacity": "lung opacity",
    "Lung Lesion": "lung lesion",
    "Edema": "edema",
    "Consolidation": "consolidation",
    "Pneumonia": "pneumonia",
    "Atelectasis": "atelectasis",
    "Pneumothorax": "pneumothorax",
    "Pleural Effusion": "effusion",
    "Pleural Other": "pleural other",
    "Fracture": "fracture",
    "Support Devices": SUPPORT_DEVICES,
}
"""The fourteen labels of CheXpert (Irvin et al., AAAI 2019), by its spelling, and ours."""

FINDINGS: Final = tuple(dict.fromkeys([*NIH.values(), *CHEXPERT.values()]))
"""All labels that `label_findings` can give."""

BACKGROUND: Final = frozenset(
    [
        "indication",
        "history",
        "comparison",
        "technique",
        "examination",
        "preamble",
        "notification",
        "date",
    ]
)
"""Sections that do not say what this study shows."""

_OTHER: Final = "other"
_LONGEST: Final = 2000
_MENTIONS = {
    finding: re.compile(
        "|".join(
            rf"\b(?:{phrase.replace('?P<a>', f'?P<a{n}>')})" for n, phrase in enumerate(phrases)
        )
    )
    for finding, phrases in (*PHRASES.items(), (_OTHER, OTHERS))
}
_ABSENT = {finding: re.compile("|".join(phrases)) for finding, phrases in ABSENT.items()}
_NORMAL = re.compile("|".join(NORMAL))
_STRENGTH: Final[dict[Label, int]] = {"absent": 0, "uncertain": 1, "present": 2}


def label_findings(report: Report | str) -> dict[str, Label]:
    """What a report says of each finding: present, absent or uncertain.

    A finding that is not mentioned has no key. Of several mentions, the strongest counts: present,
    then uncertain, then absent. `no finding` is present where something is said to be normal and
    nothing abnormal is named, of the findings or else (a granuloma, a scoliosis; devices do not
    count), absent where a finding is present, uncertain where one is doubted; else it is missing.

    The rules are ours, and small: negspacy and medspaCy bring the same NegEx terms, but on spaCy
    pipelines (hundreds of megabytes and a model that is not on PyPI), and no phrases for findings.
    `benchmarks/findings.py` measures them against what people coded.

    Args:
        report: A report, or text as `Report.from_text` reads it, down to a single sentence.
            Sections of `BACKGROUND` are passed over.

    >>> label_findings("No pneumothorax; possible small effusion.")
    {'effusion': 'uncertain', 'pneumothorax': 'absent', 'no finding': 'uncertain'}
    """
    if isinstance(report, str):
        if not report.strip():
            return {}
        report = Report.from_text(report)
    found: dict[str, Label] = {}
    normal = False
    for section in report.sections:
        if section.name in BACKGROUND:
            continue
        for sentence in split_sentences(section.text):
            for piece in _pieces(sentence.unmarked.lower()):
                said, well = _said(piece)
                normal |= well
                for finding, label in said:
                    if finding not in found or _STRENGTH[label] > _STRENGTH[found[finding]]:
                        found[finding] = label
    return _with_no_finding(found, normal)


def _pieces(sentence: str) -> Iterator[str]:
    """A sentence; a text without full stops in pieces, so that time grows with its length alone."""
    while len(sentence) > _LONGEST:
        cut = sentence.rfind(" ", 1, _LONGEST)
        cut = _LONGEST if cut < 0 else cut
        yield sentence[:cut]
        sentence = sentence[cut:]
    yield sentence


def _with_no_finding(found: dict[str, Label], normal: bool) -> dict[str, Label]:
    other = found.pop(_OTHER, "absent")
    abnormal = {label for name, label in found.items() if name != SUPPORT_DEVICES}
    ordered: dict[str, Label] = {name: found[name] for name in PHRASES if name in found}
    if "present" in abnormal:
        ordered[NO_FINDING] = "absent"
    elif normal and "uncertain" not in abnormal and other == "absent":
        ordered[NO_FINDING] = "present"
    elif "uncertain" in abnormal:
        ordered[NO_FINDING] = "uncertain"
    return ordered


@lru_cache(maxsize=2**15)
def _said(sentence: str) -> tuple[tuple[tuple[str, Label], ...], bool]:
    """Findings that a sentence labels, and whether it says that something is normal."""
    said: list[tuple[str, Label]] = []
    for finding, pattern in _MENTIONS.items():
        for match in pattern.finditer(sentence):
            group = match.lastgroup or 0
            label = judged(sentence, match.start(group), match.end(group))
            said.append((finding, label))
            if label == "present":
                break  # nothing is stronger
    said += [
        (finding, "absent") for finding, pattern in _ABSENT.items() if pattern.search(sentence)
    ]
    return tuple(said), _NORMAL.search(sentence) is not None
