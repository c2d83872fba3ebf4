"""Look at EDF and BDF headers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Final

from medssl.ingest.ledger import Unreadable
from medssl.ingest.waveforms.edf_header import EdfHeader, read_edf_header
from medssl.ingest.waveforms.recording import parse_comments
from medssl.ingest.waveforms.units import canonical_unit
from medssl.initialise.channel_names import modality_of_channel
from medssl.initialise.facts import Facts
from medssl.initialise.listing import spread
from medssl.initialise.wfdb_look import told

MAX_HEADERS: Final = 200


def look_at_edf(folder: Path, paths: Sequence[str]) -> Facts:
    """Read and check an evenly spaced sample of headers; no signal is read.

    Args:
        folder: The folder.
        paths: All its EDF and BDF files.
    """
    facts = Facts(format="edf", paths=tuple(paths), opened=tuple(spread(paths, MAX_HEADERS)))
    gaps = 0
    for path in facts.opened:
        try:
            header = read_edf_header(folder / path)
        except Unreadable as verdict:
            facts.unreadable[told(verdict)] += 1
        except OSError as error:
            facts.unreadable[error.strerror or type(error).__name__] += 1
        else:
            _add(facts, path, header)
            gaps += header.onsets is not None
    if gaps:
        facts.notes.append(f"{gaps} of {facts.looked} files looked at are discontinuous (EDF+D)")
    return facts


def _add(facts: Facts, path: str, header: EdfHeader) -> None:
    names = [signal.name for signal in header.signals]
    longest = max(header.signals, key=lambda signal: signal.rate)
    facts.lengths[path] = (header.records * longest.samples, float(longest.rate))
    facts.comments.append(parse_comments(header.comments))
    for signal in header.signals:
        if names.count(signal.name) > 1 or not signal.name:
            continue  # ingest cannot tell them apart
        channel = facts.channel(signal.name)
        channel.paths.add(path)
        calibrated = isfinite(signal.gain) and signal.gain != 0
        channel.units[canonical_unit(signal.unit) if calibrated else None] += 1
        channel.rates[float(signal.rate)] += 1
        channel.modality = modality_of_channel(signal.name)
