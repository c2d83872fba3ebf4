"""Which images and reports belong to which participant and study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from medssl.errors import ConfigError
from medssl.initialise.answers import COLUMN, FILE, FOLDER, HEADER, NONE, PATTERN, Question
from medssl.initialise.participants import Candidate, Told, tell_participants
from medssl.initialise.radiographs.dicom_look import DicomLook
from medssl.initialise.radiographs.keys import (
    FEWEST,
    Join,
    Key,
    file_key,
    joins,
    parent_key,
    pattern_key,
)
from medssl.initialise.radiographs.participants import (
    candidate_of,
    known_layout,
    tell_images,
)
from medssl.initialise.radiographs.sides import Images, Reports
from medssl.initialise.tables import Table

_USUAL: Final = 0.95
_SHOWN: Final = 4


@dataclass(slots=True)
class Belonging:
    """Whose the images, or the reports, of a folder are, and of which study.

    Args:
        participant: Names of participants.
        study: Names of studies; None where nothing tells them.
    """

    participant: Key
    study: Key | None = None


@dataclass(slots=True)
class Relation:
    """How the images and the reports of a folder belong together, as far as it is known.

    Args:
        told: How participants are told apart.
        images: Of the images; None without them.
        reports: Of the reports; None without them.
        join: How images and reports meet; None without both.
        why: Where studies come from.
        questions: What is not known.
    """

    told: Told
    images: Belonging | None = None
    reports: Belonging | None = None
    join: Join | None = None
    why: str = "nothing tells studies"
    questions: list[Question] = field(default_factory=list)


def relate(
    images: Images | None,
    reports: Reports | None,
    tables: Sequence[Table],
    participant: str | None,
    study: str | None,
) -> Relation:
    """Find the rules for participants and studies of both sides.

    Args:
        images: The images, if there are any.
        reports: The reports, if there are any.
        tables: Tables beside them.
        participant: What was answered about participants.
        study: What was answered about studies.

    Raises:
        ConfigError: An answer cannot be used.
    """
    if images is None:
        assert reports is not None
        return _reports_alone(reports, tables, participant, study)
    told = tell_images(images, tables, participant)
    found = Relation(told, questions=[] if told.question is None else [told.question])
    if reports is None:
        if told.chosen is not None:
            key, found.why = _study_of(images, study, told)
            found.images = Belonging(_people(images, told), key)
        return found
    _join(found, images, reports, study)
    if found.join is not None and told.chosen is not None:
        _share_participants(found, images, reports)
    return found


def _people(images: Images, told: Told) -> Key:
    """The participant rule of images as a key."""
    assert told.chosen is not None
    rule = told.chosen.rule
    if told.by_manifest:
        return Key("column", (str(rule.config["participant"]),), rule.told)
    if "pattern" in rule.config:
        return Key("pattern", (_keyed(str(rule.config["pattern"]), "participant"),), rule.told)
    if "table" in rule.config:
        return Key("table", (rule.answer,), rule.told)
    return Key(HEADER if "header" in rule.config else FOLDER, (), rule.told)


def _keyed(pattern: str, group: str) -> str:
    return pattern.replace(f"(?P<{group}>", "(?P<key>")


def _answered_study(side: Images | Reports, answer: str) -> Key | None:
    """The study rule that was answered.

    Raises:
        ConfigError: It is none for these files, or tells nothing.
    """
    paths = side.paths if isinstance(side, Images) else (side.look.paths if side.look else ())
    if answer == NONE:
        return None
    if answer.startswith(COLUMN):
        key = side.column(*answer.removeprefix(COLUMN).split(","))
    elif answer == HEADER:
        if not isinstance(side, Images):
            msg = "--set study=header: reports have no headers; give another rule"
            raise ConfigError(msg)
        key = side.header("study")
    elif isinstance(side, Reports) and side.look is None:
        key = side.alone
    elif answer == FOLDER:
        key = parent_key(paths)
    elif answer == FILE:
        key = file_key(paths)
    else:
        key = pattern_key(paths, _keyed(answer.removeprefix(PATTERN), "study"))
    if not key.values:
        msg = f"--set study={answer}: it tells no study; give another rule"
        raise ConfigError(msg)
    return key


def _study_of(images: Images, answer: str | None, told: Told) -> tuple[Key | None, str]:
    """Studies of images that have no reports, where something tells them."""
    if answer is not None:
        return _answered_study(images, answer), "as answered"
    listed = images.manifest
    if isinstance(images.look, DicomLook) and images.header("study").values:
        return images.header("study"), "the headers tell studies"
    if listed is not None and listed.roles.study:
        return images.column(listed.roles.study), "the table tells studies"
    layout = known_layout(images.paths)
    if layout is not None and (key := pattern_key(images.paths, layout.study)).covers >= _USUAL:
        return key, f"named as in {layout.name}"
    if listed is not None and listed.roles.visit and told.by_manifest and told.chosen:
        people = str(told.chosen.rule.config["participant"])
        return images.column(people, listed.roles.visit), "the table counts visits"
    assert told.chosen is not None
    if _folders_below(images.paths, told.chosen):
        return parent_key(images.paths), "the folder below the participant's"
    return None, "nothing tells studies"


def _folders_below(paths: Sequence[str], one: Candidate) -> bool:
    """Whether participants have several folders of their own with images in them."""
    owners: dict[str, set[str | None]] = {}
    for path, person in zip(paths, one.rule.told, strict=True):
        owners.setdefault(PurePosixPath(path).parent.as_posix(), set()).add(person)
    alone = all(len(people) == 1 for people in owners.values())
    return alone and len(owners) > len(one.rule.counts) > 1


def _join(found: Relation, images: Images, reports: Reports, answer: str | None) -> None:
    """Find how images and reports meet, or ask."""
    if answer is not None and answer != NONE:
        found.why = "as answered"
        key = _answered_study(images, answer)
        assert key is not None
        several = joins([key], reports.keys, one=reports.look is not None)
    elif _same_table(images, reports):
        # A row holds both: what the table calls a study, or else the image itself.
        assert images.manifest is not None
        name = images.manifest.roles.study or images.manifest.file
        found.why = "a row of the table names an image and holds text"
        several = joins([images.column(name)], [reports.column(name)], one=False)
    else:
        found.why = "names on both sides"
        several = joins(images.keys, reports.keys, one=reports.look is not None)
    best = [join for join in several if round(join.score, 2) == round(several[0].score, 2)
            and len(join.shared) == len(several[0].shared)]  # fmt: skip
    groupings = {join.image.grouping: join for join in reversed(best)}
    if len(groupings) == 1:
        found.join = best[0]
        return
    found.questions.append(_which_study(list(groupings.values())[:_SHOWN], answer))


def _same_table(images: Images, reports: Reports) -> bool:
    listed, rows = images.manifest, reports.rows
    return listed is not None and rows is not None and listed.table is rows.table


def _which_study(several: Sequence[Join], answer: str | None) -> Question:
    options = [
        (join.image.answer("study"), f"{len(join.shared):,} studies with images and a report")
        for join in several
    ]
    if not options:
        options = [
            (r"pattern:(?P<study>\d+)_", "a part of the images' paths that reports are named by"),
            (f"{COLUMN}NAME", "a column of the table that lists the images"),
        ]
    said = "nothing tells beyond doubt which report belongs to which image"
    if answer is not None:
        said = f"by study={answer} fewer than {FEWEST} studies have images and one report"
    text = f"{said}; or take one of them alone with --set modality=radiograph (or report)"
    return Question("study", text, tuple(options))


def _share_participants(found: Relation, images: Images, reports: Reports) -> None:
    """Give reports the participants of the images of their study, by a rule of their own."""
    join, told = found.join, found.told
    assert join is not None
    if told.per_recording:
        # Nobody has two studies, and names of studies are on both sides.
        found.images = Belonging(join.image, join.image)
        found.reports = Belonging(join.report, join.report)
        told.chosen = candidate_of(join.image)
        told.by_manifest = join.image.kind == "column"
        return
    assert told.chosen is not None
    for place, spelling in enumerate(told.chosen.spellings):
        key = _same_people(join, spelling.told, reports)
        if key is not None:
            told.chosen.spellings.insert(0, told.chosen.spellings.pop(place))
            found.images = Belonging(_people(images, told), join.image)
            found.reports = Belonging(key, join.report)
            return
    text = (
        "no part of the reports' names, and no column beside them, tells the participants of the "
        "images; give a rule that fits both, or take one alone with --set modality=radiograph (or "
        "report)"
    )
    options = (
        (r"pattern:(?P<participant>\d+)_", "found in the paths of images and reports"),
        (FILE, "nobody has two studies: each study is another participant's"),
    )
    found.questions.append(Question("participant", text, options))


def _same_people(join: Join, people: Sequence[str | None], reports: Reports) -> Key | None:
    """The name of reports that is the participant of the images of their study."""
    owners: dict[str | None, str | None] = dict(zip(join.image.told, people, strict=True))
    wanted = [owners.get(study) if study else None for study in join.report.told]
    met = [place for place, person in enumerate(wanted) if person]
    keys = [*reports.keys, join.report]
    if reports.look is not None:
        layout = known_layout(reports.look.paths)
        keys += [pattern_key(reports.look.paths, layout.participant)] if layout else []
    fitting = [
        key for key in keys
        if key.kind in {"pattern", "column"} and key.covers >= _USUAL
        and all(key.told[place] == wanted[place] for place in met)
    ]  # fmt: skip
    return max(fitting, key=lambda key: key.covers, default=None)


def _reports_alone(
    reports: Reports, tables: Sequence[Table], participant: str | None, study: str | None
) -> Relation:
    told = (
        _tell_files(reports.look.paths, tables, participant)
        if reports.look is not None
        else _tell_rows(reports, participant)
    )
    found = Relation(told, questions=[] if told.question is None else [told.question])
    if told.chosen is None:
        return found
    config = told.chosen.rule.config
    if "column" in config and "table" not in config:
        people = Key("column", (str(config["column"]),), told.chosen.rule.told)
    elif "pattern" in config:
        said = _keyed(str(config["pattern"]), "participant")
        people = Key("pattern", (said,), told.chosen.rule.told)
    elif "table" in config:
        people = Key("table", (told.chosen.rule.answer,), told.chosen.rule.told)
    else:
        kind = FOLDER if "from_parent" in config else FILE
        people = Key(kind, (), told.chosen.rule.told)
    key = None
    if study is not None:
        key, found.why = _answered_study(reports, study), "as answered"
    elif reports.rows is not None and reports.rows.roles.study:
        key, found.why = reports.column(reports.rows.roles.study), "the table tells studies"
    found.reports = Belonging(people, key)
    return found


def _tell_files(paths: Sequence[str], tables: Sequence[Table], answer: str | None) -> Told:
    layout = known_layout(paths)
    if answer is None and layout is not None:
        one = candidate_of(pattern_key(paths, layout.participant))
        return Told(one, f"named as in {layout.name}")
    told = tell_participants(paths, tables, answer)
    if told.by_manifest:  # a table lists reports: a rule of participants, and nothing else
        assert told.chosen is not None
        config = told.chosen.rule.config
        rule = {"table": config["table"], "file": config["file"], "column": config["participant"]}
        told.chosen.spellings[0] = replace(told.chosen.rule, config=rule)
        told.by_manifest = False
    if told.question is not None:
        options = tuple((value, meaning.replace("recording", "report"))
                        for value, meaning in told.question.options)  # fmt: skip
        text = told.question.text.replace("whose recording a file is", "whose a report is")
        told.question = Question("participant", text, options)
    return told


def _tell_rows(reports: Reports, answer: str | None) -> Told:
    assert reports.rows is not None
    people = reports.rows.roles.participants
    if answer == FILE:
        return Told(candidate_of(reports.alone), "as answered", given=True, per_recording=True)
    if answer is not None:
        if not answer.startswith(COLUMN):
            msg = (
                f"--set participant={answer}: reports are rows of a table; give column:NAME or file"
            )
            raise ConfigError(msg)
        key = reports.column(answer.removeprefix(COLUMN))
        return Told(candidate_of(key), "as answered", given=True)
    if len(people) == 1:
        return Told(candidate_of(reports.column(people[0])), "the table says so")
    grouped = [key for key in reports.keys if len(key.said) == 1 and key.covers >= _USUAL
               and 1 < len(key.values) < reports.count]  # fmt: skip
    named = [reports.column(name) for name in people] or grouped[:_SHOWN]
    options = [(key.answer("participant"), candidate_of(key).describe("row"))
               for key in named]  # fmt: skip
    each = f"each of {reports.count:,} rows is another participant's"
    text = "no column is called like one of participants; a wrong rule makes splits leak"
    return Told(None, question=Question("participant", text, (*options, (FILE, each))))
