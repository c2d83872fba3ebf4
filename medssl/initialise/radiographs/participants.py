"""Whose images are: told by the layout of a known collection, headers, a table, or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from medssl.errors import ConfigError
from medssl.initialise.answers import COLUMN, FILE, HEADER, TABLE, Question
from medssl.initialise.participants import Candidate, Spelling, Told, tell_participants
from medssl.initialise.radiographs.dicom_look import DicomLook
from medssl.initialise.radiographs.keys import Key, pattern_key
from medssl.initialise.radiographs.sides import Images
from medssl.initialise.tables import Table

_USUAL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of a published collection, which tell whose a file is.

    Args:
        name: The collection.
        participant: Pattern with a group `key` around the participant.
        study: The same around the study.
    """

    name: str
    participant: str
    study: str


LAYOUTS: Final = (
    Layout("MIMIC-CXR", r"(?:^|/)p(?P<key>\d{8})/", r"(?:^|/)(?P<key>s\d{8})[/.]"),
    Layout(
        "CheXpert", r"(?:^|/)(?P<key>patient\d+)/study\d+/", r"(?:^|/)(?P<key>patient\d+/study\d+)/"
    ),
    Layout("Open-I", r"(?:^|/)CXR(?P<key>\d+)_[^/]*$", r"(?:^|/)CXR(?P<key>\d+)_[^/]*$"),
    Layout("Open-I", r"(?:^|/)(?P<key>\d+)\.xml$", r"(?:^|/)(?P<key>\d+)\.xml$"),
)


def known_layout(paths: Sequence[str]) -> Layout | None:
    """The collection whose names nearly all files have."""
    for layout in LAYOUTS:
        people = pattern_key(paths, layout.participant)
        if people.covers >= _USUAL and len(people.values) > 1:
            return layout
    return None


def candidate_of(key: Key, *, named: bool = True) -> Candidate:
    """A key as a way to tell participants."""
    config = dict(key.config("participant")) if key.kind != "column" else {"column": key.said[0]}
    return Candidate([Spelling(key.answer("participant"), config, key.told)], named)


def tell_images(images: Images, tables: Sequence[Table], answer: str | None) -> Told:
    """Find the rule that tells whose images are.

    Args:
        images: The images.
        tables: Tables beside them.
        answer: What was answered, if anything.

    Raises:
        ConfigError: The answer tells no participant.
    """
    if answer is not None:
        return _answered(images, tables, answer)
    layout = known_layout(images.paths)
    if layout is not None:
        one = candidate_of(pattern_key(images.paths, layout.participant))
        return Told(one, f"named as in {layout.name}")
    if isinstance(images.look, DicomLook):
        people = images.header("participant")
        asked = sum(path in images.look.told for path in images.paths)
        if len(people.values) > 1 and sum(map(bool, people.told)) == asked:
            return Told(candidate_of(people), "the headers say so")
    listed = images.manifest
    if listed is not None and len(listed.roles.participants) == 1:
        return _by_manifest(images, listed.roles.participants[0], "the table says so")
    told = tell_participants(images.paths, tables, None)
    if told.chosen is None or told.by_manifest:
        told = _by_bare_names(images, told)
    return told if told.question is None else _asked(images, told)


def _by_manifest(images: Images, column: str, why: str, *, given: bool = False) -> Told:
    listed = images.manifest
    assert listed is not None
    key = images.column(column)
    answer = f"{TABLE}{listed.table.path},{listed.file},{column}"
    config = listed.config | {"participant": column}
    one = Candidate([Spelling(answer, config, key.told)], named=True)
    if not one.rule.counts:
        msg = f"--set participant={COLUMN}{column}: the column tells no participant"
        raise ConfigError(msg)
    return Told(one, why, given=given, by_manifest=True)


def _answered(images: Images, tables: Sequence[Table], answer: str) -> Told:
    listed = images.manifest
    if answer == HEADER:
        key = images.header("participant")
        if not key.values:
            msg = "--set participant=header: no header looked at has a PatientID"
            raise ConfigError(msg)
        return Told(candidate_of(key, named=False), "as answered", given=True)
    if answer.startswith(COLUMN):
        column = answer.removeprefix(COLUMN)
        images.column(column)
        return _by_manifest(images, column, "as answered", given=True)
    if answer.startswith(TABLE) and listed is not None:
        table, files, people = answer.removeprefix(TABLE).split(",")
        if (table, files) == (listed.table.path, listed.file):
            images.column(people)
            return _by_manifest(images, people, "as answered", given=True)
    told = tell_participants(images.paths, tables, answer)
    told.per_recording = answer == FILE
    return told


def _by_bare_names(images: Images, told: Told) -> Told:
    """The rule by names that groups images as a table with bare names does."""
    table = images.table
    if table is None or not table.bare or len(table.roles.participants) != 1:
        return told
    wanted = Key("column", (), table.told(images.paths, table.roles.participants))
    for one in told.others:
        if one.grouping == wanted.grouping:
            same = [spelling for spelling in one.spellings if spelling.told == wanted.told]
            one.spellings[:0] = same
            return Told(one, "a table groups them alike")
    return told


def _asked(images: Images, told: Told) -> Told:
    """The question, with the answers that images have beside those of recordings."""
    assert told.question is not None
    options = [(value, meaning.replace("recording", "image"))
               for value, meaning in told.question.options]  # fmt: skip
    listed = images.manifest
    if listed is not None:
        for name in listed.roles.participants:
            key = images.column(name)
            options.insert(0, (COLUMN + name, candidate_of(key).describe("image")))
        if not listed.roles.participants:
            options.append((f"{COLUMN}NAME", "a column of the table that lists the images"))
    if isinstance(images.look, DicomLook) and images.header("participant").values:
        options.insert(0, (HEADER, "PatientID, which not all headers have"))
    text = re.sub("whose recording a file is", "whose an image is", told.question.text)
    told.question = Question("participant", text, tuple(options))
    return told
