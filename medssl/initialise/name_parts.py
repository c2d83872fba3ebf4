"""File and folder names in parts: what is the same in all names, and what tells them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_USUAL: Final = 0.95
"""Names of another make than this share are left out; more, and the names have no make."""

PERSON_WORDS: Final = frozenset(
    {
        "person", "people", "subject", "subj", "sub", "participant", "patient", "pat",
        "proband", "volunteer", "individual", "pid", "animal", "mouse", "rat", "dog",
        "pig", "horse",
    }
)  # fmt: skip
SESSION_WORDS: Final = frozenset(
    {"session", "sess", "ses", "visit", "day", "night", "rec", "record", "recording", "trial",
     "run", "segment", "seg", "part", "date"}
)  # fmt: skip


def names_person(word: str) -> bool:
    """Whether a word stands for a participant, in singular or plural.

    >>> names_person("Subjects"), names_person("rec")
    (True, False)
    """
    word = word.casefold()
    return word in PERSON_WORDS or word.removesuffix("s") in PERSON_WORDS


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the names.

    Args:
        expression: Regular expression that finds it.
        values: What it is in each name, None where the name is of another make; empty for a part
            that is the same in all names.
        word: The word before it, or empty.
    """

    expression: str
    values: tuple[str | None, ...] = ()
    word: str = ""

    @property
    def varies(self) -> bool:
        """Whether it tells names apart."""
        return bool(self.values)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.values) - {None})


def split_names(names: Sequence[str]) -> list[Part]:
    r"""The parts of names of one make; nothing when they have no make in common.

    Names are cut at everything that is neither letter nor digit, and between letters and digits
    where the letters are the same in all names.

    >>> [part.expression for part in split_names(["Person_01", "Person_02"])]
    ['Person', '_', '\\d+']
    """
    cut = [re.findall(r"[^\W_]+|[\W_]+", name) for name in names]
    makes = Counter(map(_make, cut))
    if not makes:
        return []
    usual, count = makes.most_common(1)[0]
    if count < _USUAL * len(names):
        return []
    parts: list[Part] = []
    fitting = [pieces if _make(pieces) == usual else None for pieces in cut]
    word = ""
    for place in range(len(usual)):
        values = tuple(pieces[place] if pieces is not None else None for pieces in fitting)
        told = {value for value in values if value is not None}
        if len(told) == 1:
            literal = told.pop()
            parts.append(Part(re.escape(literal)))
            if re.search(r"[^\W\d_]", literal):
                word = literal
        else:
            parts += _field(values, word)
            word = ""
    return parts


def _make(pieces: Sequence[str]) -> tuple[str, ...]:
    """Names of one make have the same separators between their fields."""
    return tuple("x" if piece[0].isalnum() else piece for piece in pieces)


def _field(values: tuple[str | None, ...], word: str) -> list[Part]:
    """One field that varies, cut between letters and digits where that is possible."""
    cut = [re.findall(r"[^\W\d_]+|\d+", value) if value is not None else None for value in values]
    kinds = {tuple(piece if not piece.isdigit() else "#" for piece in pieces)
             for pieces in cut if pieces is not None}  # fmt: skip
    if len(kinds) > 1:
        return [Part(r"[^\W_]+", values, word)]
    parts = []
    for place, kind in enumerate(kinds.pop()):
        if kind != "#":
            parts.append(Part(re.escape(kind)))
            word = kind
            continue
        own = tuple(pieces[place] if pieces is not None else None for pieces in cut)
        told = {value for value in own if value is not None}
        parts.append(Part(told.pop()) if len(told) == 1 else Part(r"\d+", own, word))
    return parts


def pattern_around(
    parts: Sequence[Part], place: int, group: str, *, skip_zeros: bool = False
) -> str:
    r"""The names' pattern with one part as a named group.

    >>> pattern_around(split_names(["a_1", "a_2"]), 2, "participant")
    'a_(?P<participant>\\d+)'
    """
    pieces = [part.expression for part in parts]
    zeros = "0*" if skip_zeros else ""
    pieces[place] = f"{zeros}(?P<{group}>{pieces[place]})"
    return "".join(pieces)
