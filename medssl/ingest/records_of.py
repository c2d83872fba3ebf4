"""From one file to its records, one function a kind."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from medssl.ingest.discover import RecordingTask
from medssl.ingest.leads import require_consistent_leads, require_plausible_units
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.segments import Segmenter
from medssl.ingest.sidecars import sidecar_comments
from medssl.ingest.sources import (
    BaseReportSource,
    DicomSource,
    PixelSource,
    Source,
    WaveformSource,
)
from medssl.ingest.sources.timed import timed
from medssl.records import Record
from medssl.store import ShardWriter
from medssl.types import Kind

logger = logging.getLogger(__name__)

Shared = Callable[[tuple[str, ...]], dict[str, Any]]
"""What all records of a file have in common, given its comments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One file on its way into a shard.

    Args:
        task: What pass 1 says of it.
        source: Its source.
        folder: Folder of the source.
        shared: Gives what its records have in common.
        graded: Whether waveforms are graded.
    """

    task: RecordingTask
    source: Source
    folder: Path
    shared: Shared
    graded: bool

    @property
    def path(self) -> Path:
        """The file to open."""
        return self.folder / self.task.file


@dataclass(slots=True, kw_only=True)
class Made:
    """What came of one file.

    Args:
        records: Name and start (seconds) of each record.
        session: Pseudonym of its session.
        comments: What the file says beside its records.
        seconds: Time that they cover (seconds).
        taken: The file's name of each channel, where the configuration accepts several.
        jitter: How uneven its times are (seconds); None without times.
        text: What a report says, as stored.
        encoding: How the bytes of a report were read.
    """

    records: list[tuple[str, float]]
    session: str
    comments: tuple[str, ...]
    seconds: float = 0.0
    taken: tuple[str, ...] = ()
    jitter: float | None = None
    text: str = ""
    encoding: str = ""


@dataclass(slots=True)
class Dropped:
    """Seconds of signal that no record holds, by reason."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, reason: str, seconds: float) -> None:
        """Count some more."""
        self.seconds[reason] = self.seconds.get(reason, 0.0) + seconds


def make_records(work: Work, writer: ShardWriter, dropped: Dropped) -> Made:
    """Read a file and write its records: all of them, or none.

    Raises:
        Unreadable: It gives none.
    """
    return _MAKERS[work.source.kind](work, writer, dropped)


def _waveform(work: Work, writer: ShardWriter, dropped: Dropped) -> Made:
    from medssl.ingest.waveforms.readers import open_recording

    source, folder = work.source, work.folder
    assert isinstance(source, WaveformSource)
    with guarded():
        recording = open_recording(work.path, source, folder=folder, member=work.task.member)
        require_plausible_units(recording, source)
        require_consistent_leads(recording, work.path, source, folder=folder)
    shared = work.shared(recording.comments)
    segmenter = Segmenter(recording, source, shared=shared, graded=work.graded)
    return Made(
        records=_segments(segmenter, writer, dropped),
        session=segmenter.session,
        comments=recording.comments,
        seconds=segmenter.covered_seconds,
        taken=recording.taken,
        jitter=recording.jitter if timed(source) else None,
    )


def _segments(
    segmenter: Segmenter, writer: ShardWriter, dropped: Dropped
) -> list[tuple[str, float]]:
    written: list[tuple[str, float]] = []
    try:
        with writer.together():
            for records in segmenter.blocks():
                writer.add(records)
                written += [(record.name, record.start) for record in records]
    except Unreadable as verdict:
        if verdict.reason in {Reason.TOO_SHORT, Reason.GAPS}:
            dropped.add(verdict.reason.value, segmenter.seconds)
        raise
    for reason, seconds in segmenter.left_out.items():
        dropped.add(reason, seconds)
    return written


def _image(work: Work, writer: ShardWriter, dropped: Dropped) -> Made:
    from medssl.ingest.radiographs.dicom_reader import read_dicom
    from medssl.ingest.radiographs.fit import fit
    from medssl.ingest.radiographs.image_reader import read_image

    source = work.source
    assert isinstance(source, PixelSource)
    read = read_dicom if isinstance(source, DicomSource) else read_image
    with guarded():
        picture = read(work.path, source.display, folder=work.folder)
        comments = _header_comments(work)
        pixels = fit(picture.pixels, edge=source.edge, bits=source.bits)
    shared = work.shared(comments) | {
        "view": work.task.view,
        "display": _steps(picture.steps),
        "grey_scale": source.display.grey_scale.text,
    }
    return _single(Record(**shared, data=pixels), writer, comments=comments)


def _header_comments(work: Work) -> tuple[str, ...]:
    """Comments of the header and the sidecar, where a rule asks for them."""
    from medssl.ingest.headers import read_dicom_header

    source = work.source
    beside = sidecar_comments(work.task.file, source, folder=work.folder)
    if not isinstance(source, DicomSource) or not source.asks_comments:
        return beside
    return read_dicom_header(work.path).comments + beside


def _steps(steps: tuple[str, ...]) -> str:
    return json.dumps(list(steps), ensure_ascii=False)


def _report(work: Work, writer: ShardWriter, dropped: Dropped) -> Made:
    from medssl.ingest.reports.reader import read_report

    source = work.source
    assert isinstance(source, BaseReportSource)
    with guarded():
        read = read_report(work.path, source, folder=work.folder, member=work.task.member)
    record = Record(**work.shared(read.comments), data=read.text)
    made = _single(record, writer, comments=read.comments)
    made.text, made.encoding = read.text, read.encoding
    return made


def _single(record: Record, writer: ShardWriter, *, comments: tuple[str, ...]) -> Made:
    writer.add([record])
    return Made(records=[(record.name, record.start)], session=record.session, comments=comments)


@contextmanager
def guarded() -> Iterator[None]:
    """One odd file must not end a run over thousands; the ledger keeps the verdict."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:
        logger.debug("a reader failed", exc_info=True)
        raise Unreadable(Reason.READER_FAILED, type(error).__name__) from error


_MAKERS: Final[Mapping[Kind, Callable[[Work, ShardWriter, Dropped], Made]]] = {
    Kind.WAVEFORM: _waveform,
    Kind.IMAGE: _image,
    Kind.TEXT: _report,
}
