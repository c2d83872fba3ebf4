"""What a folder holds: recordings of which format, tables, and files of no use here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from medssl.errors import ConfigError
from medssl.ingest.listing import is_paper
from medssl.initialise import tables, text_kinds
from medssl.initialise.answers import Answers, Question
from medssl.initialise.edf_look import look_at_edf
from medssl.initialise.facts import Facts
from medssl.initialise.formats import is_known, other_formats
from medssl.initialise.listing import Listing, plural, suffix
from medssl.initialise.matlab_look import look_at_matlab
from medssl.initialise.parquet_look import look_at_parquet
from medssl.initialise.tables import Table, read_tables
from medssl.initialise.text_kinds import TextKind, find_kinds, glob_of, recordings_among
from medssl.initialise.text_look import facts_of
from medssl.initialise.wfdb_look import look_at_wfdb

_HEADER: Final = ".hea"
_FEW: Final = 5
_SIGNALS: Final = frozenset({".dat", ".mat", ".xyz"})
_SUFFIXES: Final = {".edf": "edf", ".bdf": "edf", ".mat": "matlab", ".parquet": "parquet"}
_WANTED: Final = {
    "wfdb": "WFDB headers",
    "edf": "EDF files",
    "matlab": "MATLAB files",
    "parquet": "Parquet tables of numbers",
    "text": "text tables of numbers",
}


@dataclass(slots=True)
class Survey:
    """What a folder holds.

    Args:
        listing: Its files.
        facts: Its recordings; None as long as a question is open.
        question: What to ask before the recordings can be told from the rest.
        others: Files in formats that this version does not read, by format.
        beside: Annotations and other files beside WFDB headers.
        papers: Readmes, licences, lists.
        left_out: Files that `include` leaves out.
        candidates: Kinds of text file that may be recordings.
        refused: Kinds of text file that are none, with the reason.
        tables: Tables beside the recordings.
        remarks: Remarks about further tables.
    """

    listing: Listing
    facts: Facts | None = None
    question: Question | None = None
    others: Counter[str] = field(default_factory=Counter)
    beside: int = 0
    papers: int = 0
    left_out: int = 0
    candidates: list[TextKind] = field(default_factory=list)
    refused: list[tuple[TextKind, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def survey_folder(listing: Listing, answers: Answers) -> Survey:
    """Look at a folder: names of all files, headers and first lines of a sample.

    Args:
        listing: The folder.
        answers: What was answered.

    Raises:
        ConfigError: There is no recording that this version reads.
    """
    survey = Survey(listing)
    files = listing.included(answers.include) if answers.include else listing.files
    if not files:
        msg = f"--set include={','.join(answers.include)}: none of {len(listing.files)} files match"
        raise ConfigError(msg)
    survey.left_out = len(listing.files) - len(files)
    headers = [path for path in files if suffix(path) == _HEADER]
    stems = {_stem(path) for path in listing.files if suffix(path) == _HEADER}
    text = [
        path for path in files if suffix(path) in text_kinds.SUFFIXES and _stem(path) not in stems
    ]
    looks = _look(survey, files, headers, stems, answers)
    kinds = find_kinds(listing, text)
    survey.candidates, survey.refused = recordings_among(kinds)
    read = {look.format for look in looks}
    known = {path for path in files if _SUFFIXES.get(suffix(path)) in read}
    _sort_the_rest(survey, files, stems, known.union(text))
    _choose(survey, looks, text, answers)
    if survey.facts is not None:
        # Files that come by the dozen belong to single recordings and are no tables about them.
        many = [kind.paths for kind in kinds if len(kind.paths) > _FEW]
        left = set(survey.facts.paths).union(*many)
        rest = [
            path for path in listing.files if suffix(path) in tables.SUFFIXES and path not in left
        ]
        survey.tables, survey.remarks = read_tables(listing.folder, rest)
    return survey


def _look(
    survey: Survey, files: Sequence[str], headers: Sequence[str], stems: set[str], answers: Answers
) -> list[Facts]:
    """What there is of each format but text; a question about it goes to the survey."""
    folder = survey.listing.folder
    looks = [look_at_wfdb(folder, headers)] if headers else []
    by_suffix: defaultdict[str, list[str]] = defaultdict(list)
    for path in files:
        # A file of samples that a WFDB header names is no recording of its own.
        if _stem(path) not in stems and not is_paper(path):
            by_suffix[_SUFFIXES.get(suffix(path), "")].append(path)
    wanted = {name: paths for name, paths in by_suffix.items() if answers.format in (None, name)}
    if wanted.get("edf"):
        looks.append(look_at_edf(folder, wanted["edf"]))
    if wanted.get("matlab"):
        facts, survey.question = look_at_matlab(folder, wanted["matlab"], answers)
        looks.append(facts)
    if wanted.get("parquet"):
        found = look_at_parquet(folder, wanted["parquet"], answers)
        looks += [] if found is None else [found]
    for look in looks:
        look.include = look.include or answers.include
    return looks


def _stem(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()


def _sort_the_rest(survey: Survey, files: Sequence[str], stems: set[str], text: set[str]) -> None:
    unknown = []
    for path in files:
        if is_paper(path):
            survey.papers += 1
        elif suffix(path) == _HEADER or path in text or suffix(path) in tables.SUFFIXES:
            continue
        elif _stem(path) in stems and (suffix(path) in _SIGNALS or not is_known(path)):
            survey.beside += suffix(path) not in _SIGNALS
        else:
            unknown.append(path)
    survey.others = other_formats(survey.listing.folder, unknown)


def _choose(survey: Survey, looks: Sequence[Facts], text: Sequence[str], answers: Answers) -> None:
    """Set the recordings, or ask which they are.

    Raises:
        ConfigError: There are none.
    """
    if survey.question is not None:
        return
    kinds = survey.candidates
    readable = [look for look in looks if look.readable and answers.format in (None, look.format)]
    if len(readable) + bool(kinds) > 1 and answers.format is None:
        options = [(one.format, plural(len(one.paths), f"{one.title} recording"))
                   for one in readable]  # fmt: skip
        if kinds:
            options.append(("text", ", ".join(describe_kind(kind) for kind in kinds)))
        survey.question = Question(
            "format",
            "recordings of several formats are there, and one source reads one of them",
            tuple(options),
        )
    elif readable:
        survey.facts = readable[0]
        _refuse_keys(survey.facts, answers)
    elif kinds and answers.format in (None, "text"):
        # Who names the files by include has answered which kind they are.
        if len(kinds) > 1 and not answers.include:
            survey.question = _which_kind(kinds)
        else:
            survey.facts = facts_of(_joined(kinds), text, answers)
    else:
        raise ConfigError(_nothing(survey, looks, answers))


def _refuse_keys(facts: Facts, answers: Answers) -> None:
    for key in ("rate_in", "time_column", "time_unit") if facts.headed else ():
        if getattr(answers, key) is not None:
            msg = f"--set {key}=…: {facts.title} headers tell their rate; leave it out"
            raise ConfigError(msg)


def _joined(kinds: Sequence[TextKind]) -> TextKind:
    if len(kinds) == 1:
        return kinds[0]
    one = TextKind("text", "", sorted(path for kind in kinds for path in kind.paths))
    for kind in kinds:
        one.opened += kind.opened
        one.looks |= kind.looks
        one.unreadable += kind.unreadable
    return one


def _which_kind(kinds: Sequence[TextKind]) -> Question:
    return Question(
        "include",
        "several kinds of text file may be the recordings",
        tuple((glob_of(kind), describe_kind(kind)) for kind in kinds),
    )


def describe_kind(kind: TextKind) -> str:
    """A kind of text file in words."""
    look = next(iter(kind.looks.values()))
    samples = f"{look.shape.samples:,}"
    if look.shape.layout == "row":
        return f"{kind.title}, {plural(len(look.channels), 'row')} of {samples} numbers"
    text = f"{kind.title}, {plural(len(look.channels), 'column')} of {samples} numbers"
    return text + (f" named {', '.join(look.channels[:6])}" if look.shape.header else "")


def _nothing(survey: Survey, looks: Sequence[Facts], answers: Answers) -> str:
    found = []
    for look in looks:
        reasons = ", ".join(f"{reason} {count}" for reason, count in look.unreadable.most_common())
        noun = "WFDB header" if look.format == "wfdb" else f"{look.title} file"
        found.append(f"{plural(len(look.paths), noun)} (looked at {look.looked}: "
                     f"{reasons or 'readable'})")  # fmt: skip
    found += [f"{kind.title} of numbers" for kind in survey.candidates]
    found += [f"{kind.title} ({reason})" for kind, reason in survey.refused]
    found += [f"{count} {name}" for name, count in survey.others.most_common()]
    if survey.papers:
        found.append(plural(survey.papers, "readme, licence or list"))
    every = ", ".join([*_WANTED.values(), "four or more radiographs or reports"])
    wanted = _WANTED.get(answers.format or "", every)
    return (
        f"{survey.listing.folder} holds no recording that this version reads ({wanted}); found: "
        f"{', '.join(found) or 'nothing else'}"
    )
