"""A record: one stored array or text of one participant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from medssl.files import digest_bytes
from medssl.types import Array, Modality, ParticipantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One array or text of one participant, ready to be stored.

    A waveform record is one segment: `data` is float32 of shape (channels, time) in `units`.
    Records that share `recording` were cut from the same recording and are stored side by side.
    An image is uint8 or uint16 of shape (rows, columns), 0 shown as black and the type's largest
    number as white. A report is text, one section a line (`medssl.text.report`).

    Args:
        participant: Pseudonym of the participant.
        session: Pseudonym of the visit or recording occasion, unique inside the participant.
        recording: Name of the recording or file that this record was cut from.
        modality: What was measured.
        data: Array, or text for reports.
        source_digest: Content digest of the file or files it came from.
        rate: Samples per second of a waveform (Hz), after resampling; None otherwise.
        channels: Channel names, in the order of the first axis.
        units: Physical unit of the samples, such as `"mV"`; `"counts"` for raw converter output.
        start: Where the segment begins in its recording (seconds).
        quality: Signal quality in [0, 1], 0 for flat or peakless; None when not graded.
        grades: Components of signal quality by name (`store.schema.GRADES`); empty when not graded.
        study: Imaging examination, if any.
        site: Where it was recorded, if known.
        device: What recorded it, if known.
        source: Name of the configured source that it came from, such as `"ppg_bp"`.
        filter: What was filtered out before resampling, as JSON; None when nothing was.
        overlap: Seconds that neighbouring segments of the recording share; None when not known.
        view: Projection of a radiograph, such as `"PA"`, `"AP"` or `"lateral"`, if known.
        time: When a study was made, in days from any fixed day of its participant; None when not
            known. Only orders and differences inside a participant mean something.
        display: What was done to an image's pixels, in order, as a JSON list.
        grey_scale: Settings by which it was done (`contracts.grey_scale`), as JSON; None when the
            pixels do not come from a file that ingest read.
    """

    participant: ParticipantId
    session: str
    recording: str
    modality: Modality
    data: Array | str
    source_digest: str
    rate: float | None = None
    channels: tuple[str, ...] = ()
    units: str | None = None
    start: float = 0.0
    quality: float | None = None
    study: str | None = None
    site: str | None = None
    device: str | None = None
    source: str = ""
    filter: str | None = None
    overlap: float | None = None
    view: str | None = None
    time: float | None = None
    display: str | None = None
    grey_scale: str | None = None
    grades: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique and reproducible: a digest of where the record comes from."""
        origin = (
            self.participant, self.session, self.recording, self.modality.value,
            self.source_digest, ",".join(self.channels), repr(self.rate), repr(self.start),
            *(text for text in (self.filter, self.grey_scale) if text is not None),
        )  # fmt: skip
        return "r" + digest_bytes("\0".join(origin).encode())[:20]

    @property
    def content_digest(self) -> str:
        """Digest of the samples: equal for equal signals, whoever they belong to."""
        if isinstance(self.data, str):
            return digest_bytes(self.data.encode())
        array = np.ascontiguousarray(self.data, dtype=self.data.dtype.newbyteorder("<"))
        head = f"{array.dtype.str}{array.shape}".encode()
        return digest_bytes(head + array.tobytes())
