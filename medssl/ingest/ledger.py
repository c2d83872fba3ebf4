"""The ledger: one row with a reason code for every input file that gave no record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import pyarrow as pa

from medssl.store.schema import LEDGER_SCHEMA
from medssl.version import __version__


class Reason(StrEnum):
    """Why a file gave no record: a closed set, so that counts can be compared between runs."""

    remedy: str

    def __new__(cls, code: str, remedy: str) -> Reason:
        """A reason is its code; `remedy` says what it means and what to do."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.remedy = remedy
        return member

    NOT_A_RECORDING = (
        "not_a_recording",
        "A label table, licence, annotation or other file outside `include`: nothing to do.",
    )
    ORPHAN_DATA_FILE = (
        "orphan_data_file",
        "A signal file that no header could be read to name: restore its header.",
    )
    NO_PARTICIPANT = (
        "no_participant",
        "The participant rule does not match the file: correct `participant`, or exclude the file.",
    )
    NOT_LISTED = (
        "not_listed",
        "A recording that the manifest does not list: add a row for it, or exclude the file.",
    )
    MISSING_FILE = (
        "missing_file",
        "A row of the manifest names a recording that is not there: fetch it, or delete the row.",
    )
    RULES_DISAGREE = (
        "rules_disagree",
        "The manifest and a rule of the source tell two things of one file: correct one of them.",
    )
    UNREADABLE_NAME = (
        "unreadable_name",
        "The name of the file or of a folder above it is not UTF-8: rename it.",
    )
    PATH_OUTSIDE_FOLDER = (
        "path_outside_folder",
        "A header or link points outside the folder and was refused: put the data inside it.",
    )
    DUPLICATE_SOURCE = (
        "duplicate_source",
        "Another header already claims the same signal file: keep one of the two headers.",
    )
    UNREADABLE_HEADER = (
        "unreadable_header",
        "The header is damaged, or not of the configured format: fetch the file again.",
    )
    UNREADABLE_DATA = (
        "unreadable_data",
        "The samples are damaged and cannot be decoded: fetch the file again.",
    )
    MISSING_DATA_FILE = (
        "missing_data_file",
        "The signal file that the header names is not there: fetch it.",
    )
    WRONG_BYTE_COUNT = (
        "wrong_byte_count",
        "The signal file is shorter or longer than its header says: fetch both again.",
    )
    WRONG_CHECKSUM = (
        "wrong_checksum",
        "The samples are not those that the header was written for: fetch both again, or set "
        "`checksums: ignore`.",
    )
    CLAIMS_TOO_LARGE = (
        "claims_too_large",
        "The file claims far more data than it has or memory should hold: fetch or split it.",
    )
    EMPTY_FILE = ("empty_file", "The file has no bytes: fetch it again.")
    UNREADABLE_TEXT = (
        "unreadable_text",
        "Not a table of numbers or of reports, or not text in UTF-8: correct `delimiter`, `header` "
        "or `layout`, or save it as UTF-8.",
    )
    UNEVEN_TIME = (
        "uneven_time",
        "Times are missing, fall, or tell no order: correct `time_column` and `time_unit`.",
    )
    UNSUPPORTED_FORMAT = (
        "unsupported_format",
        "A variant of the format that medssl does not read yet: convert the file.",
    )
    UNEXPECTED_RATE = (
        "unexpected_rate",
        "The file says another rate than `rate_in`: correct `rate_in`, or make it a source apart.",
    )
    FILTER_TOO_HIGH = (
        "filter_too_high",
        "The recording's rate is too low for the edges of `filter`: lower them, or leave it out.",
    )
    MISSING_CHANNEL = (
        "missing_channel",
        "A configured channel or column is not in the file, or not unique: correct its name.",
    )
    UNKNOWN_UNITS = (
        "unknown_units",
        "The units are unknown, uncalibrated or not those configured: correct `units`.",
    )
    IMPLAUSIBLE_UNITS = (
        "implausible_units",
        "Far too large or too small for an ECG in these units: correct `units` (or the file's "
        "gain), or set `check_leads: false`.",
    )
    INCONSISTENT_LEADS = (
        "inconsistent_leads",
        "Limb leads break I + III = II: two are swapped or wrongly named; correct the file, or set "
        "`check_leads: false`.",
    )
    ALL_NAN = ("all_nan", "A channel holds no finite sample: nothing can be learned from it.")
    GAPS = ("gaps", "Every segment holds a missing sample: shorten `segment_seconds`.")
    TOO_SHORT = (
        "too_short",
        "The recording is shorter than one segment: shorten `segment_seconds`.",
    )
    NO_PIXELS = ("no_pixels", "The DICOM object holds no image: nothing to do, or fetch it again.")
    UNREADABLE_PIXELS = (
        "unreadable_pixels",
        "The pixels are damaged or cut off and cannot be decoded: fetch the file again.",
    )
    UNSUPPORTED_COMPRESSION = (
        "unsupported_compression",
        "No installed decoder reads this transfer syntax: install the decoder that the detail "
        "names, or convert the file.",
    )
    WRONG_PHOTOMETRIC = (
        "wrong_photometric",
        "No grey image: a colour secondary capture, or a photometric interpretation that does not "
        "fit the pixels; set `colour: convert` where colour pictures show grey images.",
    )
    OTHER_MODALITY = (
        "other_modality",
        "The header tells of a modality that makes no radiographs: exclude the file, or set "
        "`other_modalities: keep`.",
    )
    BURNED_IN_ANNOTATION = (
        "burned_in_annotation",
        "The header says that identifying text is burned into the pixels: remove it, or set "
        "`burned_in: keep`.",
    )
    TOO_SMALL = ("too_small", "Fewer pixels along a side than `smallest`: nothing to learn from.")
    SEVERAL_IMAGES = (
        "several_images",
        "A file with several frames or pages: split it into single images.",
    )
    BROKEN_XML = (
        "broken_xml",
        "Not well-formed XML, or XML with entities, which may expand without end: fetch it again.",
    )
    EMPTY_REPORT = (
        "empty_report",
        "The report has no text in any section: nothing can be learned from it.",
    )
    NO_STUDY = (
        "no_study",
        "The study rule does not match the file: correct `study`, or exclude the file.",
    )
    STUDY_OF_TWO_PARTICIPANTS = (
        "study_of_two_participants",
        "Files of one study name two participants: correct the files, or make `study` unique, such "
        "as [participant, visit].",
    )
    SEVERAL_REPORTS = (
        "several_reports",
        "A study has two reports that differ: keep one of them.",
    )
    READER_FAILED = (
        "reader_failed",
        "The reader raised or its process died: report the file to the maintainers.",
    )


