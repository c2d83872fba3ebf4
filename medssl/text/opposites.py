"""Opposites of sentences: with the negation or the side exchanged, and nothing else."""

from __future__ import annotations

import re
from typing import Final

_SIDES: Final = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_DENIALS: Final = (
    (re.compile(r"\bthere (is|are) no (?:evidence of )?(?=\w)", re.IGNORECASE), r"there \1 "),
    (re.compile(r"^no (?:evidence of |sign of )?(?=\w)", re.IGNORECASE), ""),
    (re.compile(r"\bwithout (?:evidence of )?(?=\w)", re.IGNORECASE), "with "),
)
"""What takes a denial out of a sentence."""
_CLAIMS: Final = (
    (
        re.compile(r"\bthere (is|are) (?!no\b|not\b)(?:a |an )?(?=\w)", re.IGNORECASE),
        r"there \1 no ",
    ),
    (re.compile(r"\bwith (?!no\b|out\b)(?:a |an )?(?=\w)", re.IGNORECASE), "without "),
)
"""What puts one in."""


def opposite(sentence: str, uniform: float) -> str | None:
    """A sentence that says the opposite in one word: negation turned, or left and right exchanged.

    Args:
        sentence: One sentence.
        uniform: In [0, 1); decides where both could be done.

    Returns:
        The opposite, or None where there is no negation and no side to exchange.

    >>> opposite("No pleural effusion.", 0.5), opposite("Small left effusion.", 0.5)
    ('Pleural effusion.', 'Small right effusion.')
    >>> opposite("Heart size is normal.", 0.5) is None
    True
    """
    found = [other for other in (_negated(sentence), _mirrored(sentence)) if other is not None]
    return found[int(uniform * len(found))] if found else None


def _negated(sentence: str) -> str | None:
    for pattern, replacement in (*_DENIALS, *_CLAIMS):
        changed, count = pattern.subn(replacement, sentence, count=1)
        if count and changed.strip(" ."):
            return changed[:1].upper() + changed[1:] if sentence[:1].isupper() else changed
    return None


def _mirrored(sentence: str) -> str | None:
    if _SIDE.search(sentence) is None:
        return None
    return _SIDE.sub(_exchanged, sentence)


def _exchanged(found: re.Match[str]) -> str:
    word = found[0]
    other = _SIDES[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
