"""Opposites of sentences: one negation turned, or left and right exchanged, and nothing else."""

from __future__ import annotations

import re
from typing import Final

_SIDE = re.compile(r"\b(left|right)(?=(?:-sided|wards?)?\b)", re.IGNORECASE)
_SIDES: Final = {"left": "right", "right": "left"}
_ARTICLE = r"(?:(?:an?|some)\s+)?"
_STATE = (
    r"(?:seen|identified|present|evident|visuali[sz]ed|demonstrated|appreciated|noted|found|clear|"
    r"detected|apparent|observed|normal|enlarged|widened|intact|unremarkable|visible|displaced|"
    r"within\s+normal\s+limits)\b"
)
_DENIALS: Final = (
    (r"\b(there\s+(?:is|are|was|were)\s+)no\s+", r"\1"),
    (rf"\b((?:is|are|was|were)\s+)not\s+(?={_STATE})", r"\1"),
    (r"^no\s+(?!longer\b|change|significant|interval|other\b)", ""),
    (r"\bwithout\s+(?!change|significant|interval)", "with "),
    (r"\b(with\s+)no\s+", r"\1"),
    (r"^negative(?=\s+for\b)", "positive"),
    (r"^abnormal\b", "normal"),
)
"""Denials, and what is left when the denial is taken out."""
_CLAIMS: Final = (
    (rf"\b(there\s+(?:is|are|was|were)\s+)(?!no\b|not\b){_ARTICLE}", r"\1no "),
    (rf"\b((?:is|are|was|were)\s+)(?={_STATE})", r"\1not "),
    (r"^positive(?=\s+for\b)", "negative"),
    (r"^normal(?=\s+\w)", "abnormal"),
    (rf"(?<!compatible )(?<!consistent )(?<!associated )\bwith\s+(?!no\b){_ARTICLE}", "without "),
)
"""Claims, and the same with a denial put in."""
_BARE = re.compile(
    r"^(?!no\b|not\b|without\b|normal\b|clear\b|stable\b|unchanged\b)(?=(?:[\w-]+\s+){0,4}?"
    r"(?:effusions?|pneumothorax|edema|cardiomegaly|consolidations?|atelectasis|pneumonia|"
    r"opacit(?:y|ies)|nodules?|mass(?:es)?|infiltrates?|emphysema|fractures?|hernia|fibrosis)\b)"
    r"(?!.*\b(?:is|are|was|were|has|have|no|not|without|may|could|there)\b)",
    re.IGNORECASE,
)
"""A finding named without a verb, as in `Small pleural effusion.`"""


def opposite(sentence: str, uniform: float) -> str | None:
    """A sentence that says the opposite, by one change.

    A denial is taken out or put in (`no`, `not`, `without`, `negative for`, `normal`, with the
    article that goes with it), or the side is exchanged. A sentence that names both sides keeps
    them: exchanged, "right and left" says the same. Such sentences are hard negatives in the manner
    of NegBench (Alhamoud et al., CVPR 2025).

    Args:
        sentence: One sentence, in any letters.
        uniform: In [0, 1); chooses among the changes that are possible, and nothing else does.

    Returns:
        The opposite, or None where there is nothing to turn.

    >>> opposite("No pleural effusion.", 0.5), opposite("There is a small nodule.", 0.5)
    ('Pleural effusion.', 'There is no small nodule.')
    >>> opposite("small left effusion.", 0.1), opposite("small left effusion.", 0.9)
    ('no small left effusion.', 'small right effusion.')
    >>> opposite("Stable chest.", 0.5) is None
    True
    """
    found = [other for other in (_turned(sentence), _mirrored(sentence)) if other is not None]
    return found[min(int(uniform * len(found)), len(found) - 1)] if found else None


def _turned(sentence: str) -> str | None:
    """The sentence without its first denial, or with one."""
    for pattern, replacement in (*_DENIALS, *_CLAIMS):
        changed, count = re.subn(pattern, replacement, sentence, count=1, flags=re.IGNORECASE)
        if count and re.search(r"\w", changed):
            return _begun(changed, sentence)
    if _BARE.search(sentence):
        capital = sentence[:1].isupper() and not sentence[:2].isupper()
        kept = sentence[:1].lower() + sentence[1:] if capital else sentence
        return _begun(f"no {kept}", sentence)
    return None


def _begun(changed: str, like: str) -> str:
    """With a capital at the start where the other sentence has one."""
    return changed[:1].upper() + changed[1:] if like[:1].isupper() else changed


def _mirrored(sentence: str) -> str | None:
    sides = {found[1].lower() for found in _SIDE.finditer(sentence)}
    return _SIDE.sub(_exchanged, sentence) if len(sides) == 1 else None


def _exchanged(found: re.Match[str]) -> str:
    other = _SIDES[found[1].lower()]
    if found[1].isupper():
        return other.upper()
    return other.capitalize() if found[1][0].isupper() else other