class Unreadable(Exception):  # noqa: N818  it is a verdict on one file, caught by the batch
    """A reader's verdict that a file gives no record; the run continues."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        """Keep the verdict.

        Args:
            reason: Code of the verdict.
            detail: Evidence in words and numbers, without file names or identifiers.
        """
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One input file that gave no record.

    Args:
        source: Name of the configured source.
        path: POSIX path relative to the source's folder.
        source_digest: Digest of the file's bytes; empty when they could not be read.
        reason: Why it gave no record.
        detail: Evidence in words and numbers, without identifiers.
    """

    source: str
    path: str
    source_digest: str
    reason: Reason
    detail: str = ""


def ledger_table(rows: Iterable[LedgerRow]) -> pa.Table:
    """Rows as a table of `LEDGER_SCHEMA`, sorted by source and path."""
    ordered = sorted(rows, key=lambda row: (row.source, row.path, row.reason))
    values = [
        {**asdict(row), "reason": row.reason.value, "version": __version__} for row in ordered
    ]
    return pa.Table.from_pylist(values, schema=LEDGER_SCHEMA)


def nothing_stored(ledger: Sequence[LedgerRow]) -> str:
    """What to say when no file gave a record; there is no store whose ledger would tell it."""
    reasons = Counter(row.reason for row in ledger)
    counts = ", ".join(f"{reason.value} {count}" for reason, count in reasons.most_common())
    useful = [row for row in ledger if row.reason != Reason.NOT_A_RECORDING]
    if not useful:
        return f"no file gave a record ({counts})."
    ((reason, _),) = Counter(row.reason for row in useful).most_common(1)
    details = Counter(row.detail for row in useful if row.reason == reason and row.detail)
    said = "".join(f" In {count} of them: {text}." for text, count in details.most_common(1))
    return f"no file gave a record ({counts}).{said} {reason.remedy}"
