"""Answers given as `--set KEY=VALUE`, and the questions that ask for them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medssl.config import join_problems, nearest
from medssl.errors import ConfigError
from medssl.ingest.radiographs.views import canonical_view
from medssl.ingest.rules import compiled
from medssl.ingest.waveforms.units import KNOWN_UNITS, canonical_unit
from medssl.types import Kind, Modality

TIME_UNITS: Final = ("s", "ms", "us", "ns", "datetime")
SIGNAL_FORMATS: Final = ("wfdb", "edf", "matlab", "parquet", "text")
STUDY_FORMATS: Final = ("image", "dicom", "report", "report_table")
FORMATS: Final = SIGNAL_FORMATS + STUDY_FORMATS
SIGNAL_KEYS: Final = (
    "channels", "rate_in", "recordings", "time_column", "time_unit", "units", "variable",
)  # fmt: skip
"""Questions that only recordings of signals raise."""
STUDY_KEYS: Final = ("burned_in", "colour", "edge", "other_modalities", "study", "text", "view")
"""Questions that only images and reports raise."""
KEYS: Final = tuple(
    sorted((*SIGNAL_KEYS, *STUDY_KEYS, "format", "include", "modality", "participant", "session"))
)
MODALITIES: Final = tuple(one.value for one in Modality if one.kind is Kind.WAVEFORM)
STUDY_MODALITIES: Final = (Modality.RADIOGRAPH.value, Modality.REPORT.value)

FOLDER: Final = "folder"
FILE: Final = "file"
HEADER: Final = "header"
PATTERN: Final = "pattern:"
TABLE: Final = "table:"
COLUMN: Final = "column:"
COMMENT: Final = "comment:"
NONE: Final = "none"

_CHOICES: Final = {
    "colour": ("refuse", "convert"), "burned_in": ("refuse", "keep"),
    "other_modalities": ("refuse", "keep"),
}  # fmt: skip
_LARGEST_EDGE: Final = 4096
_MODALITY_ALIASES: Final = {
    "ekg": "ecg", "pleth": "ppg", "resp": "respiration", "image": "radiograph", "cxr": "radiograph",
    "xray": "radiograph", "x-ray": "radiograph",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was answered; None or empty where nothing was.

    Args:
        format: One of `FORMATS`.
        include: Globs of the recordings.
        modality: What was measured.
        channels: Channels to take, by their names in the files.
        units: Unit of the samples.
        rate_in: Samples per second in files that do not tell it (Hz).
        time_column: Column with times in text files and Parquet tables.
        time_unit: What these times are.
        recordings: Column or path whose values or elements are recordings.
        variable: Path of the matrix in MATLAB files.
        participant: `folder`, `file`, `header`, `pattern:…`, `column:…`, `comment:…` or
            `table:TABLE,FILES,PARTICIPANTS`.
        session: `none`, `folder`, `pattern:…` or `comment:…`.
        study: `none`, `folder`, `file`, `header`, `pattern:…` or `column:…`.
        view: A view such as `PA`, `none`, `header`, `pattern:…` or `column:…`.
        edge: Longer side of images in the store (pixels).
        colour: What becomes of colour images.
        burned_in: What becomes of images whose header says that text is burned in.
        other_modalities: What becomes of DICOM images that are no radiographs, by their headers.
        text: Columns with reports.
        given: The items as they were given.
    """

    format: str | None = None
    include: tuple[str, ...] = ()
    modality: Modality | None = None
    channels: tuple[str, ...] = ()
    units: str | None = None
    rate_in: float | None = None
    time_column: str | None = None
    time_unit: str | None = None
    recordings: str | None = None
    variable: str | None = None
    participant: str | None = None
    session: str | None = None
    study: str | None = None
    view: str | None = None
    edge: int | None = None
    colour: str | None = None
    burned_in: str | None = None
    other_modalities: str | None = None
    text: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Something that the files do not tell.

    Args:
        key: Which answer is missing.
        text: What is not known.
        options: Values that would answer, each with what it means.
    """

    key: str
    text: str
    options: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """The question, then one line for each option with the exact flag."""
        flags = [(flag(f"{self.key}={value}"), meaning) for value, meaning in self.options]
        return [
            f"  {self.key}: {self.text}",
            *(f"    {text}    {meaning}".rstrip() for text, meaning in flags),
        ]


def flag(item: str) -> str:
    """An answer as it is typed in a shell.

    >>> flag("channels=ECG I")
    "--set channels='ECG I'"
    """
    key, _, value = item.partition("=")
    return f"--set {key}={shlex.quote(value)}"


def parse_answers(items: Sequence[str]) -> Answers:
    """Check every answer; all problems are reported at once.

    >>> parse_answers(["rate_in=125", "modality=ekg"]).modality
    <Modality.ECG: 'ecg'>

    Raises:
        ConfigError: An unknown key (with the nearest one), or a value that cannot be.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for item in items:
        key, found, text = item.partition("=")
        key, text = key.strip(), text.strip()
        if not found or not text:
            problems.append(f"--set {item}: give KEY=VALUE; keys: {', '.join(KEYS)}")
        elif key not in KEYS:
            problems.append(f"--set {key}=…: unknown key{nearest(key, KEYS)}")
        elif key in values:
            problems.append(f"--set {key}=… is given twice: keep one of them")
        else:
            try:
                values[key] = _value(key, text)
            except ValueError as error:
                problems.append(f"--set {item}: {error}")
    for name in ("time_column", "time_unit"):
        if "rate_in" in values and name in values:
            problems.append(f"rate_in and {name} both tell the rate: keep one of them")
    if problems:
        raise ConfigError(join_problems(problems))
    return Answers(**values, given=tuple(items))  # type: ignore[arg-type]


