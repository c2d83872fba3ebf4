"""Look at the headers of DICOM files: whose they are, what they show; no pixel is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medssl.errors import IngestError
from medssl.ingest.headers import read_dicom_header
from medssl.ingest.ledger import Unreadable
from medssl.ingest.radiographs.dicom_header import (
    GREY,
    OTHERS,
    PROJECTIONS,
    modality_of,
    read_pixel_header,
)
from medssl.ingest.radiographs.quiet import quiet
from medssl.ingest.radiographs.settings import DisplaySettings
from medssl.ingest.waveforms.recording import parse_comments
from medssl.initialise.listing import spread

MAX_HEADERS: Final = 2000
"""Of more files the headers of a sample are read, and participants are known of these alone."""
_KEPT: Final = DisplaySettings(burned_in="keep", colour="convert", other_modalities="keep")


@dataclass(slots=True)
class DicomLook:
    """What headers of DICOM files tell.

    Args:
        paths: All of them.
        opened: Those whose headers were looked at.
        sizes: Rows and columns of those whose pixels may be read, by path.
        told: Participant, study, view, time and device of each of them; no names, no birth dates.
        comments: `Sex`, `Age` and others of each of them.
        modalities: How often which of DICOM's own modalities.
        others: Those whose modality makes no radiographs: slices of volumes and others.
        burned_in: Those whose header says that text is burned in.
        coloured: Those whose pixels are colours.
        unreadable: Those looked at that cannot be read, by reason.
    """

    paths: tuple[str, ...]
    opened: tuple[str, ...] = ()
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    told: dict[str, dict[str, str]] = field(default_factory=dict)
    comments: dict[str, dict[str, str]] = field(default_factory=dict)
    modalities: Counter[str] = field(default_factory=Counter)
    others: set[str] = field(default_factory=set)
    burned_in: set[str] = field(default_factory=set)
    coloured: set[str] = field(default_factory=set)
    unreadable: Counter[str] = field(default_factory=Counter)

    @property
    def usable(self) -> float:
        """Share of those looked at that may be read."""
        return len(self.sizes) / max(len(self.opened), 1)

    def values(self, what: str) -> tuple[str | None, ...]:
        """What the headers say, for every path; None where they say nothing or were not read."""
        return tuple(self.told.get(path, {}).get(what) or None for path in self.paths)


def look_at_dicom(folder: Path, paths: Sequence[str]) -> DicomLook:
    """Read headers: of all files, or of an evenly spaced sample of many.

    Args:
        folder: The folder.
        paths: All its DICOM files.
    """
    found = DicomLook(tuple(paths), tuple(spread(paths, MAX_HEADERS)))
    for path in found.opened:
        try:
            if (folder / path).resolve().is_relative_to(folder):
                _add(found, folder, path)
            else:
                found.unreadable["links out of the folder"] += 1
        except Unreadable as verdict:
            found.unreadable[verdict.reason.value] += 1
        except (IngestError, OSError) as error:
            found.unreadable[type(error).__name__] += 1
    return found


def _add(found: DicomLook, folder: Path, path: str) -> None:
    header = read_dicom_header(folder / path)
    comments = parse_comments(header.comments)
    modality = comments.get("Modality", "not told")
    known = {*PROJECTIONS, *OTHERS, "not told"}
    found.modalities[modality if modality in known else "another"] += 1
    with quiet():
        pixels = read_pixel_header(folder / path, _KEPT)
    found.sizes[path] = (pixels.rows, pixels.columns)
    found.told[path] = dict(header.told)
    found.comments[path] = dict(comments)
    if modality_of(pixels.dataset) not in PROJECTIONS:
        found.others.add(path)
    if str(pixels.dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        found.burned_in.add(path)
    if pixels.photometric not in GREY:
        found.coloured.add(path)
