"""What was found and chosen of images and reports, in lines: patterns and counts, no names."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from medssl.initialise.listing import plural
from medssl.initialise.participants import Told
from medssl.initialise.radiographs.dicom_look import DicomLook
from medssl.initialise.radiographs.image_look import ImageLook
from medssl.initialise.radiographs.inventory import Inventory
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.radiographs.relation import Relation
from medssl.initialise.radiographs.sides import Images, Reports
from medssl.initialise.radiographs.trial import Trial
from medssl.initialise.report import rule_text
from medssl.text.headers import told_name

_SHOWN = 8
_LAYOUTS = {"openi": "XML of the Open-I kind", "mimic": "text of the MIMIC kind",
            "plain": "plain text"}  # fmt: skip


def survey_lines(found: Inventory, images: Images | None, reports: Reports | None) -> list[str]:
    """What the folder holds.

    Args:
        found: Its files.
        images: The images, if there are any.
        reports: The reports, if there are any.
    """
    listing = found.listing
    hidden = f", {listing.hidden} hidden left out" if listing.hidden else ""
    lines = [f"folder: {plural(len(listing.files), 'file')}{hidden}"]
    if listing.unreadable:
        lines.append(f"names that are not UTF-8: {plural(listing.unreadable, 'file')} left out; "
                     "rename to use")  # fmt: skip
    if found.left_out:
        lines.append(f"left out by include: {plural(found.left_out, 'file')}")
    if images is not None:
        lines += [*_images(images), *_other_format(found, images)]
    if reports is not None:
        lines += _reports(reports)
    rest = ", ".join(f"{count} {ending}" for ending, count in sorted(found.rest.items()))
    if rest:
        lines.append(f"other files: {rest}")
    if found.papers:
        lines.append(f"readmes, licences and lists: {found.papers}")
    lines += [f"tables: {table.title} with {plural(len(table.columns), 'column')}"
              for table in found.tables]  # fmt: skip
    return lines + [f"tables: {remark}" for remark in found.remarks]


def _images(images: Images) -> list[str]:
    look = images.look
    total, opened = len(look.paths), len(look.opened)
    kinds = "DICOM files"
    if isinstance(look, ImageLook):
        kinds = " and ".join(name for name, _ in look.formats.most_common()) + " files"
    lines = [f"images: {total:,} {kinds}; looked at the headers of {opened:,} of {total:,}"]
    if look.unreadable:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in look.unreadable.most_common())
        lines.append(f"cannot be read, of {opened:,} looked at: {reasons}")
    if look.sizes:
        lines.append(f"sizes: longer side {_spread([max(pair) for pair in look.sizes.values()])} "
                     "pixels")  # fmt: skip
    lines += _dicom(look) if isinstance(look, DicomLook) else _colours(look)
    listed = images.table
    if listed is not None:
        lines.append(f"table of images: column {listed.file!r} of a {listed.table.title} lists "
                     f"{len(listed.rows):,} of {total:,}"
                     + (" by bare names" if listed.bare else ""))  # fmt: skip
    return lines


def _other_format(found: Inventory, images: Images) -> list[str]:
    """Images that a source of the chosen format does not read."""
    other, name = (found.images, "image") if images.format == "dicom" else (found.dicoms, "dicom")
    kind = "DICOM" if name == "dicom" else "PNG, JPEG or TIFF"
    return [f"left out: {plural(len(other), f'{kind} file')} (--set format={name} takes them "
            "instead)"] if other else []  # fmt: skip


def _colours(look: ImageLook) -> list[str]:
    opened = len(look.sizes)
    lines = []
    if look.deep:
        lines.append(f"more than 8 bits a pixel: {look.deep} of {opened}")
    if look.coloured:
        lines.append(f"saved as colour pictures: {len(look.coloured)} of {opened}; equal channels "
                     "count as grey")  # fmt: skip
    return [*lines, "burned-in text: image files do not tell it; look at some"]


def _dicom(look: DicomLook) -> list[str]:
    kinds = ", ".join(f"{name} {n}" for name, n in look.modalities.most_common(6))
    lines = [f"modalities in the headers: {kinds}"]
    if look.others:
        lines.append(f"no radiographs: {len(look.others)} of {len(look.sizes)} headers say so; "
                     "refused unless --set other_modalities=keep")  # fmt: skip
    if look.coloured:
        lines.append(f"colour pictures: {len(look.coloured)} of {len(look.sizes)}; refused unless "
                     "--set colour=convert")  # fmt: skip
    if look.burned_in:
        lines.append(f"burned-in text: {len(look.burned_in)} of {len(look.sizes)} headers say so; "
                     "refused unless --set burned_in=keep")  # fmt: skip
    else:
        lines.append("burned-in text: no header looked at says so, which proves nothing")
    return lines


def _reports(reports: Reports) -> list[str]:
    if reports.look is not None:
        look = reports.look
        lines = [f"reports: {plural(len(look.paths), 'file')}, {_LAYOUTS[look.layout]}; looked "
                 f"into {look.opened:,} of {len(look.paths):,}"]  # fmt: skip
        if look.unreadable:
            reasons = ", ".join(f"{reason}: {n}" for reason, n in look.unreadable.most_common())
            lines.append(f"reports that cannot be read, of {look.opened:,} looked into: {reasons}")
        # A header that few reports have may be somebody's name.
        shared = [(name, n) for name, n in look.sections.most_common(6)
                  if told_name(name) == name or n >= max(4, len(look.texts) / 4)]  # fmt: skip
        sections = ", ".join(f"{name} {n}" for name, n in shared) or "of other names"
        lines.append(f"sections: {sections}")
        if look.others:
            lines.append(f"reports of another ending, left out: {look.others}")
        return lines
    assert reports.rows is not None
    rows = reports.rows
    columns = ", ".join(map(repr, rows.texts or rows.sections.values()))
    lines = [f"reports: {plural(len(rows.table.rows), 'row')} with text in column {columns}"]
    others = [name for name in rows.roles.texts if name not in rows.texts
              and name not in rows.sections.values()]  # fmt: skip
    if others:
        lines.append(f"further columns with text: {', '.join(map(repr, others[:8]))} "
                     "(--set text=NAME,NAME)")  # fmt: skip
    return lines


def _spread(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}, median {median(values):,.6g}"


def relation_lines(found: Relation, looked: int, total: int, noun: str) -> list[str]:
    """Whose images and reports are, and how they belong together.

    Args:
        found: The rules, as far as they are known.
        looked: Images or reports whose participant could be told.
        total: All of them.
        noun: What they are.
    """
    lines = _participants(found.told, looked, noun)
    if looked < total and found.told.chosen is not None:
        lines.append(f"participants: counted among {looked:,} of {total:,} that were looked at")
    join = found.join
    if join is not None:
        lines.append(
            f"pairs: {len(join.shared):,} studies have images and a report "
            f"({join.images:.0%} of the images, {join.reports:.0%} of the reports): images by "
            f"{join.image.words('study')}, reports by {join.report.words('study')}; {found.why}"
        )
    elif found.images is not None and found.images.study is not None:
        count = len(found.images.study.values)
        lines.append(f"studies: {count:,} ({found.images.study.words('study')}; {found.why})")
    elif found.images is not None:
        lines.append(f"studies: {found.why}")
    return lines


def _participants(told: Told, looked: int, noun: str) -> list[str]:
    one = told.chosen
    if one is None:
        return [f"participants by {rule_text(other)}: "
                f"{other.describe(noun)}?"
                for other in told.others[:4]]  # fmt: skip
    lines = [f"participants: {one.describe(noun)} ({rule_text(one)}; {told.why})"]
    untold = looked - one.rule.counts.total()
    if untold > 0:
        lines.append(f"participants: {plural(untold, noun)} match no participant and will stand "
                     "in the ledger")  # fmt: skip
    return lines


def label_lines(plan: StudyPlan) -> list[str]:
    """Labels that were found."""
    labels = plan.labels
    lines = []
    if labels.people or labels.records:
        people = ", ".join(one.describe() for one in labels.people)
        records = ", ".join(one.describe() for one in labels.records[:_SHOWN])
        more = len(labels.records) - _SHOWN
        records += f" and {more} more" if more > 0 else ""
        kept = [f"of participants: {people}" if people else "", f"of images: {records}"
                if records else ""]  # fmt: skip
        lines.append(f"labels {'; '.join(filter(None, kept))}")
    if labels.items is not None:
        column, items = labels.items
        lines.append(f"labels of images: {len(items)} items of column {column!r}: "
                     f"{', '.join(items.values())}")  # fmt: skip
    if labels.findings:
        said = ", ".join(f"{name} {yes} yes and {no} no" for name, (yes, no) in
                         labels.findings.items())  # fmt: skip
        lines.append(f"labels by what reports say (rules, no ground truth): {said}")
    if labels.spare:
        lines.append(f"labels: {plural(len(labels.spare), 'further column')} could be kept; they "
                     "stand in the file as comments")  # fmt: skip
    if plan.people is not None:
        listed = ", ".join(one.describe() for one in plan.people.offers)
        lines.append(f"labels of participants: {listed} ({plan.people.about})")
    return lines or ["labels: none found; the pipeline has no probe stage"]


def chosen_lines(plan: StudyPlan, trial: Trial) -> list[str]:
    """What was chosen."""
    sizes = plan.sizes
    methods = {
        "convirt": "images and their reports: convirt",
        "simclr": f"images alone: simclr, pairs of level {sizes.level}",
        "masked_language": "reports alone: masked_language",
    }
    lines = [f"chosen: {methods[plan.method]}"]
    if plan.images is not None:
        lines.append(f"chosen: images of {sizes.edge} pixels in the store, views of {sizes.size}")
        lines.append(f"chosen: views: {plan.view[1]}")
    split = ", ".join(f"{sizes.participants.get(one, 0)} {one}"
                      for one in ("train", "validation", "test"))  # fmt: skip
    lines.append(f"chosen: participants {split}; batches of {sizes.batch_size(trial.kept)}")
    return [*lines, *trial.lines, *(f"note: {remark}" for remark in trial.remarks)]