def _value(key: str, text: str) -> object:
    if key in {"channels", "include", "text"}:
        listed = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        if not listed:
            msg = "name at least one"
            raise ValueError(msg)
        return listed
    if key == "rate_in":
        return _rate(text)
    if key == "units":
        return _unit(text)
    if key == "modality":
        name = _MODALITY_ALIASES.get(text.casefold(), text.casefold())
        return Modality(_one_of(name, MODALITIES + STUDY_MODALITIES))
    if key == "time_unit":
        return _one_of(text.casefold(), TIME_UNITS)
    if key == "format":
        return _one_of(text.casefold(), FORMATS)
    if key in _CHOICES:
        return _one_of(text.casefold(), _CHOICES[key])
    if key == "edge":
        return _edge(text)
    checked = {"participant": _participant, "session": _session, "study": _study, "view": _view}
    return checked[key](text) if key in checked else text


def _one_of(text: str, known: Sequence[str]) -> str:
    if text not in known:
        hint = nearest(text, known)
        msg = f"unknown{hint}" + ("" if "known" in hint else f" (known: {', '.join(known)})")
        raise ValueError(msg)
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        msg = "give samples per second as a positive number, such as 125"
        raise ValueError(msg)
    return rate


def _unit(text: str) -> str:
    unit = canonical_unit(text)
    if unit is None:
        hint = nearest(text, KNOWN_UNITS)
        msg = f"unknown unit{hint}"
        raise ValueError(msg)
    return unit


def _participant(text: str) -> str:
    if text.startswith(PATTERN):
        compiled(text.removeprefix(PATTERN), "participant")
    elif text.startswith(TABLE):
        if text.count(",") != 2:
            msg = "give table:TABLE,COLUMN_OF_FILES,COLUMN_OF_PARTICIPANTS"
            raise ValueError(msg)
    elif text not in {FOLDER, FILE, HEADER} and not text.startswith((COLUMN, COMMENT)):
        hint = nearest(text, (FOLDER, FILE, PATTERN, COMMENT, TABLE, COLUMN, HEADER))
        msg = f"give folder, file, header, pattern:…, column:…, comment:… or table:…{hint}"
        raise ValueError(msg)
    return text


def _session(text: str) -> str:
    if text.startswith(PATTERN):
        compiled(text.removeprefix(PATTERN), "session")
    elif text not in {FOLDER, NONE} and not text.startswith(COMMENT):
        hint = nearest(text, (FOLDER, NONE, PATTERN, COMMENT))
        msg = f"give none, folder, pattern:… or comment:…{hint}"
        raise ValueError(msg)
    return text


def _study(text: str) -> str:
    if text.startswith(PATTERN):
        compiled(text.removeprefix(PATTERN), "study")
    elif text not in {FOLDER, FILE, HEADER, NONE} and not text.startswith(COLUMN):
        hint = nearest(text, (FOLDER, FILE, HEADER, NONE, PATTERN, COLUMN))
        msg = f"give none, folder, file, header, pattern:… or column:…{hint}"
        raise ValueError(msg)
    return text


def _view(text: str) -> str:
    if text.startswith(PATTERN):
        compiled(text.removeprefix(PATTERN), "view")
    elif text not in {HEADER, NONE} and not text.startswith(COLUMN):
        view = canonical_view(text)
        if view is None:
            msg = (
                "give a view (PA, AP, AP supine, lateral, frontal), none, header, pattern:… or "
                "column:…"
            )
            raise ValueError(msg)
        return view
    return text


def _edge(text: str) -> int:
    if not text.isdigit() or not 16 <= int(text) <= _LARGEST_EDGE:
        msg = f"give pixels along the longer side, from 16 to {_LARGEST_EDGE}"
        raise ValueError(msg)
    return int(text)


def refuse_foreign(answers: Answers, keys: Sequence[str], what: str) -> None:
    """Refuse answers to questions that what is there does not raise.

    Raises:
        ConfigError: One of the keys is answered.
    """
    for key in keys:
        if getattr(answers, key) not in (None, ()):
            msg = f"--set {key}=…: {what} have none; leave it out"
            raise ConfigError(msg)


def refuse_to_guess(
    folder: Path, answers: Answers, questions: Sequence[Question], found: Sequence[str]
) -> ConfigError:
    """The error that asks all open questions, after what was found."""
    many = len(questions) > 1
    asked = {question.key for question in questions}
    kept = [flag(item) for item in answers.given if item.partition("=")[0].strip() not in asked]
    start = " ".join(["medssl init", shlex.quote(str(folder)), *kept])
    example = flag(f"{questions[0].key}={questions[0].options[0][0]}")
    msg = "\n".join(
        [
            f"{len(questions)} thing{'s' if many else ''} cannot be told from the files, and "
            "nothing was written. Found:",
            *(f"  {line}" for line in found),
            "Answer each with one flag:" if many else "Answer with one flag:",
            *(line for question in questions for line in question.lines()),
            f"as in: {start} {example}{' …' if many else ''}",
        ]
    )
    return ConfigError(msg)
