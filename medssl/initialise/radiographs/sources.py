"""The ingest sources of images and reports, as they stand in the pipeline file."""

from __future__ import annotations

import posixpath
from typing import Any, Final

from medssl.initialise.answers import NONE, PATTERN
from medssl.initialise.radiographs.inventory import globs_of
from medssl.initialise.radiographs.keys import Key
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.radiographs.relation import Belonging
from medssl.initialise.radiographs.report_look import READ

IMAGES: Final = "images"
REPORTS: Final = "reports"
Source = dict[str, Any]


def sources_of(plan: StudyPlan) -> list[Source]:
    """One source, or two of one cohort."""
    found = []
    if plan.images is not None:
        found.append(_images(plan))
    if plan.reports is not None:
        found.append(_reports(plan))
    return found


def _start(plan: StudyPlan, part: str, kind: str) -> Source:
    both = plan.images is not None and plan.reports is not None
    if not both:
        return {"name": plan.name, "format": kind}
    return {"name": f"{plan.name}_{part}", "cohort": plan.name, "format": kind}


def _images(plan: StudyPlan) -> Source:
    images, belonging = plan.images, plan.relation.images
    assert images is not None
    assert belonging is not None
    base = images.manifest.base if _by_manifest(plan) and images.manifest else ""
    folder = str(plan.inventory.listing.folder / base) if base else str(
        plan.inventory.listing.folder)  # fmt: skip
    source = _start(plan, IMAGES, images.format) | {"path": folder}
    source["include"] = _globs(plan, images.paths, base)
    source["edge"] = plan.sizes.edge
    display = {
        key: value
        for key in ("colour", "burned_in", "other_modalities")
        if (value := getattr(plan.answers, key)) is not None
    }
    if display:
        source["display"] = display
    source |= _rules(plan, belonging)
    if isinstance(plan.view[0], str) or (plan.view[0] and "column" not in plan.view[0]):
        source["view"] = plan.view[0]
    if images.format == "dicom":
        source |= {"time": {"header": True, "unit": "datetime"}, "device": {"header": True}}
    if _by_manifest(plan):
        source["manifest"] = _manifest(plan, belonging)
    rules = _label_rules(plan)
    if rules:
        source["labels"] = rules[0] if len(rules) == 1 else rules
    return source


def _by_manifest(plan: StudyPlan) -> bool:
    """Whether the table that lists the images is their manifest."""
    images, belonging = plan.images, plan.relation.images
    if images is None or images.manifest is None or belonging is None:
        return False
    view = isinstance(plan.view[0], dict) and "column" in plan.view[0]
    keys = (belonging.participant, belonging.study)
    needed = any(key is not None and key.kind == "column" for key in keys)
    return needed or view or (bool(plan.labels.records) and not images.manifest.several)


def _globs(plan: StudyPlan, paths: tuple[str, ...], base: str) -> list[str]:
    if plan.answers.include and not base:
        return list(plan.answers.include)
    below = [posixpath.relpath(path, base or ".") for path in paths]
    every = [posixpath.relpath(path, base or ".") for path in plan.inventory.listing.files]
    return list(globs_of(below, [path for path in every if not path.startswith("..")])[0])


def _rules(plan: StudyPlan, belonging: Belonging) -> Source:
    """Rules of a source that are no columns of its manifest."""
    found: Source = {}
    if belonging.participant.kind == "table":
        assert plan.relation.told.chosen is not None
        found["participant"] = dict(plan.relation.told.chosen.rule.config)
    elif belonging.participant.kind != "column":
        found["participant"] = dict(belonging.participant.config("participant"))
    if belonging.study is not None and belonging.study.kind != "column":
        found["study"] = dict(belonging.study.config("study"))
    session = _session(plan)
    return found | ({"session": session} if session else {})


def _session(plan: StudyPlan) -> Source | None:
    """The session rule that was answered: without one, studies are sessions."""
    answer = plan.answers.session
    if answer is None or answer == NONE:
        return None
    if answer.startswith(PATTERN):
        return {"pattern": answer.removeprefix(PATTERN)}
    return {"from_parent": True}


def _columns(belonging: Belonging) -> Source:
    """What columns say of participants and studies."""
    found: Source = {}
    if belonging.participant.kind == "column":
        found["participant"] = _said(belonging.participant)
    if belonging.study is not None and belonging.study.kind == "column":
        found["study"] = _said(belonging.study)
    return found


def _said(key: Key) -> str | list[str]:
    return key.said[0] if len(key.said) == 1 else list(key.said)


