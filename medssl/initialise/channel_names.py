"""What channel and file names tell about the modality."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from medssl.ingest.waveforms.units import canonical_unit
from medssl.types import Modality

TWELVE_LEADS: Final = frozenset(
    {"i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6"}
)
_LEADS: Final = TWELVE_LEADS | {
    "v", "v7", "v8", "v9", "v3r", "v4r", "vx", "vy", "vz", "ml2", "mli", "mlii", "mliii", "mcl1",
    "mcl2", "mcl3", "mcl4", "mcl5", "mcl6", "mv2", "d1", "d2", "d3", "d4",
}  # fmt: skip
_WORDS: Final = {
    "ecg": Modality.ECG, "ekg": Modality.ECG, "electrocardiogram": Modality.ECG,
    "ppg": Modality.PPG, "pleth": Modality.PPG, "plethysmogram": Modality.PPG,
    "photoplethysmogram": Modality.PPG, "bvp": Modality.PPG,
    "resp": Modality.RESPIRATION, "respiration": Modality.RESPIRATION,
    "breathing": Modality.RESPIRATION,
}  # fmt: skip
_UNIT: Final = re.compile(r"^(.*?)\s*[\[(]\s*([^\])]*?)\s*[\])]\s*$")


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def modality_of_channel(name: str) -> Modality | None:
    """The modality that a channel's name tells.

    >>> [modality_of_channel(name) for name in ("ECG I filtered", "PLETH", "aVR", "ABP")][:3]
    [<Modality.ECG: 'ecg'>, <Modality.PPG: 'ppg'>, <Modality.ECG: 'ecg'>]
    """
    bare = bare_name(name).casefold().removeprefix("lead").strip(" _-")
    if bare in _LEADS:
        return Modality.ECG
    told = {_WORDS[word] for word in _words(bare) if word in _WORDS}
    return told.pop() if len(told) == 1 else None


def modality_of_paths(folder_name: str, paths: Iterable[str]) -> tuple[Modality | None, str]:
    """The modality that file and folder names tell together, and where it was told.

    >>> modality_of_paths("study", ["ecg/1.csv", "ecg/2.csv"])[0]
    <Modality.ECG: 'ecg'>
    """
    every = [PurePosixPath(path) for path in paths]
    for where, texts in (
        ("file names", [path.stem for path in every]),
        ("folder names", [path.parent.as_posix() for path in every]),
        ("the folder's name", [folder_name]),
    ):
        told = [{_WORDS[word] for word in _words(text) if word in _WORDS} for text in texts]
        found = set().union(*told)
        if len(found) == 1 and all(told):
            return found.pop(), where
        if found:
            return None, ""  # names that disagree tell nothing
    return None, ""


def modality_of_word(word: str) -> Modality | None:
    """The modality that one word names."""
    return _WORDS.get(word.casefold())


def bare_name(name: str) -> str:
    """A channel's name without a unit in brackets.

    >>> bare_name("ECG [mV]")
    'ECG'
    """
    match = _UNIT.match(name)
    return match.group(1) if match else name


def unit_in_name(name: str) -> str | None:
    """The unit in brackets after a channel's name.

    >>> unit_in_name("ECG (uV)"), unit_in_name("Time [s]")
    ('uV', None)
    """
    match = _UNIT.match(name)
    return canonical_unit(match.group(2)) if match else None
