"""Words that de-identification took out: `___` in MIMIC, `XXXX` in Open-I, `[**…**]` before."""

from __future__ import annotations

import re
from typing import Final

DEID: Final = "[DEID]"
"""The special token that stands for such a word."""

_TAKEN_OUT = re.compile(r"_{3,}|[Xx]{4,}|\[\*\*.{0,200}?\*\*\]|\[DEID\]", re.DOTALL)
_LONELY = re.compile(r"\s+(?=[.,;:!?)])|(?<=\()\s+")


def has_deidentified(text: str) -> bool:
    """Whether a word was taken out of a text."""
    return _TAKEN_OUT.search(text) is not None


def with_token(text: str, *, lowercase: bool = False) -> str:
    """Put the one token where a word was taken out; the rest in lower case if wanted.

    >>> with_token("Normal chest x-XXXX. Compared with ___.", lowercase=True)
    'normal chest x-[DEID]. compared with [DEID].'
    """
    kept = _TAKEN_OUT.split(text)
    return DEID.join(part.lower() for part in kept) if lowercase else DEID.join(kept)


def without(text: str, *, lowercase: bool = False) -> str:
    """Leave out what stands for the words, and the blanks that this would leave behind.

    >>> without("Compared with XXXX, no change.")
    'Compared with, no change.'
    """
    left = _LONELY.sub("", " ".join(_TAKEN_OUT.sub(" ", text).split()))
    return left.lower() if lowercase else left
