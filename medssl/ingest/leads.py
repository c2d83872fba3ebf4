"""Leads of an ECG that cannot be right: laws of limb leads, and sizes that units rule out.

Reversed electrodes keep the laws. Whoever exchanges the cables of two limbs records leads that fit
each other as well as the right ones; nothing here can see that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.sources import ChannelConfig, TextSource, WaveformSource
from medssl.ingest.waveforms.recording import Recording, Track
from medssl.ingest.waveforms.units import conversion
from medssl.types import Modality

LAWS: Final[Mapping[str, Mapping[str, float]]] = {
    "I + III = II": {"I": 1.0, "III": 1.0, "II": -1.0},
    "aVR = -(I + II)/2": {"AVR": 1.0, "I": 0.5, "II": 0.5},
    "aVL = (I - III)/2": {"AVL": 1.0, "I": -0.5, "III": 0.5},
    "aVF = (II + III)/2": {"AVF": 1.0, "II": -0.5, "III": -0.5},
}
"""Law → factors with which leads sum up to nothing."""

TOLERANCE: Final = 0.25
"""Error, relative to the largest term, above which a law is broken. Records of six devices keep
within 0.06; one exchange of two leads gives 0.5 and more."""
LAG_SECONDS: Final = 0.01
"""Laws are tested on differences over this time: baselines drift, and filters differ, by lead."""
PLACES: Final = 3
"""Parts of a recording that are looked at, from its beginning to its end."""
PART_SECONDS: Final = 20.0
FLAT: Final = 1e-3
"""A lead with less than this share of the largest one's amplitude is flat, and proves nothing."""

AMPLITUDE: Final = (0.005, 100.0)
"""Least and most that an ECG changes over that time (mV, 98th percentile). Records of six data sets
change by 0.1 to 8 mV; a unit that is wrong by a thousand puts them outside."""

_LEADS: Final = frozenset(lead for law in LAWS.values() for lead in law)
_STANDARD: Final = ("I", "II", "III")


def require_consistent_leads(
    recording: Recording, path: Path, source: WaveformSource, *, folder: Path
) -> None:
    """Refuse an ECG whose limb leads cannot belong together.

    Where a file has the leads I, II and III and the source takes only some of them, the others are
    read for this, as far as they are spelt alike.

    Args:
        recording: As opened.
        path: The file.
        source: The source it belongs to.
        folder: Folder of the source.

    Raises:
        Unreadable: `inconsistent_leads`, with the law and by how much it is broken.
    """
    if source.modality is not Modality.ECG or not source.check_leads:
        return
    leads = limb_leads(_names(recording, source))
    if 0 < len(leads) < len(_STANDARD):
        recording = _with_all(recording, path, source, folder) or recording
        leads = limb_leads(recording.channels)
    if len(leads) < len(_STANDARD) or len({track.rate for track in recording.tracks}) > 1:
        return
    for law, error in law_errors(_differences(recording.tracks), leads).items():
        if error > TOLERANCE:
            detail = f"{law} does not hold: relative error {error:.2g}"
            raise Unreadable(Reason.INCONSISTENT_LEADS, detail)


def require_plausible_units(recording: Recording, source: WaveformSource) -> None:
    """Refuse an ECG that is far too large or too small for its units.

    Every lead can be too large. Only all of them can be too small: a lead that has come off is
    graded instead, and so is a recording that is flat altogether.

    Args:
        recording: As opened.
        source: The source it belongs to.

    Raises:
        Unreadable: `implausible_units`, with how fast the samples change.
    """
    factor = conversion(recording.units, "mV")
    if source.modality is not Modality.ECG or not source.check_leads or factor is None:
        return
    changes = [np.abs(_differences([track])) for track in recording.tracks]
    sizes = [np.percentile(part, 98, axis=1).max() for part in changes if part.size]
    largest = factor * float(max(sizes, default=0.0))
    smallest, limit = AMPLITUDE
    if largest > limit or 0 < largest < smallest:
        detail = f"changes by {largest:.2g} mV in 10 ms; an ECG by {smallest:g} to {limit:g} mV"
        raise Unreadable(Reason.IMPLAUSIBLE_UNITS, detail)


def _names(recording: Recording, source: WaveformSource) -> list[str]:
    """Names of the channels: those in the store, or those in the file where only they say it."""
    files = recording.taken or tuple(channel.source for channel in source.channels)
    pairs = zip(recording.channels, files, strict=True)
    return [stored if limb_leads([stored]) else name for stored, name in pairs]


def limb_leads(channels: Sequence[str]) -> dict[str, int]:
    """Limb leads among channel names → their places.

    >>> limb_leads(("ii", "V1", "Lead I", "MLII"))
    {'II': 0, 'I': 2}
    """
    names = [name.upper().removeprefix("ECG ").removeprefix("LEAD ").strip() for name in channels]
    return {name: place for place, name in enumerate(names) if name in _LEADS}


def law_errors(
    signal: Float64[np.ndarray, "channels time"], leads: Mapping[str, int]
) -> dict[str, float]:
    """Law → root mean square of what should be nothing, relative to its largest term.

    Laws of which a lead is absent or flat are left out.

    Args:
        signal: Leads, in one unit.
        leads: Lead → its row.
    """
    sizes = {lead: _size(signal[row]) for lead, row in leads.items()}
    largest = max(sizes.values(), default=0.0)
    present = {lead for lead, size in sizes.items() if size > FLAT * largest}
    errors = {}
    for law, factors in LAWS.items():
        if present >= set(factors):
            terms = [factor * signal[leads[lead]] for lead, factor in factors.items()]
            errors[law] = _size(np.sum(terms, axis=0)) / max(_size(term) for term in terms)
    return errors


def _size(values: Float64[np.ndarray, " time"]) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _differences(tracks: Sequence[Track]) -> Float64[np.ndarray, "channels time"]:
    """Differences over a short time in several parts of tracks of one rate, no missing ones."""
    rate = tracks[0].rate
    length = min(track.length for track in tracks)
    width = min(length, round(PART_SECONDS * rate))
    lag = max(1, round(LAG_SECONDS * rate))
    starts = np.unique(np.linspace(0, length - width, PLACES).astype(int))
    parts = []
    for start in starts.tolist():
        rows = [track.read(start, start + width) for track in tracks]
        part = np.concatenate(rows)
        parts.append(part[:, lag:] - part[:, :-lag])
    differences = np.concatenate(parts, axis=1)
    return differences[:, np.isfinite(differences).all(axis=0)]


def _with_all(
    recording: Recording, path: Path, source: WaveformSource, folder: Path
) -> Recording | None:
    """The same file with the leads I, II and III; None when it has not all of them."""
    from medssl.ingest.waveforms.readers import open_recording

    if isinstance(source, TextSource) and not source.header:
        return None  # a column without a name would be taken by its place
    place = next(iter(limb_leads(_names(recording, source)).values()))
    spelt = recording.taken[place] if recording.taken else source.channels[place].source
    lower = spelt == spelt.lower()
    wanted = tuple(
        ChannelConfig(source=name.lower() if lower else name, name=name) for name in _STANDARD
    )
    try:
        return open_recording(path, source.model_copy(update={"channels": wanted}), folder=folder)
    except Unreadable:
        return None  # without them there is nothing to test
