"""What is read of a stored report under a policy, and whether two texts say the same words."""

from __future__ import annotations

import hashlib
import re

from medssl.text.deidentified import has_deidentified, with_token, without
from medssl.text.errors import MISSING_SECTIONS, TextError
from medssl.text.headers import LAST_PARAGRAPH, told_name
from medssl.text.policy import TextPolicy
from medssl.text.report import Report, Section
from medssl.text.sentences import MARKER, split_sentences

_WORD = re.compile(r"\w")
_ITEM = re.compile(rf"(?:(?<=^)|(?<=[.;:!?]\s)){MARKER.pattern}")
_DECIMAL = r"(?<=\d)\.(?=\d)"
_MARKS = re.compile(rf"(?!{_DECIMAL})[^\w\s]|_")


def chosen_text(stored: str, policy: TextPolicy) -> str | None:
    r"""What a policy reads of a report: its sections, in the policy's order, one after the other.

    A section that occurs twice is read twice. Without any of the policy's sections, `missing`
    tells: None (`skip`); all other sections in the report's order (`other`); the section
    `last paragraph`, else the last one (`last_paragraph`). No filler is ever made up.

    Args:
        stored: As `Report.to_text` writes it.
        policy: Which sections and words.

    Returns:
        The text, or None where the policy leaves nothing with a word in it.

    Raises:
        TextError: The sections are absent and `missing` is `error` (`MISSING_SECTIONS`).

    >>> chosen_text("INDICATION: Cough.\nFINDINGS: Heart is XXXX.", TextPolicy())
    'heart is [DEID].'
    """
    parts = (prepared(section.text, policy) for section in _chosen(stored, policy))
    text = " ".join(part for part in parts if _WORD.search(part))
    return text or None


def chosen_sentences(stored: str, policy: TextPolicy) -> tuple[str, ...]:
    """The sentences of what a policy reads, in order; empty where `chosen_text` is None.

    Numbers of enumerations are taken off: a sentence is drawn and compared alone.

    Raises:
        TextError: As for `chosen_text`.

    >>> chosen_sentences("IMPRESSION: 1. Clear lungs. 2. No effusion.", TextPolicy())
    ('clear lungs.', 'no effusion.')
    """
    found = (
        _mapped(sentence.unmarked, policy)
        for section in _chosen(stored, policy)
        for sentence in split_sentences(section.text)
        if policy.deidentified != "drop_sentence" or not has_deidentified(sentence.text)
    )
    return tuple(sentence for sentence in found if _WORD.search(sentence))


def prepared(text: str, policy: TextPolicy) -> str:
    """Any text with the policy's letters and de-identified words, such as a prompt.

    >>> prepared("Compared to XXXX. No effusion.", TextPolicy(deidentified="drop_sentence"))
    'no effusion.'
    """
    if policy.deidentified == "drop_sentence":
        kept = (s.text for s in split_sentences(text) if not has_deidentified(s.text))
        text = " ".join(kept)
    return _mapped(text, policy)


def normalised(text: str) -> str:
    """A text's words alone: lower case, no punctuation, no numbers of enumerations.

    De-identified words are one token whatever their spelling, so that texts which differ only in
    that are the same. Decimal points stay: 2.5 cm is not 25 cm.

    >>> normalised("1. No effusion, compared to XXXX.") == normalised("no effusion compared to ___")
    True
    """
    plain = _ITEM.sub("", with_token(text).strip().lower())
    return " ".join(_MARKS.sub(" ", plain).split())


def text_digest(text: str) -> int:
    """A number in [0, 2⁶³) that is equal for texts with equal `normalised` words.

    It does not depend on process or platform. Two different texts share one with probability 2⁻⁶³.

    >>> text_digest("No effusion.") == text_digest("NO EFFUSION")
    True
    """
    state = hashlib.blake2b(normalised(text).encode(), digest_size=8)
    return int.from_bytes(state.digest(), "little") >> 1


def _chosen(stored: str, policy: TextPolicy) -> tuple[Section, ...]:
    if not stored.strip():
        return ()
    report = Report.from_text(stored)
    chosen = tuple(section for name in policy.sections for section in report.named(name))
    if chosen or policy.missing == "skip":
        return chosen
    if policy.missing == "error":
        wanted = " or ".join(policy.sections)
        have = ", ".join(dict.fromkeys(told_name(one.name) for one in report.sections))
        detail = (
            f"a report without {wanted} (it has {have}): set `missing` to skip, other or "
            "last_paragraph, or `sections` to those that it has"
        )
        raise TextError(MISSING_SECTIONS, detail)
    if policy.missing == "other":
        return report.sections
    return report.named(LAST_PARAGRAPH)[-1:] or report.sections[-1:]


def _mapped(text: str, policy: TextPolicy) -> str:
    # A special token is no word of the text: what it stands for is lower-cased around it.
    change = without if policy.deidentified == "remove" else with_token
    return change(text, lowercase=policy.lowercase)
