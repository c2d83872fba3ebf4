"""Reads a few recordings the way the new pipeline will, before the file is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from medssl.config import validate
from medssl.errors import ConfigError, IngestError
from medssl.ingest import IngestConfig
from medssl.ingest.ledger import Unreadable
from medssl.ingest.sources import WaveformSource, WfdbSource
from medssl.ingest.waveforms.preprocess import Preprocessed
from medssl.ingest.waveforms.quality import grade
from medssl.ingest.waveforms.readers import open_recording
from medssl.ingest.waveforms.segment import cut
from medssl.ingest.waveforms.wfdb_text import named_files
from medssl.initialise.listing import plural, spread
from medssl.initialise.wfdb_look import told

_COUNT: Final = 8
_MAX_BYTES: Final = 64 << 20
_SEGMENTS: Final = 4
"""Segments of each recording that are graded."""

FLOOR: Final = 0.3
"""Quality below which a segment hardly shows beats."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of reading a few recordings.

    Args:
        lines: The outcome in words.
        graded: Segments that were graded.
        good: Those of a quality of at least `FLOOR`.
    """

    lines: tuple[str, ...]
    graded: int
    good: int

    @property
    def kept(self) -> float:
        """Share of segments above the floor, on the careful side of what was seen."""
        return self.good / (self.graded + 2) if self.quality_floor else 1.0

    @property
    def quality_floor(self) -> float:
        """The floor, if nearly all segments tried are above it; 0 keeps everything."""
        return FLOOR if self.graded and self.good >= 0.9 * self.graded else 0.0


def try_recordings(source: dict[str, Any], paths: Sequence[str]) -> Trial:
    """Read, resample, cut and grade a few recordings.

    Args:
        source: The source's configuration.
        paths: Recordings that can be read as far as was looked, with their participants told.

    Raises:
        ConfigError: None of them gives a segment.
    """
    config = validate(IngestConfig, {"sources": [source]}, where="ingest").sources[0]
    assert isinstance(config, WaveformSource)
    chosen = [path for path in spread(paths, _COUNT) if _small(config, path)]
    outcomes: Counter[str] = Counter()
    grades: list[float] = []
    for path in chosen:
        outcome = _outcome(config, path)
        outcomes[outcome if isinstance(outcome, str) else ""] += 1
        grades += outcome if isinstance(outcome, list) else []
    failed = ", ".join(f"{reason} {count}" for reason, count in outcomes.items() if reason)
    if chosen and not outcomes[""]:
        msg = (
            f"none of {plural(len(chosen), 'recording')} tried gives a segment as chosen "
            f"({failed}): correct the answers; nothing was written"
        )
        raise ConfigError(msg)
    good = sum(one >= FLOOR for one in grades)
    if not chosen:
        return Trial((f"tried: none, all are larger than {_MAX_BYTES >> 20} MB",), 0, 0)
    line = (
        f"tried: {outcomes['']} of {plural(len(chosen), 'recording')} read in full; {good} of "
        f"{plural(len(grades), 'segment')} of quality {FLOOR:g} or better"
    )
    if 2 * good < len(grades):
        line += " (few show beats: check modality, channels and rate)"
    return Trial((f"{line}; not read: {failed}" if failed else line,), len(grades), good)


def split_member(config: WaveformSource, path: str) -> tuple[str, str]:
    """The file and the key of a recording; the key is empty where a file holds one."""
    if getattr(config, "recordings", None) is None:
        return path, ""
    # A file's name may have the mark in it too, and a key may.
    parts = path.split("#")
    cuts = range(1, len(parts))
    file = next(
        (name for cut in cuts if (config.folder() / (name := "#".join(parts[:cut]))).is_file()),
        path,
    )
    return file, path.removeprefix(file).removeprefix("#")


def _small(config: WaveformSource, path: str) -> bool:
    file = config.folder() / split_member(config, path)[0]
    files = [file]
    if isinstance(config, WfdbSource):
        files += [file.parent / name for name in named_files(file)]
    return sum(one.stat().st_size for one in files if one.is_file()) <= _MAX_BYTES


def _outcome(config: WaveformSource, path: str) -> list[float] | str:
    """Grades of a few segments, or why there is none."""
    folder = config.folder()
    try:
        file, member = split_member(config, path)
        recording = open_recording(Path(folder, file), config, folder=folder, member=member)
        signal = Preprocessed(recording, config.rate, config.filter)
        read = signal.read(0, signal.length)
    except Unreadable as verdict:
        return told(verdict)
    except (IngestError, OSError) as error:
        return type(error).__name__
    segments = cut(read, length=config.segment_length, step=config.step).segments
    if not len(segments):
        return "no whole segment"
    return [
        grade(one, config.rate, config.modality).score for one in spread(list(segments), _SEGMENTS)
    ]
