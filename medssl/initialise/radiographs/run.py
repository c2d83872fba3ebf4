"""`medssl init` for images and reports: look, ask or choose, try, write."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from medssl.errors import ConfigError
from medssl.initialise.answers import (
    COMMENT,
    SIGNAL_KEYS,
    Answers,
    Question,
    refuse_foreign,
    refuse_to_guess,
)
from medssl.initialise.labels import LabelPlan, plan_labels
from medssl.initialise.radiographs.dicom_look import DicomLook, look_at_dicom
from medssl.initialise.radiographs.image_look import look_at_images
from medssl.initialise.radiographs.inventory import FEWEST, Inventory, takes_tables
from medssl.initialise.radiographs.keys import Key
from medssl.initialise.radiographs.labels import (
    ImageLabels,
    findings_of,
    labels_of_images,
    targets_of,
)
from medssl.initialise.radiographs.listings import ImageTable, find_image_table
from medssl.initialise.radiographs.pipeline_file import render
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.radiographs.relation import Relation, relate
from medssl.initialise.radiographs.report import (
    chosen_lines,
    label_lines,
    relation_lines,
    survey_lines,
)
from medssl.initialise.radiographs.sides import Images, Reports, find_report_table
from medssl.initialise.radiographs.sizing import Sizes, choose_pixels, choose_sizes
from medssl.initialise.radiographs.sources import sources_of
from medssl.initialise.radiographs.stages_file import participant_targets
from medssl.initialise.radiographs.trial import try_files
from medssl.initialise.radiographs.views import tell_views
from medssl.initialise.writing import default_root, write


def initialise_studies(
    folder: Path, found: Inventory, name: str, target: Path, answers: Answers
) -> list[str]:
    """Choose, try and write a pipeline for the images and reports of a folder.

    Args:
        folder: The folder, as it was given.
        found: Its files.
        name: Name of the pipeline.
        target: The pipeline file.
        answers: What was answered.

    Returns:
        What was found and chosen, in lines without identifiers.

    Raises:
        ConfigError: An answer cannot be used, or something must be asked; nothing is written then.
    """
    refuse_foreign(answers, SIGNAL_KEYS, "images and reports")
    if answers.session is not None and answers.session.startswith(COMMENT):
        msg = (
            f"--set session={answers.session}: give folder, pattern:… or none; studies are sessions"
        )
        raise ConfigError(msg)
    images, reports = _sides(folder, found, answers)
    survey = survey_lines(found, images, reports)
    relation = relate(images, reports, found.tables, answers.participant, answers.study)
    noun = "image" if images is not None else "report"
    looked, total = _counted(images, reports)
    lines = [*survey, *relation_lines(relation, looked, total, noun)]
    questions = [*relation.questions, *_about_slices(images, answers)]
    if questions:
        raise refuse_to_guess(folder, answers, questions, lines)
    plan = _plan(found, name, target, answers, images, reports, relation)
    plan.sources = sources_of(plan)
    trial = try_files(plan)
    write(target, render(plan, trial))
    return [
        *lines,
        *label_lines(plan),
        *chosen_lines(plan, trial),
        f"wrote {target}; read its comments, then: medssl run {shlex.quote(str(target))}",
    ]


def _sides(
    folder: Path, found: Inventory, answers: Answers
) -> tuple[Images | None, Reports | None]:
    """The images and the reports of a folder.

    Raises:
        ConfigError: There is neither, or images of two formats are to be told apart.
    """
    if min(len(found.images), len(found.dicoms)) >= FEWEST:
        question = Question(
            "format",
            "images of two formats are there; one source reads one of them",
            (("image", f"{len(found.images):,} PNG, JPEG and TIFF files"),
             ("dicom", f"{len(found.dicoms):,} DICOM files")),
        )  # fmt: skip
        raise refuse_to_guess(folder, answers, [question], survey_lines(found, None, None))
    base = found.listing.folder
    images = None
    if len(found.dicoms) > len(found.images):
        images = Images(look_at_dicom(base, found.dicoms), None)
    elif found.images:
        images = Images(look_at_images(base, found.images), None)
    if images is not None:
        images.table = find_image_table(images.paths, found.tables)
        if not images.look.sizes:
            reasons = ", ".join(images.look.unreadable) or "unreadable"
            msg = f"none of {len(images.look.opened)} images looked at can be read ({reasons})"
            raise ConfigError(msg)
    reports = Reports(look=found.reports) if found.reports is not None else None
    if reports is None and takes_tables(answers):
        table = find_report_table(
            found.tables, answers.text, images.table if images is not None else None
        )
        reports = None if table is None else Reports(rows=table)
    if images is None and reports is None:
        msg = f"{base} holds no image or report as answered: leave format and modality out"
        raise ConfigError(msg)
    return images, reports


def _counted(images: Images | None, reports: Reports | None) -> tuple[int, int]:
    """How many images, or reports without images, could be told, and how many there are."""
    if images is None:
        assert reports is not None
        return reports.count, reports.count
    total = len(images.paths)
    return (len(images.look.told) if isinstance(images.look, DicomLook) else total), total


def _about_slices(images: Images | None, answers: Answers) -> list[Question]:
    """Ask before slices of volumes and the like are taken for radiographs."""
    if images is None or not isinstance(images.look, DicomLook) or answers.other_modalities:
        return []
    look = images.look
    if 2 * len(look.others) <= len(look.sizes):
        return []
    kinds = ", ".join(f"{name} {n}" for name, n in look.modalities.most_common(4))
    text = f"most headers are of no radiographs ({kinds}), and this version reads no volumes"
    options = (("keep", "each file as a picture of its own"), ("refuse", "radiographs alone"))
    return [Question("other_modalities", text, options)]


def _plan(
    found: Inventory,
    name: str,
    target: Path,
    answers: Answers,
    images: Images | None,
    reports: Reports | None,
    relation: Relation,
) -> StudyPlan:
    labels = _labels(images, reports, relation)
    people = _people(images, found, relation, labels)
    plan = StudyPlan(
        name=name,
        root=default_root(found.listing.folder),
        output=target,
        inventory=found,
        answers=answers,
        images=images,
        reports=reports,
        relation=relation,
        view=tell_views(images, answers.view) if images is not None else (None, ""),
        labels=labels,
        people=people,
        sizes=Sizes(0, 0, "", "", (1, 0, 0), {}, 0, 1.0),
    )
    scored = bool([*targets_of(labels), *participant_targets(plan)])
    plan.sizes = _sizes(plan, scored=scored)
    return plan


def _labels(images: Images | None, reports: Reports | None, relation: Relation) -> ImageLabels:
    labels = ImageLabels()
    belonging = relation.images
    listed = images.table if images is not None else None
    if images is not None and listed is not None and belonging is not None and not listed.several:
        skip = set(belonging.participant.said if belonging.participant.kind == "column" else ())
        skip |= set(belonging.study.said if belonging.study is not None else ())
        labels = labels_of_images(listed, images.paths, belonging.participant.told, skip=skip)
        labels.key = _participant_column(listed, images.paths, belonging.participant)
        if not labels.key:
            labels.people, labels.records = [], [*labels.people, *labels.records]
    if reports is not None and not labels.yes:
        labels.findings = findings_of(reports.texts, reports.count)
    return labels


def _participant_column(listed: ImageTable, paths: Sequence[str], people: Key) -> str:
    """The column of a table by which participants are called as the rule calls them."""
    if people.kind == "column":
        return people.said[0]
    same = (
        name for name in listed.roles.participants if listed.told(paths, (name,)) == people.told
    )
    return next(same, "")


def _people(
    images: Images | None, found: Inventory, relation: Relation, labels: ImageLabels
) -> LabelPlan | None:
    """Labels of participants from a table of them, or from headers."""
    one = relation.told.chosen
    assert one is not None
    listed = images.table.table if images is not None and images.table is not None else None
    if one.match is not None and one.match.table is listed:
        return None
    look = images.look if images is not None else None
    comments = list(look.comments.values()) if isinstance(look, DicomLook) else []
    whole = isinstance(look, DicomLook) and len(look.opened) == len(look.paths)
    if one.match is None and not comments:
        return None
    plan = plan_labels(one.match, one.rule.counts.keys(), comments, exhaustive=whole)
    if plan is None or any(labels.offer(offer.label) for offer in plan.offers):
        return None
    return plan


def _sizes(plan: StudyPlan, *, scored: bool) -> Sizes:
    relation, answers = plan.relation, plan.answers
    if plan.images is None:
        assert relation.reports is not None
        assert plan.reports is not None
        return choose_sizes(
            relation.reports.participant.told, None, None, pixels=(0, 0), usable=plan.reports.read,
            group=plan.name, scored=scored,
        )  # fmt: skip
    assert relation.images is not None
    pixels = choose_pixels(list(plan.images.look.sizes.values()), answers.edge)
    study, paired = relation.images.study, None
    usable = plan.images.look.usable
    if relation.join is not None and plan.reports is not None:
        paired = [name in relation.join.shared for name in relation.join.image.told]
        usable *= plan.reports.read
    refused = _refused(plan.images, answers)
    told = relation.images.participant.told
    people = [None if path in refused else name
              for path, name in zip(plan.images.paths, told, strict=True)]  # fmt: skip
    return choose_sizes(
        people, study.told if study is not None else None, paired,
        pixels=pixels, usable=usable, group=plan.name, scored=scored,
    )  # fmt: skip


def _refused(images: Images, answers: Answers) -> set[str]:
    """Images whose headers say that they will be left out."""
    look = images.look
    if not isinstance(look, DicomLook):
        return set()
    refused = look.burned_in if answers.burned_in != "keep" else set()
    refused = refused | (look.others if answers.other_modalities != "keep" else set())
    return refused | (look.coloured if answers.colour != "convert" else set())
