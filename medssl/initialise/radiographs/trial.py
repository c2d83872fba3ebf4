"""Reads a few images and reports the way the new pipeline will, before the file is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from medssl.config import validate
from medssl.errors import ConfigError, IngestError
from medssl.ingest import IngestConfig
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import BaseReportSource, DicomSource, PixelSource, Source
from medssl.initialise.listing import plural, spread
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.wfdb_look import told
from medssl.text.policy import TextPolicy
from medssl.text.reading import chosen_text

_IMAGES: Final = 24
_REPORTS: Final = 40
_MAX_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of reading a few files.

    Args:
        lines: The outcome in words.
        remarks: What the file should say beside the images' settings.
        kept: Share of those tried that can be used, on the careful side of what was seen.
    """

    lines: tuple[str, ...]
    remarks: tuple[str, ...]
    kept: float


def try_files(plan: StudyPlan) -> Trial:
    """Decode a few images and read a few reports.

    Args:
        plan: With the sources as they will stand in the file.

    Raises:
        ConfigError: None of them can be read; the message says what would help.
    """
    config = validate(IngestConfig, {"sources": plan.sources}, where="ingest")
    lines: list[str] = []
    remarks: list[str] = []
    kept = 1.0
    for source in config.sources:
        if isinstance(source, PixelSource):
            outcomes = _images(plan, source)
            lines.append(_told("image", outcomes))
            remarks += _remarks(outcomes)
        else:
            outcomes = _reports(plan, source)
            lines.append(_told("report", outcomes))
        _require_some(outcomes, source)
        kept = min(kept, (outcomes[""] + 1) / (outcomes.total() + 2) if _failed(outcomes) else 1.0)
    return Trial(tuple(lines), tuple(remarks), kept)


def _failed(outcomes: Counter[str]) -> bool:
    return outcomes.total() > outcomes[""]


def _images(plan: StudyPlan, source: PixelSource) -> Counter[str]:
    """How decoding went; the empty text stands for success."""
    from medssl.ingest.radiographs.dicom_reader import read_dicom
    from medssl.ingest.radiographs.fit import fit
    from medssl.ingest.radiographs.image_reader import read_image

    assert plan.images is not None
    read = read_dicom if isinstance(source, DicomSource) else read_image
    folder = plan.inventory.listing.folder
    outcomes: Counter[str] = Counter()
    for path in _chosen(plan):
        file = folder / path
        try:
            if file.stat().st_size > _MAX_BYTES:
                continue
            picture = read(file, source.display, folder=folder)
            fit(picture.pixels, edge=source.edge, bits=source.bits)
        except Unreadable as verdict:
            outcomes[told(verdict)] += 1
        except OSError as error:
            outcomes[error.strerror or type(error).__name__] += 1
        else:
            outcomes[""] += 1
    return outcomes


def _chosen(plan: StudyPlan) -> list[str]:
    """Images whose header could be read; those that may hold colours are as likely as others."""
    assert plan.images is not None
    return spread(sorted(plan.images.look.sizes), _IMAGES)


def _reports(plan: StudyPlan, source: Source) -> Counter[str]:
    from medssl.ingest.reports.reader import read_report
    from medssl.ingest.reports.table import list_entries

    assert plan.reports is not None
    assert isinstance(source, BaseReportSource)
    folder = plan.inventory.listing.folder
    if plan.reports.look is not None:
        places: Sequence[tuple[str, str]] = [
            (path, "") for path in spread(plan.reports.look.paths, _REPORTS)
        ]
    else:
        assert plan.reports.rows is not None
        table = plan.reports.rows.table.path
        members = list_entries(folder / table, source)  # type: ignore[arg-type]
        places = [(table, one.key) for one in spread(members, _REPORTS)]
    outcomes: Counter[str] = Counter()
    policy = TextPolicy.model_validate(plan.reports.policy)
    for path, member in places:
        try:
            read = read_report(folder / path, source, folder=folder, member=member)
        except Unreadable as verdict:
            outcomes[told(verdict)] += 1
        except IngestError as error:
            outcomes[type(error).__name__] += 1
        else:
            good = chosen_text(read.text, policy) is not None
            outcomes["" if good else "neither findings nor impression"] += 1
    return outcomes


def _told(noun: str, outcomes: Counter[str]) -> str:
    if not outcomes:
        return f"tried: no {noun}, all are larger than {_MAX_BYTES >> 20} MB"
    failed = ", ".join(f"{reason}: {n}" for reason, n in outcomes.most_common() if reason)
    line = f"tried: {outcomes['']:,} of {plural(outcomes.total(), noun)} read in full"
    return f"{line}; not read: {failed}" if failed else line


def _count(outcomes: Counter[str], reason: Reason) -> int:
    return sum(n for text, n in outcomes.items() if text.startswith(reason.value))


def _remarks(outcomes: Counter[str]) -> list[str]:
    found = []
    coloured = _count(outcomes, Reason.WRONG_PHOTOMETRIC)
    if coloured:
        found.append(
            f"{coloured} of {outcomes.total()} images tried have colours or transparency and are "
            "refused: display: {colour: convert} takes them as grey"
        )
    burned = _count(outcomes, Reason.BURNED_IN_ANNOTATION)
    if burned:
        found.append(
            f"{burned} of {outcomes.total()} images tried say that text is burned in and are "
            "refused: look at them, then display: {burned_in: keep}"
        )
    others = _count(outcomes, Reason.OTHER_MODALITY)
    if others:
        found.append(
            f"{others} of {outcomes.total()} images tried say that they are no radiographs and are "
            "refused: display: {other_modalities: keep} takes each as a picture of its own"
        )
    return found


def _require_some(outcomes: Counter[str], source: Any) -> None:
    """Refuse to write what reads nothing.

    Raises:
        ConfigError: With what would help.
    """
    if not outcomes or outcomes[""]:
        return
    reasons = ", ".join(f"{reason}: {n}" for reason, n in outcomes.most_common())
    advice = "correct the answers"
    if _count(outcomes, Reason.WRONG_PHOTOMETRIC):
        advice = "give --set colour=convert to take colour images as grey"
    elif _count(outcomes, Reason.BURNED_IN_ANNOTATION):
        advice = "look at the images, then give --set burned_in=keep"
    elif _count(outcomes, Reason.OTHER_MODALITY):
        advice = "give --set other_modalities=keep to take each as a picture of its own"
    msg = (
        f"none of {outcomes.total()} files tried of source {source.name} can be read as chosen "
        f"({reasons}): {advice}; nothing was written"
    )
    raise ConfigError(msg)
