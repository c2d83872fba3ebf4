"""Finding labels by rules, against the MeSH terms that people gave to the Open-I reports.

`python benchmarks/findings.py FOLDER` reads the archive (or the XML files) of the Open-I chest
radiograph collection and prints a Markdown table: recall, precision and F1 of every label with
participant-level bootstrap intervals (one report each). The rules were written on the reports with
even numbers; the table is of those with odd numbers alone (`--half even` for the others).

Beside the rules stands what a program of the collection's makers found in the same texts
("automatic" terms, Demner-Fushman et al., JAMIA 2016), under the same mapping.
"""

from __future__ import annotations

import argparse
import re
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medssl.evaluation.metrics.decisions import f1, prepare_f1
from medssl.evaluation.statistics import resample
from medssl.text.errors import TextError
from medssl.text.findings import FINDINGS, NO_FINDING, label_findings
from medssl.text.openi import OpenIReport, parse_openi

CODES: dict[str, str] = {
    "atelectasis": r"pulmonary atelectasis(/.*)?|atelectas[ei]s|.*\batelectas[ei]s",
    "cardiomegaly": r"cardiomegaly.*|cardiac shadow.*/(enlarged|borderline).*",
    "effusion": r"(.*\b)?pleural effusions?(/.*)?|hydropneumothorax.*|"
    r"hemopneumothorax.*|hemothorax.*",
    "infiltration": r"infiltrates?(/.*)?",
    "mass": r"mass(/.*)?|masses",
    "nodule": r"nodules?(/.*)?",
    "pneumonia": r"pneumonia(/.*)?|.*\bpneumonia",
    "pneumothorax": r"pneumothorax(/.*)?|hydropneumothorax.*|hemopneumothorax.*",
    "consolidation": r"consolidations?(/.*)?",
    "edema": r"pulmonary edemas?(/.*)?|interstitial pulmonary edema",
    "emphysema": r"(pulmonary |bullous )?emphysemas?(/.*)?",
    "fibrosis": r"(pulmonary )?fibros[ei]s(/.*)?",
    "pleural thickening": r"thickening/(.*/)?pleura.*|pleural thickening",
    "hernia": r"hernia, (hiatal|diaphragmatic).*|(.*\b)?hiatal hernia",
    "enlarged cardiomediastinum": r"mediastinum/(.*/)?(enlarged|prominent|wide).*",
    "lung opacity": r"opacity(/.*)?|airspace disease.*|infiltrates?(/.*)?|density/(.*/)?lung.*",
    "lung lesion": r"(opacity|density)/lung/(.*/)?round.*|mass(/.*)?|masses|nodules?(/.*)?|"
    r".*(lung cancer|lung neoplasms)",
    "pleural other": r"thickening/(.*/)?pleura.*|pleural thickening|.*/pleura(/.*)?",
    "fracture": r"fractures?(, bone)?(/.*)?|.*\bfractures?",
    "support devices": r"catheters, indwelling.*|implanted medical device.*|tube, inserted.*|"
    r"medical device.*|stents.*|.*(picc|catheters?|pacemaker, artificial|tracheostom\w+)",
    NO_FINDING: r"normal",
}
"""Which terms stand for a label: those of people ("Opacity/lung/base") and of the program."""


@dataclass(frozen=True)
class Coded:
    """A report, its number, and its labels by people and by the program."""

    number: int
    report: OpenIReport
    people: frozenset[str]
    program: frozenset[str]


def coded(terms: Sequence[str]) -> frozenset[str]:
    """Labels of a list of terms."""
    return frozenset(
        label
        for label, pattern in CODES.items()
        if any(re.fullmatch(pattern, term.lower()) for term in terms)
    )


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all XML files, of a folder or of the archive in it."""
    for path in sorted(folder.rglob("*.xml")):
        yield path.stem, path.read_bytes()
    for archive in sorted(folder.glob("*.tgz")):
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and member.name.endswith(".xml"):
                    file = opened.extractfile(member)
                    assert file is not None
                    yield Path(member.name).stem, file.read()


def read(folder: Path, half: str) -> list[Coded]:
    """Reports of one half that have a text and were coded."""
    found = []
    for name, data in files(folder):
        if (int(name) % 2 == 0) != (half == "even"):
            continue
        try:
            report = parse_openi(data)
        except TextError:
            continue
        majors = report.mesh_major
        if majors and "No Indexing" not in majors:
            found.append(Coded(int(name), report, coded(majors), coded(report.mesh_automatic)))
    return found


def precision(labels: np.ndarray, called: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Share of the calls that are right, from weights."""
    hits, calls = (labels & called).astype(float), called.astype(float)
    return lambda weights: _share(weights @ hits, weights @ calls)


def recall(labels: np.ndarray, called: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Share of the labelled that are called, from weights."""
    return precision(called, labels)


def _share(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def row(label: str, reports: list[Coded], found: list[dict[str, str]], seed: int) -> str:
    """One line of the table."""
    truth = np.array([label in one.people for one in reports])
    called = np.array([labels.get(label) == "present" for labels in found])
    either = np.array([labels.get(label) in ("present", "uncertain") for labels in found])
    program = np.array([label in one.program for one in reports])
    if not truth.any():
        return f"| {label} | 0 | {called.sum()} | | | | | |"
    metrics = {
        "precision": precision(truth, called), "recall": recall(truth, called),
        "f1": prepare_f1(truth, called.astype(float)),
    }  # fmt: skip
    drawn = resample(metrics, np.arange(len(truth)), seed=seed, method="percentile")
    cells = [f"{i.value:.2f} [{i.low:.2f}, {i.high:.2f}]" for i in map(drawn.interval, metrics)]
    loose, rival = (float(f1(truth, calls.astype(float))) for calls in (either, program))
    shown = "–" if label == NO_FINDING or not program.any() else f"{rival:.2f}"
    counts = f"| {truth.sum()} | {called.sum()} "
    return f"| {label} {counts}| {' | '.join(cells)} | {loose:.2f} | {shown} |"


def show_errors(label: str, reports: list[Coded], found: list[dict[str, str]]) -> None:
    """Reports on which people and rules disagree."""
    for one, labels in zip(reports, found, strict=True):
        said = labels.get(label, "not mentioned")
        if (label in one.people) != (said == "present"):
            print(f"\n{one.number}: people {label in one.people}, rules {said}")
            print("; ".join(one.report.mesh_major))
            print(one.report.report.to_text())


def main() -> None:
    """Label one half of the collection and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("odd", "even"), default="odd")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--errors", choices=FINDINGS, help="show disagreements (even half alone)")
    options = parser.parse_args()
    reports = read(options.folder, "even" if options.errors else options.half)
    begun = time.perf_counter()
    found: list[dict[str, str]] = [dict(label_findings(one.report.report)) for one in reports]
    seconds = time.perf_counter() - begun
    if options.errors:
        show_errors(options.errors, reports, found)
        return
    print(
        f"{len(reports)} coded reports with {options.half} numbers, {seconds:.1f} s of labelling\n"
    )
    print(
        "| label | coded | called | precision | recall | F1 | F1, uncertain called | F1, program |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for label in FINDINGS:
        print(row(label, reports, found, options.seed))


if __name__ == "__main__":
    main()
