"""Look at WFDB headers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from medssl.ingest.discover import claims_of, owners_of
from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.waveforms.recording import parse_comments
from medssl.ingest.waveforms.units import canonical_unit
from medssl.ingest.waveforms.wfdb_header import Header
from medssl.ingest.waveforms.wfdb_segments import read_layout
from medssl.ingest.waveforms.wfdb_text import header_text
from medssl.initialise.channel_names import modality_of_channel
from medssl.initialise.facts import Facts
from medssl.initialise.listing import spread

MAX_HEADERS: Final = 200


def look_at_wfdb(folder: Path, paths: Sequence[str]) -> Facts:
    """Read and check an evenly spaced sample of headers; no signal is read.

    Args:
        folder: The folder.
        paths: All its headers.
    """
    paths = _without_segments(folder, paths)
    facts = Facts(format="wfdb", paths=tuple(paths), opened=tuple(spread(paths, MAX_HEADERS)))
    claims = {path: claims_of(folder, path) for path in facts.opened}
    owners = owners_of(claims)
    for path, files in claims.items():
        if any(owners[file] != path for file in files):
            facts.unreadable[Reason.DUPLICATE_SOURCE.value] += 1
            continue
        try:
            header = read_layout(folder / path, folder=folder).header
        except Unreadable as verdict:
            facts.unreadable[told(verdict)] += 1
        except OSError as error:
            facts.unreadable[error.strerror or type(error).__name__] += 1
        else:
            _add(facts, path, header)
    return facts


def _without_segments(folder: Path, paths: Sequence[str]) -> list[str]:
    """The headers that are recordings, and no segments of one."""
    several = [path for path in paths if header_text(folder / path).several]
    segments = {file for path in several for file in claims_of(folder, path)}
    return [path for path in paths if path not in segments]


def told(verdict: Unreadable) -> str:
    """A verdict in words that can be counted over files."""
    # Sizes differ from file to file, so only words make a reason that can be counted.
    words = "" if any(c.isdigit() for c in verdict.detail) else verdict.detail
    return f"{verdict.reason.value} ({words})" if words else verdict.reason.value


def _add(facts: Facts, path: str, header: Header) -> None:
    facts.lengths[path] = (header.frames, header.frame_rate)
    facts.comments.append(parse_comments(header.comments))
    for number, name in enumerate(header.names):
        if header.names.count(name) > 1 or not name:
            continue  # ingest cannot tell them apart
        channel = facts.channel(name)
        channel.paths.add(path)
        unit = canonical_unit(header.units[number]) if header.calibrated[number] else None
        channel.units[unit] += 1
        channel.rates[header.frame_rate * header.samples_per_frame[number]] += 1
        channel.modality = modality_of_channel(name)
