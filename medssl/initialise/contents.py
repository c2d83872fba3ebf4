"""What kind of data a folder holds: recordings of signals, or images and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from medssl.errors import ConfigError, MedsslError
from medssl.initialise.answers import (
    SIGNAL_FORMATS,
    STUDY_FORMATS,
    Answers,
    Question,
    refuse_to_guess,
)
from medssl.initialise.listing import Listing, plural
from medssl.initialise.radiographs.inventory import (
    FEWEST,
    Inventory,
    add_tables,
    take_inventory,
    takes_tables,
)
from medssl.initialise.radiographs.sides import find_report_table
from medssl.initialise.survey import Survey, survey_folder
from medssl.types import Kind

_BESIDE: Final = 10
"""So many times fewer files than the others stand beside them, such as figures."""


def look_for(
    folder: Path, listing: Listing, answers: Answers
) -> tuple[Inventory | None, Survey | None]:
    """Images and reports, or else recordings of signals.

    Args:
        folder: The folder, as it was given.
        listing: Its files.
        answers: A format or a modality that was given decides.

    Returns:
        The one that is to be taken; the other is None.

    Raises:
        ConfigError: There is neither, or both are there and nothing says which is meant.
    """
    signals = answers.modality is not None and answers.modality.kind is Kind.WAVEFORM
    if signals or answers.format in SIGNAL_FORMATS:
        return None, survey_folder(listing, answers)
    found = take_inventory(listing, answers)
    if answers.modality is not None or answers.format in STUDY_FORMATS:
        add_tables(found)
        return found, None
    try:
        survey = survey_folder(listing, answers)
    except MedsslError:
        add_tables(found)
        if found.files >= FEWEST or _reports_in_tables(found, answers):
            return found, None
        raise
    recordings = _recordings(survey)
    if found.files < FEWEST or _BESIDE * found.files < recordings:
        return None, survey
    if recordings < FEWEST or _BESIDE * recordings < found.files:
        add_tables(found)
        return found, None
    raise _which(folder, answers, found, survey, recordings)


def _reports_in_tables(found: Inventory, answers: Answers) -> bool:
    return takes_tables(answers) and find_report_table(found.tables, answers.text, None) is not None


def _recordings(survey: Survey) -> int:
    """How many files are recordings of signals, or may be."""
    if survey.facts is not None:
        return len({path.partition("#")[0] for path in survey.facts.paths})
    return max((len(kind.paths) for kind in survey.candidates), default=FEWEST)


def _which(
    folder: Path, answers: Answers, found: Inventory, survey: Survey, recordings: int
) -> ConfigError:
    """The question which of the two is meant."""
    reports = 0 if found.reports is None else len(found.reports.paths)
    there = [
        f"{plural(recordings, 'recording')} of signals",
        f"{plural(len(found.images) + len(found.dicoms), 'image')} and "
        f"{plural(reports, 'file')} with reports",
    ]
    signals = survey.facts.format if survey.facts is not None else "text"
    sides = {"image": len(found.images), "dicom": len(found.dicoms), "report": reports}
    options = [(signals, plural(recordings, "recording"))]
    options += [(name, plural(count, "file")) for name, count in sides.items() if count]
    text = "signals and images or reports are there; one pipeline is written for one of them"
    return refuse_to_guess(folder, answers, [Question("format", text, tuple(options))], there)