def _manifest(plan: StudyPlan, belonging: Belonging) -> Source:
    images = plan.images
    assert images is not None
    assert images.manifest is not None
    listed, roles = images.manifest, images.manifest.roles
    found = listed.config | _columns(belonging)
    if isinstance(plan.view[0], dict) and "column" in plan.view[0]:
        found["view"] = plan.view[0]["column"]
    if not listed.several:
        if roles.time and images.format != "dicom":
            found["time"] = roles.time
            if roles.time_unit != "days":
                found["time_unit"] = roles.time_unit
        if roles.site:
            found["site"] = roles.site
        if plan.labels.records:
            found["labels"] = {one.label: one.source for one in plan.labels.records}
            values = {one.label: dict(one.values) for one in plan.labels.records if one.values}
            found |= {"values": values} if values else {}
            found |= {"replace": plan.labels.replace} if plan.labels.replace else {}
    return found


def _label_rules(plan: StudyPlan) -> list[Source]:
    """Labels of participants, and of images where the manifest cannot hold them."""
    images, labels = plan.images, plan.labels
    assert images is not None
    listed = images.table
    rules: list[Source] = []
    if listed is not None:
        path = listed.path if _by_manifest(plan) else listed.table.path
        head: Source = {"table": path}
        if listed.table.header_row != 1:
            head["header_row"] = listed.table.header_row
        if labels.people:
            rules.append(head | {"key": labels.key} | _offers(labels.people))
        outside = not _by_manifest(plan) or listed.several
        if outside and labels.records and not listed.several:
            record = {"level": "record"} | head | {"key": listed.file}
            more = {"replace": labels.replace} if labels.replace else {}
            rules.append(record | _offers(labels.records) | more)
        if labels.items is not None and not listed.several:
            column, items = labels.items
            rules.append({"level": "record"} | head | {"key": listed.file, "contains": {
                label: {"column": column, "any_of": [item], "separator": labels.separator,
                        "blank": "absent"}
                for label, item in items.items()
            }})  # fmt: skip
    if plan.people is not None:
        rules.append(_people(plan))
    return rules


def _people(plan: StudyPlan) -> Source:
    """Labels of participants from a table of them, or from headers."""
    assert plan.people is not None
    offers = plan.people.offers
    if plan.people.match is None:
        return {"comments": {one.label: one.source for one in offers}} | _values(offers)
    table = plan.people.match.table
    head: Source = {"table": table.path, "key": plan.people.match.column}
    if table.header_row != 1:
        head["header_row"] = table.header_row
    return head | _offers(offers)


def _offers(offers: Any) -> Source:
    return {"columns": {one.label: one.source for one in offers}} | _values(offers)


def _values(offers: Any) -> Source:
    values = {one.label: dict(one.values) for one in offers if one.values}
    return {"values": values} if values else {}


def _reports(plan: StudyPlan) -> Source:
    reports, belonging = plan.reports, plan.relation.reports
    assert reports is not None
    assert belonging is not None
    source = _start(plan, REPORTS, reports.format)
    folder = str(plan.inventory.listing.folder)
    if reports.look is not None:
        source |= {"layout": reports.look.layout, "path": folder}
        source["include"] = _globs(plan, reports.look.paths, "")
        source |= _rules(plan, belonging)
        if reports.look.section:
            source["section"] = reports.look.section
    else:
        assert reports.rows is not None
        table = reports.rows.table
        source |= {"path": folder, "include": table.path}
        source |= _rules(plan, belonging)
        source["rows"] = _rows(plan, belonging)
        if reports.rows.sections:
            source["sections"] = dict(reports.rows.sections)
        else:
            source |= {"text": list(reports.rows.texts), "section": READ[0]}
    if plan.labels.findings:
        level = "session" if plan.images is not None else "record"
        source["labels"] = {"level": level, "findings": "nih"}
    if plan.images is None and plan.people is not None:
        own = source.get("labels")
        source["labels"] = [*([own] if own else []), _people(plan)]
    return source


def _rows(plan: StudyPlan, belonging: Belonging) -> Source:
    reports = plan.reports
    assert reports is not None
    assert reports.rows is not None
    table = reports.rows.table
    found: Source = {} if table.header_row == 1 else {"header_row": table.header_row}
    found |= _columns(belonging)
    if belonging.study is not None and _texts_differ(plan, belonging.study):
        found["several"] = "join"
    return found


def _texts_differ(plan: StudyPlan, study: Key) -> bool:
    """Whether rows of one study say different things."""
    reports = plan.reports
    assert reports is not None
    assert reports.rows is not None
    said: dict[str, str] = {}
    for name, row in zip(study.told, reports.rows.table.rows, strict=True):
        text = reports.rows.text(row)
        if name and said.setdefault(name, text) != text:
            return True
    return False
