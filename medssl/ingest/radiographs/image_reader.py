"""PNG, JPEG and TIFF radiographs: pixels as displayed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.claims import require_plausible
from medssl.ingest.radiographs.image_modes import Plane, plane_of
from medssl.ingest.radiographs.image_values import shown, shown_without_range
from medssl.ingest.radiographs.picture import Picture
from medssl.ingest.radiographs.quiet import quiet, without_stderr
from medssl.ingest.radiographs.settings import DisplaySettings

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: Final = ("PNG", "JPEG", "TIFF")
_ORIENTATION: Final = 0x0112
"""EXIF and TIFF tag of how the image is turned; 1 is upright."""


def read_image(path: Path, settings: DisplaySettings, *, folder: Path) -> Picture:
    """Read one radiograph as its pixels are: 0 is black, the largest value white.

    1 to 16 bits a pixel, 32-bit integers and floats (whose range nobody tells: percentiles);
    palettes and colours whose channels are equal count as grey; turned as EXIF says. Colours that
    differ and transparency follow `settings.colour`.

    Args:
        path: The file.
        settings: Of the source.
        folder: Folder of the source (unused: an image file names no other file).

    Raises:
        Unreadable: With the reason and evidence.
    """
    if path.stat().st_size == 0:
        raise Unreadable(Reason.EMPTY_FILE)
    with quiet(), _limit(settings), path.open("rb") as file:
        steps: list[str] = []
        image = _opened(file)
        rows, columns = image.height, image.width
        size = path.stat().st_size
        require_plausible(rows=rows, columns=columns, stored_bytes=size, settings=settings)
        if getattr(image, "is_animated", False):
            raise Unreadable(Reason.SEVERAL_IMAGES, "several pages or frames")
        plane = _decoded(image, settings, steps)
    if plane.white is None:
        return shown_without_range(plane, settings, steps)
    return shown(plane, settings, steps)


@contextmanager
def _limit(settings: DisplaySettings) -> Iterator[None]:
    """Pillow's own limit for the time of the block: tiles count too, and it errs at the double."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = int(settings.largest_megapixels * 1e6)
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _opened(file: Any) -> Image:
    """An image whose header is read, and nothing else.

    Raises:
        Unreadable: CLAIMS_TOO_LARGE or UNREADABLE_HEADER.
    """
    from PIL import Image

    try:
        return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        said = "far more pixels than largest_megapixels"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, said) from error
    except Exception as error:
        # Pillow raises many kinds of exception on damaged headers.
        said = f"no PNG, JPEG or TIFF of a known kind: {type(error).__name__}"
        raise Unreadable(Reason.UNREADABLE_HEADER, said) from error


def _decoded(image: Image, settings: DisplaySettings, steps: list[str]) -> Plane:
    """One plane of grey values, upright.

    Raises:
        Unreadable: With the reason and evidence.
    """
    from PIL import Image, ImageOps

    try:
        turned = image.getexif().get(_ORIENTATION, 1)
        with without_stderr():
            image.load()
            if turned in range(2, 9):
                ImageOps.exif_transpose(image, in_place=True)
                steps.append(f"turned EXIF {turned}")
        plane = plane_of(image, settings, steps)
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        said = "a tile of far more pixels than largest_megapixels"
        raise Unreadable(Reason.CLAIMS_TOO_LARGE, said) from error
    except Exception as error:
        # Decoders raise many kinds of exception on damaged pixels.
        raise Unreadable(Reason.UNREADABLE_PIXELS, type(error).__name__) from error
    if not np.size(plane.values):
        raise Unreadable(Reason.UNREADABLE_PIXELS, "no pixels")
    return plane
