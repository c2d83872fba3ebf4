"""Look at the headers of image files: sizes, modes, damage; no pixel is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.claims import require_plausible
from medssl.ingest.radiographs.quiet import quiet
from medssl.ingest.radiographs.settings import DisplaySettings
from medssl.initialise.listing import spread

MAX_HEADERS: Final = 200
_DEEP: Final = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_COLOURS: Final = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr", "LAB",
                             "HSV"})  # fmt: skip
_CLEAR: Final = frozenset({"LA", "La", "RGBA", "RGBa", "PA"})


@dataclass(slots=True)
class ImageLook:
    """What headers of images tell.

    Args:
        paths: All images.
        opened: Those whose headers were looked at.
        sizes: Rows and columns of the readable ones, by path.
        formats: How often which file format.
        deep: Those with more than 8 bits a pixel.
        coloured: Those that may hold colours; equal channels count as grey, and only pixels tell.
        transparent: Those with a channel for transparency.
        unreadable: Those looked at that cannot be read, by reason.
    """

    paths: tuple[str, ...]
    opened: tuple[str, ...] = ()
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    formats: Counter[str] = field(default_factory=Counter)
    deep: int = 0
    coloured: set[str] = field(default_factory=set)
    transparent: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)

    @property
    def usable(self) -> float:
        """Share of those looked at whose header can be read."""
        return len(self.sizes) / max(len(self.opened), 1)


def look_at_images(folder: Path, paths: Sequence[str]) -> ImageLook:
    """Read the headers of an evenly spaced sample.

    Args:
        folder: The folder.
        paths: All its images.
    """
    found = ImageLook(tuple(paths), tuple(spread(paths, MAX_HEADERS)))
    for path in found.opened:
        try:
            _add(found, folder, path)
        except Unreadable as verdict:
            found.unreadable[verdict.reason.value] += 1
        except OSError as error:
            found.unreadable[error.strerror or type(error).__name__] += 1
    return found


def _add(found: ImageLook, folder: Path, path: str) -> None:
    """Read one header.

    Raises:
        OSError: The file cannot be read.
        Unreadable: Its header is damaged, or claims a size that ingest refuses.
    """
    from PIL import Image

    from medssl.ingest.radiographs.image_reader import FORMATS

    file = folder / path
    if not file.resolve().is_relative_to(folder):
        raise Unreadable(Reason.PATH_OUTSIDE_FOLDER)
    size = file.stat().st_size
    if not size:
        raise Unreadable(Reason.EMPTY_FILE)
    try:
        with quiet(), Image.open(file, formats=FORMATS) as image:
            rows, columns, mode = image.height, image.width, image.mode
            name = str(image.format)
            clear = mode in _CLEAR or "transparency" in image.info
    except Image.DecompressionBombError as error:
        raise Unreadable(Reason.CLAIMS_TOO_LARGE) from error
    except Exception as error:
        # Pillow raises many kinds of exception on damaged headers.
        raise Unreadable(Reason.UNREADABLE_HEADER) from error
    require_plausible(rows=rows, columns=columns, stored_bytes=size, settings=DisplaySettings())
    found.sizes[path] = (rows, columns)
    found.formats[name] += 1
    found.deep += mode in _DEEP
    found.transparent += clear
    if mode in _COLOURS:
        found.coloured.add(path)
