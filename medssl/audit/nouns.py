"""What the findings call the records that they speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from medssl.store.schema import MODALITY
from medssl.types import Kind, Modality

if TYPE_CHECKING:
    from medssl.store import Store
    from medssl.types import Rows

NOUNS: Final = {
    Kind.WAVEFORM: "signal",
    Kind.IMAGE: "image",
    Kind.VOLUME: "volume",
    Kind.TEXT: "report",
    Kind.TABLE: "row",
}


def noun_of(store: Store, rows: Rows) -> str:
    """What these records are; `"record"` where they are of several kinds."""
    found = {NOUNS[Modality(name).kind] for name in set(store.column(MODALITY, rows).tolist())}
    return found.pop() if len(found) == 1 else "record"


def article(noun: str) -> str:
    """A noun with its article.

    >>> article("image"), article("signal")
    ('an image', 'a signal')
    """
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
