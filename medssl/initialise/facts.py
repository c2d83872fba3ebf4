"""What looking at the recordings of one format gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from medssl.types import Modality


@dataclass(slots=True)
class ChannelFacts:
    """One channel name.

    Args:
        name: The name in the files.
        paths: Recordings looked at that have it, once.
        units: How often it has which unit; `None` stands for unknown or uncalibrated.
        rates: How often it has which rate (Hz); `None` stands for unknown.
        modality: What its name tells.
    """

    name: str
    paths: set[str] = field(default_factory=set)
    units: Counter[str | None] = field(default_factory=Counter)
    rates: Counter[float | None] = field(default_factory=Counter)
    modality: Modality | None = None

    @property
    def count(self) -> int:
        """How many recordings looked at have it."""
        return len(self.paths)


@dataclass(slots=True, kw_only=True)
class Facts:
    """The recordings of one format.

    Args:
        format: As the source's `format`.
        paths: All recordings, looked at or not; of several in a file `file#key`.
        include: Globs that find them; empty for the format's own.
        opened: Those looked at.
        lengths: Samples and rate (Hz; None when unknown) of the readable ones, by path.
        estimated: Whether some lengths were estimated from file sizes.
        channels: By name, in the order of the files.
        unreadable: Recordings looked at that cannot be read, by reason.
        comments: Header comments of each recording looked at.
        shape: Settings of the source that were found, such as its layout.
        named: Whether the channels' names stand in the files; they are numbers otherwise.
        several: Whether a file holds several recordings.
        notes: Further findings, as sentences.
        time: Name of the time column, when all files have it.
        time_unit: What its times are, as in the source's `time_unit`.
        time_rates: Rate (Hz) by unit, when the unit of the times must be asked.
        time_hint: Why a time column was not used, with the rate that it suggests.
        suggested_rate: The rate that an unusable time column suggests (Hz).
    """

    format: str
    paths: tuple[str, ...]
    include: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    lengths: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    estimated: bool = False
    channels: dict[str, ChannelFacts] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)
    comments: list[Mapping[str, str]] = field(default_factory=list)
    shape: Mapping[str, str | bool] = field(default_factory=dict)
    named: bool = True
    several: bool = False
    notes: list[str] = field(default_factory=list)
    time: str | None = None
    time_unit: str = "s"
    time_rates: Mapping[str, float] = field(default_factory=dict)
    time_hint: str = ""
    suggested_rate: float | None = None

    @property
    def headed(self) -> bool:
        """Whether headers tell rates and units."""
        return self.format in {"wfdb", "edf"}

    @property
    def tells_rate(self) -> bool:
        """Whether the files tell their rate, in a header or where the settings say."""
        told = {"rate_variable", "rate_column"} & self.shape.keys()
        return self.headed or bool(told) or self.time is not None

    @property
    def title(self) -> str:
        """The format as it is called."""
        names = {"wfdb": "WFDB", "edf": "EDF", "matlab": "MATLAB", "parquet": "Parquet"}
        return names.get(self.format, self.format)

    @property
    def looked(self) -> int:
        """How many recordings were looked at."""
        return len(self.opened)

    @property
    def readable(self) -> int:
        """Recordings looked at that can be read."""
        return len(self.lengths)

    def channel(self, name: str) -> ChannelFacts:
        """Facts of a channel, made when first asked for."""
        return self.channels.setdefault(name, ChannelFacts(name))

    def durations(self, rate: float | None = None) -> dict[str, float]:
        """Seconds by path, of those whose rate is known.

        Args:
            rate: Rate of recordings that do not tell their own (Hz).
        """
        known = {path: (count, own or rate) for path, (count, own) in self.lengths.items()}
        return {path: count / hertz for path, (count, hertz) in known.items() if hertz}
