"""Real sentences of radiology reports, by what they say, in three pools that share no report."""

from __future__ import annotations

import hashlib
import tarfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medssl.errors import StageError
from medssl.sampling.splits import SPLITS, TEST, TRAIN, VALIDATION
from medssl.text.errors import TextError
from medssl.text.findings import NIH, NO_FINDING, label_findings
from medssl.text.openi import parse_openi
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_sentences

ARCHIVE: Final = Path("openi_reports_text") / "NLMCXR_reports.tgz"
LONGEST: Final = 160
"""Letters; longer sentences tell of many things."""
LUNG_OPACITY: Final = "lung opacity"
_UMBRELLAS: Final = {LUNG_OPACITY, "lung lesion"}
"""What a narrower finding implies."""
_SHARES: Final = {TRAIN: 60, VALIDATION: 15, TEST: 25}
"""Percent of reports."""


@dataclass
class Pool:
    """Sentences of some reports.

    Args:
        present: Sentences that say that a finding is there, and no other, by finding.
        absent: Sentences in which nothing is there, with the findings that they deny.
    """

    present: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    absent: list[tuple[str, frozenset[str]]] = field(default_factory=list)


def read_pools(data: Path) -> dict[str, Pool]:
    """Sentences of all Open-I reports, by split.

    A report, with all its sentences, is dealt to one split by its number. Sentences with
    de-identified words, uncertain ones, and those that say several things are left out.

    Args:
        data: Folder of the data sets.

    Raises:
        StageError: The archive is not there.
    """
    path = data / ARCHIVE
    if not path.is_file():
        msg = f"{data} lacks {ARCHIVE}: give the folder of the data sets"
        raise StageError(msg)
    pools = {split: Pool() for split in SPLITS}
    seen: dict[str, set[str]] = {split: set() for split in SPLITS}
    policy = TextPolicy(deidentified="drop_sentence")
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            file = archive.extractfile(member) if member.name.endswith(".xml") else None
            if file is None:
                continue
            try:
                report = parse_openi(file.read()).report
            except TextError:
                continue  # some reports have no text
            split = _dealt(member.name)
            for sentence in chosen_sentences(report.to_text(), policy):
                if len(sentence) <= LONGEST and sentence not in seen[split]:
                    seen[split].add(sentence)
                    _put(pools[split], sentence)
    return pools


def _put(pool: Pool, sentence: str) -> None:
    found = label_findings(sentence)
    if not found or "uncertain" in found.values():
        return
    present = {finding for finding, label in found.items() if label == "present"}
    absent = {finding for finding, label in found.items() if label == "absent"}
    named = present & set(NIH.values())
    if len(named) == 1 and present <= named | _UMBRELLAS:
        pool.present[named.pop()].append(sentence)
    elif present and present <= _UMBRELLAS:
        pool.present[LUNG_OPACITY].append(sentence)
    elif present <= {NO_FINDING}:
        pool.absent.append((sentence, frozenset(absent - {NO_FINDING})))


def _dealt(name: str) -> str:
    place = int(hashlib.blake2b(name.encode(), digest_size=8).hexdigest(), 16) % 100
    for split, share in _SHARES.items():
        if place < share:
            return split
        place -= share
    return TEST
