"""Sentences of a report; decimals, enumerations and abbreviations stay whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ABBREVIATIONS: Final = frozenset(
    [
        "approx",
        "ca",
        "cf",
        "dr",
        "drs",
        "e.g",
        "eg",
        "esp",
        "etal",
        "fig",
        "i.e",
        "ie",
        "incl",
        "mr",
        "mrs",
        "ms",
        "prof",
        "resp",
        "st",
        "vs",
        "viz",
    ]
)
"""Words whose full stop never ends a sentence, without it."""

SHORT_FORMS: Final = frozenset(
    [
        "a.m",
        "cm",
        "cx",
        "dept",
        "dx",
        "etc",
        "ext",
        "hr",
        "hrs",
        "hx",
        "in",
        "lat",
        "max",
        "min",
        "mm",
        "mo",
        "no",
        "p.m",
        "pt",
        "pts",
        "rt",
        "lt",
        "sx",
        "temp",
        "tx",
        "wk",
        "yr",
        "yo",
        "y.o",
        "f/u",
        "s/p",
    ]
)
"""Words whose full stop ends a sentence unless a small letter or a number follows."""

MARKER: Final = re.compile(r"\(?(?P<number>\d{1,2})(?:[.)]{1,2}|:)(?:\s+(?=\S)|(?=[A-Za-z]))")
"""The number of an enumeration's item, at the start of a sentence."""

_STOP = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s)|\n\s*\n")
_GLUED = re.compile(r"(?:(?<=[a-z]{3})|(?<=[a-z]\))|(?<=XXXX)|(?<=\d[cm]m))\.(?=[A-Z][a-z])")
_HEADED = re.compile(r"\s*[A-Z][A-Za-z ,]{1,40}:?\s+(?=1\.\s+[A-Z])")
_REST_OF_NUMBER = re.compile(r"\s+\d+\s*[cm]m\b")
_BLANKS = re.compile(r"\s*")
_LONGEST: Final = 60
_LETTER = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, `source[start:stop]`.

    Args:
        text: As it stands in the source, without white space at its ends.
        start: Characters of the source before it.
        stop: Characters of the source before what follows it.
    """

    text: str
    start: int
    stop: int

    @property
    def unmarked(self) -> str:
        """Without the number of an enumeration, which says nothing once it stands alone.

        >>> Sentence("2. No pneumothorax.", 0, 19).unmarked
        'No pneumothorax.'
        """
        return MARKER.sub("", self.text, count=1) if MARKER.match(self.text) else self.text


def split_sentences(text: str) -> tuple[Sentence, ...]:
    """Cut a text into sentences.

    Every character that is no white space is in exactly one of them, in order. An enumeration's
    number belongs to its sentence (`"1. No effusion."`); blank lines end sentences too. Short ones
    are kept: they are often the negatives.

    >>> [sentence.text for sentence in split_sentences("1. Nodule of 2.5 cm. 2. No effusion.")]
    ['1. Nodule of 2.5 cm.', '2. No effusion.']
    >>> [sentence.text for sentence in split_sentences("Seen by Dr. XXXX. Lungs vs. ribs")]
    ['Seen by Dr. XXXX.', 'Lungs vs. ribs']
    """
    spans: list[list[int]] = []
    start = 0
    for stop in (*_stops(text), len(text)):
        piece = text[start:stop]
        first, last = start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        start = stop
        if _LETTER.search(piece) or (first < last and not spans):
            spans.append([first, last])
        elif first < last:  # a lone mark belongs to what stands before it
            spans[-1][1] = last
    return tuple(Sentence(text[first:last], first, last) for first, last in spans)


def _stops(text: str) -> list[int]:
    """Where sentences end, but for the last one."""
    found = [match.end() for match in _GLUED.finditer(text)]
    found += [match.end() for match in _STOP.finditer(text)]
    stops: list[int] = []
    start = 0
    for stop in sorted(found):
        if _ends(text, start, stop):
            stops += [*_items(text, start, stop), stop]
            start = stop
    return [*stops, *_items(text, start, len(text))]


def _ends(text: str, start: int, stop: int) -> bool:
    """Whether the sentence that begins at `start` ends at a mark that ends at `stop`."""
    # All is looked up in place, and no further than the longest word: a text may be one sentence.
    tail = text[max(start, stop - _LONGEST) : stop].rstrip("\n\t ")
    if not tail.endswith("."):
        return True
    marker = MARKER.match(text, _begin(text, start))
    if marker is not None and marker.end() >= stop:
        return False  # "1." of an enumeration
    headed = _HEADED.match(text, start)
    if headed is not None and headed.end() + len("1.") == stop:
        return False  # "Chest 1." above an enumeration
    words = tail.rstrip(".").split()
    last = words[-1].lower().lstrip("([\"'") if words else ""
    if last in ABBREVIATIONS:
        return False
    begin = _begin(text, stop)
    following = text[begin : begin + 1]
    if marker is not None and last.isdigit() and following.isupper():
        item = MARKER.match(text, _begin(text, [start, *_items(text, start, stop - 1)][-1]))
        if item is not None and int(last) == int(item["number"]) + 1:
            return False  # "1. Clear 2. Normal": the next item
    if last in SHORT_FORMS or (len(last) > 2 and last[-2] == "."):
        return not (following.islower() or (last == "no" and following.isdigit()))
    # "2. 5 cm": a decimal with a blank too many.
    return not (last.isdigit() and _REST_OF_NUMBER.match(text, stop))


def _items(text: str, start: int, stop: int) -> list[int]:
    """Starts of further items of an enumeration whose items do not end with full stops."""
    headed = _HEADED.match(text, start, stop)
    places = [headed.end()] if headed is not None else []
    start = headed.end() if headed is not None else start
    while (marker := MARKER.match(text, _begin(text, start))) is not None:
        number = int(marker["number"]) + 1
        found = re.compile(rf"\s(?=\(?{number}[.)]\s*[A-Z])").search(text, marker.end(), stop)
        if found is None:
            break
        start = found.end()
        places.append(start)
    return places


def _begin(text: str, start: int) -> int:
    """Where the next word begins."""
    blanks = _BLANKS.match(text, start)
    return start if blanks is None else blanks.end()
