"""What DICOM headers tell of a file, by the words of medssl."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1)
_TAGS: Final = (
    "PatientSex", "PatientAge", "Modality", "BodyPartExamined", "Laterality", "ImageLaterality",
)  # fmt: skip
_YEARS: Final = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


@dataclass(frozen=True, slots=True)
class Header:
    """What a header tells.

    Args:
        told: Participant, study, view, time, site and device, as far as they are there.
        comments: `Sex`, `Age` (years), `Modality`, `Body part` and `Laterality`, as far as they
            are there. Names, birth dates and descriptions are never offered.
    """

    told: Mapping[str, str]
    comments: tuple[str, ...]


def read_dicom_header(path: Path) -> Header:
    """Read the header of a DICOM file.

    Raises:
        Unreadable: It is none, or damaged.
    """
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, mtime: int, size: int) -> Header:
    """A header, remembered for the next rule that asks for it."""
    from medssl.ingest.radiographs.dicom_file import read_dataset, text_of
    from medssl.ingest.radiographs.dicom_reader import read_header
    from medssl.ingest.radiographs.quiet import quiet

    facts = read_header(path)
    names = ("participant", "study", "view", "site", "device")
    told = {name: str(getattr(facts, name) or "") for name in names}
    if facts.time is not None:
        told["time"] = (_EPOCH + timedelta(days=facts.time)).isoformat()
    with quiet():
        header = read_dataset(path, _TAGS)
        said = {name: text_of(header, name) or "" for name in _TAGS}
    comments = {
        "Sex": said["PatientSex"],
        "Age": _years(said["PatientAge"]),
        "Modality": said["Modality"],
        "Body part": said["BodyPartExamined"],
        "Laterality": said["ImageLaterality"] or said["Laterality"],
    }
    return Header(told, tuple(f"{name}: {text}" for name, text in comments.items() if text))


def _years(age: str) -> str:
    """An age string of DICOM (PS3.5 6.2, AS) in years; empty text when it is none.

    >>> _years("045Y"), _years("006M"), _years("old")
    ('45', '0.5', '')
    """
    found = re.fullmatch(r"(\d{1,3})([YMWD])", age)
    return f"{int(found[1]) * _YEARS[found[2]]:.4g}" if found else ""
