"""Sizes that a header claims, checked before anything is decoded or allocated."""

from __future__ import annotations

from typing import Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.settings import DisplaySettings

PIXELS_PER_BYTE: Final = 1100
"""Deflate, the densest of the usual codes, gives at most 1032 bytes for one."""

_HARMLESS: Final = 4_000_000
"""Pixels of an image that may be all one grey, and so take hardly a byte."""


def require_plausible(
    *, rows: int, columns: int, stored_bytes: int, settings: DisplaySettings
) -> None:
    """Refuse sizes that are too small to use, too large to hold, or larger than the file can tell.

    Args:
        rows: Claimed.
        columns: Claimed.
        stored_bytes: Bytes of the file.
        settings: With the limits.

    Raises:
        Unreadable: TOO_SMALL or CLAIMS_TOO_LARGE.
    """
    if min(rows, columns) < settings.smallest:
        raise Unreadable(
            Reason.TOO_SMALL, f"{rows} x {columns} pixels; smallest: {settings.smallest}"
        )
    pixels = rows * columns
    if pixels > settings.largest_megapixels * 1e6:
        said = f"{rows} x {columns} pixels; largest_megapixels: {settings.largest_megapixels:g}"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, said)
    if pixels > _HARMLESS and pixels > PIXELS_PER_BYTE * stored_bytes:
        said = f"{rows} x {columns} pixels claimed by {stored_bytes} bytes"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, said)
