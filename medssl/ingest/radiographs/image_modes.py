"""What the modes of Pillow hold: planes of grey values, and which colours count as grey."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.colours import is_grey, luma
from medssl.ingest.radiographs.settings import DisplaySettings

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_SAMPLE_FORMAT: Final = 339
"""Tags of TIFF."""

_GREY: Final = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB", "RGBX": "RGB"}
_SIXTEEN: Final = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


@dataclass(frozen=True, eq=False)
class Plane:
    """Grey values as a file holds them.

    Args:
        values: Unsigned integers, signed ones or floats, shape (rows, columns).
        white: The largest value that there can be; None where nobody tells.
        bits: Of a pixel in the file.
        inverted: Whether white stands for small values.
    """

    values: np.ndarray[Any, np.dtype[Any]]
    white: int | None
    bits: int
    inverted: bool = False


def plane_of(image: Image, settings: DisplaySettings, steps: list[str]) -> Plane:
    """The grey values of a decoded image.

    Args:
        image: Decoded.
        settings: What becomes of colours and transparency.
        steps: What is done is added to it.

    Raises:
        Unreadable: WRONG_PHOTOMETRIC or UNSUPPORTED_FORMAT.
    """
    if image.mode == "1":
        return Plane(np.asarray(image).astype(np.uint8), white=1, bits=1)
    if image.mode in _SIXTEEN or image.mode in {"I", "F"}:
        plane = _wide(image)
        if "transparency" in image.info and (plane.values == image.info["transparency"]).any():
            _require_conversion(settings, "pixels that are not opaque")
            plane = replace(plane, values=np.where(
                plane.values == image.info["transparency"], 0, plane.values
            ).astype(plane.values.dtype))  # fmt: skip
            steps.append("transparent pixels black")
        return plane
    if _tag(image, _SAMPLE_FORMAT) == 2:
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "signed pixels of 8 bits")
    if any("16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        steps.append("16 bits a channel read as 8")
    image = _without_palette(image, steps)
    alpha = _alpha(image)
    if alpha is not None:
        image = image.convert(_GREY[image.mode])
    values = np.asarray(image)
    if values.ndim == 3:
        values = _grey(values, settings, steps)
    if alpha is not None and (alpha < 255).any():
        _require_conversion(settings, "pixels that are not opaque")
        values = (values * (alpha.astype(np.float32) / 255) + 0.5).astype(np.uint8)
        steps.append("on black")
    elif alpha is not None:
        steps.append("opaque alpha dropped")
    return Plane(values, white=255, bits=8)


def _wide(image: Image) -> Plane:
    """Pixels of more than 8 bits, whose meaning Pillow leaves to its caller."""
    values = np.asarray(image)
    inverted = _tag(image, _PHOTOMETRIC) == 0
    if image.mode in _SIXTEEN or image.format == "PNG":
        bits = _tag(image, _BITS) or 16
        white = 2**bits - 1
        return Plane(values.astype(np.uint16), white=white, bits=bits, inverted=inverted)
    return Plane(values, white=None, bits=_tag(image, _BITS) or 32, inverted=inverted)


def _without_palette(image: Image, steps: list[str]) -> Image:
    """Colours, with their transparency, for entries of a palette; the same for key colours."""
    transparent = "transparency" in image.info
    if image.mode in {"P", "PA"}:
        steps.append("palette")
        return image.convert("RGBA" if transparent or image.mode == "PA" else "RGB")
    if transparent and image.mode in {"L", "RGB"}:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode in {"La", "RGBa"}:
        return image.convert(image.mode.upper())
    if image.mode in {"CMYK", "YCbCr", "LAB", "HSV"}:
        steps.append(f"colours {image.mode}")
        return image.convert("RGB")
    if image.mode not in {"L", "LA", "RGB", "RGBA", "RGBX"}:
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "an unknown kind of pixels")
    return image


def _alpha(image: Image) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    return np.asarray(image.getchannel("A")) if "A" in image.getbands() else None


def _grey(
    colours: np.ndarray[Any, np.dtype[np.uint8]], settings: DisplaySettings, steps: list[str]
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One channel where all are equal, else luma where that is allowed."""
    if is_grey(colours):
        steps.append("equal channels")
        return np.ascontiguousarray(colours[..., 0])
    _require_conversion(settings, "colours whose channels differ")
    steps.append("luma")
    return (luma(colours, white=255) * 255 + 0.5).astype(np.uint8)


def _require_conversion(settings: DisplaySettings, what: str) -> None:
    """Refuse what only a conversion makes grey, unless it is asked for.

    Raises:
        Unreadable: WRONG_PHOTOMETRIC.
    """
    if settings.colour == "refuse":
        raise Unreadable(Reason.WRONG_PHOTOMETRIC, what)


def _tag(image: Image, tag: int) -> int | None:
    """A TIFF tag's first value; None in other files."""
    value = getattr(image, "tag_v2", {}).get(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None
