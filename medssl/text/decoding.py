"""Bytes to text: UTF-8, else UTF-16 by its mark, else Windows-1252 or Latin-1."""

from __future__ import annotations

import codecs
from typing import Final

from medssl.text.errors import EMPTY_FILE, UNREADABLE_DATA, TextError

_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WHITE = frozenset("\t\n\v\f\r\x1a\x1b")  # end-of-file and escape marks stand in old exports


def decode_text(data: bytes) -> tuple[str, str]:
    r"""Decode a text file, and say how.

    Every byte string is some Latin-1 text, so binary data is told by the control characters that
    texts do not have. Marks at the start (BOM) are taken off.

    Returns:
        The text, and the encoding: `"utf-8"`, `"utf-16"`, `"cp1252"` or `"latin-1"`.

    Raises:
        TextError: No bytes (`EMPTY_FILE`), or no text (`UNREADABLE_DATA`).

    >>> decode_text("Röntgen".encode("latin-1"))
    ('Röntgen', 'cp1252')
    >>> decode_text(b"\xef\xbb\xbfNo effusion.")
    ('No effusion.', 'utf-8')
    """
    if not data:
        raise TextError(EMPTY_FILE)
    text, encoding = _decoded(data)
    strange = sum(char < " " and char not in _WHITE for char in text)
    if strange:
        detail = f"{strange} control characters in {len(text)}, read as {encoding}: no text"
        raise TextError(UNREADABLE_DATA, detail)
    return text, encoding


def _decoded(data: bytes) -> tuple[str, str]:
    if data.startswith(_UTF_16_MARKS):
        try:
            return data.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as error:
            detail = f"begins as UTF-16 and breaks at byte {error.start} of {len(data)}"
            raise TextError(UNREADABLE_DATA, detail) from None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"
