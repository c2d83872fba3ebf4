"""Label-matched pairs: images of two open sets with real sentences that carry the same findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from medssl.bench.radiographs.sentences import LUNG_OPACITY, Pool, read_pools
from medssl.ingest.deidentify import pseudonym
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.text.findings import NIH
from medssl.views.seeds import derive_seed

KEY: Final = "medssl"
"""Secret behind the pseudonyms of the benchmark, whose data are public."""
SENTENCES: Final = 2
"""Of each report, at most."""
NIH_FOLDER: Final = "cxr_nih1000"
KERMANY_FOLDER: Final = "cxr_kermany_pneumonia"
_INFILTRATION: Final = ("infiltration", LUNG_OPACITY)
_PNEUMONIA: Final = ("pneumonia", "consolidation", LUNG_OPACITY)
"""What a report of a child with pneumonia may say, any of them."""


def write_corpus(data: Path, folder: Path, split: SplitConfig) -> dict[str, Any]:
    """Write one report for each image, as tables that ingest reads.

    A report holds a sentence for each finding of the image's label, and denials of other findings.
    Sentences of training participants, of validation and of test participants come from different
    Open-I reports. The labels of training images thus reach the text: what is learned from such
    pairs has seen labels, and every number from them is called label-matched.

    Args:
        data: Folder of the data sets.
        folder: Where the tables go.
        split: Of the benchmark's pipelines.

    Returns:
        Counts for the page: images, sentences in the pools, findings that had no sentence.
    """
    pools = read_pools(data)
    missing: Counter[str] = Counter()
    counts: dict[str, Any] = {
        "sentences": {
            name: sum(map(len, pool.present.values())) + len(pool.absent)
            for name, pool in pools.items()
        }
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("nih", _nih(data)), ("kermany", _kermany(data))):
        people = sorted({row["participant"] for row in rows})
        codes = {person: pseudonym(person, source=name, key=KEY) for person in people}
        table = pd.DataFrame(index=list(codes.values()))
        dealt = assign_splits(table, split)
        for row in rows:
            pool = pools[dealt[codes[row["participant"]]]]
            row["report"] = " ".join(_report(row["study"], row.pop("wanted"), pool, missing))
        frame = pd.DataFrame(rows)
        frame.to_csv(folder / f"{name}.csv", index=False)
        counts[name] = {"images": len(frame), "participants": len(people)}
    counts["findings without a sentence"] = dict(missing)
    return counts


def _nih(data: Path) -> list[dict[str, Any]]:
    table = pd.read_csv(data / NIH_FOLDER / "metadata.csv", dtype={"patient_id": str})
    columns = {f"y_{name}": own for name, own in NIH.items()}
    return [
        {
            "participant": row["patient_id"],
            "study": Path(row["file"]).stem,
            "wanted": [_words(own) for column, own in columns.items() if row[column] == 1],
        }
        for row in table.to_dict("records")
    ]


def _kermany(data: Path) -> list[dict[str, Any]]:
    table = pd.read_csv(data / KERMANY_FOLDER / "metadata.csv", dtype=str)
    return [
        {
            "participant": row["patient_id"],
            "study": Path(row["file"]).stem,
            "wanted": [] if row["label"] == "normal" else [_PNEUMONIA],
        }
        for row in table.to_dict("records")
    ]


def _words(finding: str) -> tuple[str, ...]:
    return _INFILTRATION if finding == "infiltration" else (finding,)


def _report(
    study: str, wanted: Sequence[tuple[str, ...]], pool: Pool, missing: Counter[str]
) -> list[str]:
    """Sentences for a study: its findings first, then denials that do not contradict them."""
    generator = np.random.default_rng(derive_seed(0, "label-matched", study))
    said: list[str] = []
    for names in wanted:
        choices = [sentence for name in names for sentence in pool.present.get(name, [])]
        if choices:
            said.append(_one(choices, generator))
        else:
            missing[names[0]] += 1
    there = {name for names in wanted for name in names}
    denials = [text for text, denied in pool.absent if not _contradicts(there, denied)]
    while len(said) < SENTENCES and denials:
        said.append(_one(denials, generator))
    return said


def _contradicts(there: set[str], denied: frozenset[str]) -> bool:
    """Whether a denial speaks of what is there, or says that all is well where something is not."""
    return bool(there) and (not denied or bool(denied & (there | {LUNG_OPACITY})))


def _one(choices: Sequence[str], generator: np.random.Generator) -> str:
    return choices[int(generator.integers(len(choices)))]


def shown_counts(counts: Mapping[str, Any]) -> list[str]:
    """The corpus in sentences, for the page."""
    missing = counts["findings without a sentence"]
    told = ", ".join(f"{name} {count}" for name, count in sorted(missing.items())) or "none"
    pools = ", ".join(f"{count} {name}" for name, count in counts["sentences"].items())
    return [
        f"**Label-matched pairs**: {counts['nih']['images']} images of NIH ChestX-ray14 and "
        f"{counts['kermany']['images']} of Kermany et al., each with up to {SENTENCES} real "
        "sentences of Open-I reports that carry the same findings and deny others; nobody wrote "
        "them about these images. What is trained on them has seen the labels of training images.",
        f"Sentences in the pools, from different reports: {pools}. Findings without a sentence in "
        f"their pool, left unmentioned: {told}.",
    ]
