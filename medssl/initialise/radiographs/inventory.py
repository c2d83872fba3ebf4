"""Files of a folder sorted: images, DICOM objects, reports, tables, and the rest."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from medssl.ingest.listing import is_paper, matches
from medssl.ingest.radiographs.dicom_start import is_dicom
from medssl.initialise import tables
from medssl.initialise.answers import Answers
from medssl.initialise.listing import Listing, spread, suffix
from medssl.initialise.radiographs.report_look import ReportLook, look_at_reports
from medssl.initialise.tables import Table, read_tables
from medssl.types import Modality

IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_DICOM: Final = frozenset({".dcm", ".dicom", ".dic", ".ima"})
_TEXTS: Final = frozenset({".txt", ".xml"})
_OPENED: Final = 20
"""Files of an unknown ending whose first bytes are looked at."""
FEWEST: Final = 4
"""Fewer images or reports are figures and notes beside something else."""


@dataclass(slots=True)
class Inventory:
    """Files of a folder, sorted by what they may be.

    Args:
        listing: The folder.
        images: PNG, JPEG and TIFF files.
        dicoms: DICOM files, whatever they are called.
        reports: Files with one report each; None when there are none.
        tables: Tables beside them.
        remarks: Remarks about further tables.
        rest: How many other files there are, by extension.
        papers: Readmes, licences, lists.
        left_out: Files that `include` leaves out.
    """

    listing: Listing
    images: tuple[str, ...] = ()
    dicoms: tuple[str, ...] = ()
    reports: ReportLook | None = None
    tables: list[Table] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    rest: Counter[str] = field(default_factory=Counter)
    papers: int = 0
    left_out: int = 0

    @property
    def files(self) -> int:
        """How many files are images or reports."""
        reports = 0 if self.reports is None else len(self.reports.paths)
        return len(self.images) + len(self.dicoms) + reports


def take_inventory(listing: Listing, answers: Answers) -> Inventory:
    """Sort files by their endings, and by the first bytes of a sample where these do not tell.

    Args:
        listing: The folder.
        answers: Globs, format and modality that were given narrow what is taken.
    """
    files = listing.included(answers.include) if answers.include else listing.files
    found = Inventory(listing, left_out=len(listing.files) - len(files))
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for path in files:
        if is_paper(path):
            found.papers += 1
        else:
            groups[_ending(path)].append(path)
    dicoms = [path for ending in _DICOM & groups.keys() for path in groups.pop(ending)]
    images = [path for ending in IMAGES & groups.keys() for path in groups.pop(ending)]
    texts = [path for ending in _TEXTS & groups.keys() for path in groups[ending]]
    for ending in list(groups):
        if ending not in _TEXTS | tables.SUFFIXES and _are_dicom(listing, groups[ending]):
            dicoms += [path for path in groups.pop(ending) if _name(path) != "DICOMDIR"]
    wanted = _wanted(answers)
    found.images = tuple(sorted(images)) if "image" in wanted else ()
    found.dicoms = tuple(sorted(dicoms)) if "dicom" in wanted else ()
    found.reports = look_at_reports(listing.folder, sorted(texts)) if "report" in wanted else None
    taken = set() if found.reports is None else set(found.reports.paths)
    for ending, paths in groups.items():
        if ending not in tables.SUFFIXES:
            found.rest[ending or "no ending"] += sum(path not in taken for path in paths)
    found.rest = +found.rest
    return found


def _wanted(answers: Answers) -> frozenset[str]:
    """Formats that the answers leave."""
    if answers.format is not None:
        return frozenset({answers.format})
    if answers.modality is Modality.RADIOGRAPH:
        return frozenset({"image", "dicom"})
    if answers.modality is Modality.REPORT:
        return frozenset({"report", "report_table"})
    return frozenset({"image", "dicom", "report", "report_table"})


def takes_tables(answers: Answers) -> bool:
    """Whether reports may be taken from tables."""
    return "report_table" in _wanted(answers)


def add_tables(found: Inventory) -> None:
    """Read the tables beside the images and reports."""
    taken = {*found.images, *found.dicoms, *(found.reports.paths if found.reports else ())}
    rest = [path for path in found.listing.files if suffix(path) in tables.SUFFIXES
            and path not in taken]  # fmt: skip
    found.tables, found.remarks = read_tables(found.listing.folder, rest)


def _ending(path: str) -> str:
    """The extension; none for names such as `IM0001` and `1.2.840.113619`."""
    ending = suffix(path)
    return "" if re.fullmatch(r"\.\d+", ending) else ending


def _are_dicom(listing: Listing, paths: Sequence[str]) -> bool:
    """Whether most of an evenly spaced sample begin as DICOM files do."""
    chosen = spread([path for path in paths if _name(path) != "DICOMDIR"], _OPENED)
    return bool(chosen) and 2 * sum(_is_dicom(listing, path) for path in chosen) > len(chosen)


def _name(path: str) -> str:
    return PurePosixPath(path).name.upper()


def _is_dicom(listing: Listing, path: str) -> bool:
    file = listing.folder / path
    try:
        return file.resolve().is_relative_to(listing.folder) and is_dicom(file)
    except OSError:
        return False  # ingest says why it cannot be read


def globs_of(paths: Sequence[str], every: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Globs that find all paths, and how many other files they find too.

    Args:
        paths: Files to find.
        every: All files of the folder.

    >>> globs_of(["a/1.png", "a/2.png"], ["a/1.png", "a/2.png", "b/3.png", "x.csv"])
    (('a/**/*.png',), 0)
    >>> globs_of(["a/IM1", "a/IM2"], ["a/IM1", "a/IM2", "x.csv"])
    (('a/**',), 0)
    """
    parents = [PurePosixPath(path).parent.parts for path in paths]
    shared = 0
    while all(len(parts) > shared and parts[shared] == parents[0][shared] for parts in parents):
        shared += 1
    below = "".join(f"{part}/" for part in parents[0][:shared])
    endings = sorted({_ending(path) for path in paths})
    if "" in endings:
        globs: tuple[str, ...] = (f"{below}**",)
    else:
        globs = tuple(f"{below}**/*{ending}" for ending in endings)
    mine = set(paths)
    others = sum(
        path not in mine and not is_paper(path) and any(matches(path, glob) for glob in globs)
        for path in every
    )
    return globs, others
