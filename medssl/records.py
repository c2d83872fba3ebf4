"""A record (one stored array or text of one participant) and the contract of an encoder's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from medssl.config import StrictModel
from medssl.errors import ContractError
from medssl.files import digest_bytes
from medssl.types import Array, Modality, ParticipantId


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
        study: Imaging examination, if any.
        site: Where it was recorded, if known.
        device: What recorded it, if known.
        source: Name of the configured source that it came from, such as `"ppg_bp"`.
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

    @property
    def name(self) -> str:
        """Unique and reproducible: a digest of where the record comes from."""
        origin = (
            self.participant, self.session, self.recording, self.modality.value,
            self.source_digest, ",".join(self.channels), repr(self.rate), repr(self.start),
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
    filter: str = Field("none", description="filter applied before resampling")
    resampling: str = Field(
        "polyphase (scipy.signal.resample_poly, Kaiser window, beta 5.0)",
        description="how ingest brought recordings to `rate`",
    )
    normalisation: str = Field(
        "per segment and channel: subtract the mean, divide by the population standard "
        "deviation; a constant channel becomes zeros",
        description="applied by the encoder itself, to the resampled segment",
    )

    @property
    def seconds(self) -> float:
        """Duration of one segment (seconds)."""
        return self.length / self.rate

    def check(self, array: Any, *, rate: float, channels: tuple[str, ...] | list[str]) -> None:
        """Refuse an input that breaks the contract.

        Args:
            array: Waveform of shape (channels, time), at least one segment long.
            rate: Its samples per second (Hz).
            channels: Its channel names, in order.

        Raises:
            ContractError: Says what is wrong, and how to put it right.
        """
        if np.ma.is_masked(array):
            msg = "the array masks some samples: cut the recording at the gaps before embedding"
            raise ContractError(msg)
        try:
            array = np.asarray(array)
            rate = float(rate)
        except (TypeError, ValueError) as error:
            msg = f"give one array of shape (channels, time) and its rate in Hz, not rate={rate!r}"
            raise ContractError(msg) from error
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            msg = f"the array holds {array.dtype}; give real numbers in {self.units}"
            raise ContractError(msg)
        if not np.isclose(rate, self.rate, rtol=1e-6):
            msg = (
                f"the signal has {rate:g} Hz and this encoder expects {self.rate:g} Hz: "
                f"pass medssl.resample(signal, from_rate={rate:g}, to_rate={self.rate:g})"
            )
            raise ContractError(msg)
        if tuple(channels) != self.channels:
            msg = (
                f"the channels are {list(channels)} and this encoder expects "
                f"{list(self.channels)}: select, order and name them so"
            )
            raise ContractError(msg)
        if array.ndim != 2 or array.shape[0] != len(self.channels):
            msg = (
                f"the array has shape {array.shape} and this encoder expects "
                f"({len(self.channels)}, time): reshape one recording to (channels, time)"
            )
            raise ContractError(msg)
        if array.shape[1] < self.length:
            msg = (
                f"the signal has {array.shape[1]} samples and one segment needs {self.length} "
                f"({self.seconds:g} s at {self.rate:g} Hz): give a longer recording"
            )
            raise ContractError(msg)
        # Numbers beyond float32 would become infinite on the way into the encoder.
        with np.errstate(over="ignore"):
            bad = int(np.count_nonzero(~np.isfinite(array.astype(np.float32))))
        if bad:
            msg = (
                f"{bad} sample(s) are NaN or infinite: cut the recording at the gaps, "
                "or fill them before embedding"
            )
            raise ContractError(msg)
