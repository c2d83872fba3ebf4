"""Who, when, where and which view, as a DICOM header tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from medssl.ingest.radiographs.dicom_file import read_dataset, text_of, values_of
from medssl.ingest.radiographs.views import View, canonical_view

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS: Final = (
    "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "ViewPosition",
    "ViewCodeSequence", "ImageLaterality", "Laterality", "StudyDate", "StudyTime", "Manufacturer",
    "ManufacturerModelName", "InstitutionName", "BodyPartExamined", "Modality",
    "BurnedInAnnotation",
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFacts:
    """What a header says beside the pixels; None where it says nothing. Identifies people.

    Args:
        participant: PatientID.
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        instance: SOPInstanceUID.
        view: ViewPosition, or the meaning of the view code, by the names of `views`; None where
            neither is one that is known.
        laterality: Side of a paired body part: L, R, B or U.
        time: StudyDate and StudyTime, in days since 1970: an absolute time.
        device: Manufacturer and model.
        site: InstitutionName.
        body_part: BodyPartExamined.
        modality: DICOM's own name of the modality: CR, DX, MG, CT …
        burned_in: BurnedInAnnotation.
    """

    participant: str | None
    study: str | None
    series: str | None
    instance: str | None
    view: View | None
    laterality: str | None
    time: float | None
    device: str | None
    site: str | None
    body_part: str | None
    modality: str | None
    burned_in: bool | None


def read_facts(path: Path) -> DicomFacts:
    """Read a header's facts, and nothing of its pixels.

    Raises:
        Unreadable: EMPTY_FILE, UNREADABLE_HEADER or CLAIMS_TOO_LARGE.
    """
    header = read_dataset(path, _TAGS)
    maker = (text_of(header, "Manufacturer"), text_of(header, "ManufacturerModelName"))
    burned_in = (text_of(header, "BurnedInAnnotation") or "").upper()
    return DicomFacts(
        participant=text_of(header, "PatientID"),
        study=text_of(header, "StudyInstanceUID"),
        series=text_of(header, "SeriesInstanceUID"),
        instance=text_of(header, "SOPInstanceUID"),
        view=_view(header),
        laterality=text_of(header, "ImageLaterality") or text_of(header, "Laterality"),
        time=days_since_1970(text_of(header, "StudyDate"), text_of(header, "StudyTime")),
        device=" ".join(part for part in maker if part) or None,
        site=text_of(header, "InstitutionName"),
        body_part=text_of(header, "BodyPartExamined"),
        modality=text_of(header, "Modality"),
        burned_in={"YES": True, "NO": False}.get(burned_in),
    )


def _view(header: Dataset) -> View | None:
    told = canonical_view(text_of(header, "ViewPosition"))
    codes = values_of(header, "ViewCodeSequence")
    return told or (canonical_view(text_of(codes[0], "CodeMeaning")) if codes else None)


def days_since_1970(date: str | None, time: str | None) -> float | None:
    """A DICOM date and time in days; midnight without a time, None without a date.

    Dates of ACR-NEMA (`1970.01.02`) are read too; the time zone is not told and not guessed.

    >>> days_since_1970("19700102", "120000.000"), days_since_1970("unknown", None)
    (1.5, None)
    """
    day = re.fullmatch(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", date or "")
    if day is None:
        return None
    clock = re.fullmatch(r"(\d\d):?(\d\d)?:?(\d\d(?:\.\d*)?)?", time or "")
    hours, minutes, seconds = (float(part or 0) for part in clock.groups()) if clock else (0, 0, 0)
    try:
        year, month, number = (int(part) for part in day.groups())
        since = datetime(year, month, number) - _EPOCH
    except ValueError:
        return None
    since += timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return since / timedelta(days=1)
