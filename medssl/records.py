"""A record (one stored array or text of one participant) and the contract of an encoder's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from medssl.arrays import all_finite, channel_names, checked_rate, one_recording, real_numbers
from medssl.config import StrictModel
from medssl.errors import ContractError
from medssl.files import digest_bytes
from medssl.filters import Filter
from medssl.types import Array, Modality, ParticipantId, Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One array or text of one participant, ready to be stored.

    A waveform record is one segment: `data` is float32 of shape (channels, time) in `units`.
    Records that share `recording` were cut from the same recording and are stored side by side.

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
    grades: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique and reproducible: a digest of where the record comes from."""
        origin = (
            self.participant, self.session, self.recording, self.modality.value,
            self.source_digest, ",".join(self.channels), repr(self.rate), repr(self.start),
            *([] if self.filter is None else [self.filter]),
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


class Contract(StrictModel):
    """What an encoder expects of its input; saved inside every bundle.

    An array that breaks it is refused, never silently repaired.
    """

    modality: Modality
    rate: PositiveFloat = Field(description="samples per second (Hz)")
    channels: tuple[str, ...] = Field(min_length=1, description="names, in order")
    units: str = Field(description="physical unit of the samples")
    length: PositiveInt = Field(description="samples in one segment")
    overlap: NonNegativeFloat = Field(
        0.0, description="seconds that neighbouring segments of one recording share"
    )
    filter: Filter | None = Field(
        None, description="applied at the recording's own rate, before resampling"
    )
    resampling: str = Field(
        "polyphase (scipy.signal.resample_poly, Kaiser window, beta 5.0)",
        description="how ingest brought recordings to `rate`",
    )
    normalisation: str = Field(
        "per segment and channel: subtract the mean, divide by the population standard "
        "deviation; a constant channel becomes zeros",
        description="applied by the encoder itself, to the resampled segment",
    )

    @field_validator("filter", mode="before")
    @classmethod
    def _read_filter(cls, value: Any) -> Any:
        """Bundles of before there were filters say "none" in words."""
        return None if value == "none" else value

    @property
    def seconds(self) -> float:
        """Duration of one segment (seconds)."""
        return self.length / self.rate

    @property
    def step(self) -> int:
        """Samples between the starts of neighbouring segments."""
        return max(1, self.length - round(self.overlap * self.rate))

    def check(
        self,
        array: Any,
        *,
        rate: float,
        channels: Sequence[str],
        units: str | None = None,
    ) -> None:
        """Refuse an input that breaks the contract.

        Args:
            array: Waveform of shape (channels, time), at least one segment long.
            rate: Its samples per second (Hz).
            channels: Its channel names, in order.
            units: Its unit; None trusts that it is the contract's.

        Raises:
            ContractError: Says what is wrong, and how to put it right.
        """
        values, names, found = real_numbers(array), channel_names(channels), checked_rate(rate)
        remedy = f"pass it through prepare(signal, rate={found:g}, channels={list(names)}, units=…)"
        if not np.isclose(found, self.rate, rtol=1e-6):
            msg = f"the signal has {found:g} Hz and this encoder expects {self.rate:g} Hz: {remedy}"
            raise ContractError(msg)
        if names != self.channels:
            msg = (
                f"the channels are {list(names)} and this encoder expects {list(self.channels)}: "
                f"name them so, or {remedy} to select and order them"
            )
            raise ContractError(msg)
        if units is not None and units != self.units:
            msg = f"the signal is in {units} and this encoder expects {self.units}: {remedy}"
            raise ContractError(msg)
        one_recording(values, names)
        if values.shape[1] < self.length:
            msg = (
                f"the signal has {values.shape[1]} samples and one segment needs {self.length} "
                f"({self.seconds:g} s at {self.rate:g} Hz): give a longer recording"
            )
            raise ContractError(msg)
        all_finite(values)

    def cut(self, array: Any) -> Segments:
        """Segments of a recording that keeps the contract, shape (segments, channels, length).

        They share `overlap` seconds; a tail that is shorter than a segment is left out.
        """
        signal = np.asarray(array, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(signal, self.length, axis=1)
        return windows[:, :: self.step].transpose(1, 0, 2).copy()
