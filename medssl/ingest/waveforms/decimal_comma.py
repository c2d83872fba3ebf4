"""Decimal commas: told from commas between columns, and never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

AMBIGUOUS: Final = "a decimal comma or a comma between two columns"
"""What is said about a file in which every line is one pair of digits around a comma."""

_PAIR: Final = re.compile(r"[-+]?\d+,\d+")
_CELL: Final = re.compile(r"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?")
_LOOSE: Final = re.compile(r"(?<!\d),|,(?!\d)|\.")


def is_ambiguous(lines: Iterable[str]) -> bool:
    """Whether every line but empty ones is digits, one comma, digits.

    A first line without digits or comma is a title or one name, and decides nothing.

    >>> is_ambiguous(["100,126", "101,5"]), is_ambiguous(["1,-4", "2,5"])
    (True, False)
    """
    pairs = 0
    for place, line in enumerate(line.strip() for line in lines if line.strip()):
        if _PAIR.fullmatch(line):
            pairs += 1
        elif place or "," in line or _CELL.fullmatch(line):
            return False
    return pairs > 0


def is_spaced(line: str, *, named: bool = False) -> bool:
    """Whether the commas of a line are inside numbers that white space separates.

    Args:
        line: The line.
        named: Whether its first cell is a name.

    >>> is_spaced("1 100,5"), is_spaced("1, 100"), is_spaced("100,5")
    (True, False, False)
    """
    cells = line.split()[named:]
    return len(cells) > 1 and all(_CELL.fullmatch(cell) for cell in cells)


def has_decimal_commas(text: str) -> bool:
    """Whether there are commas, all of them between digits, and no decimal point.

    >>> has_decimal_commas("1;100,5"), has_decimal_commas("1.5;100,5"), has_decimal_commas("1;2,")
    (True, False, False)
    """
    return "," in text and _LOOSE.search(text) is None
