"""Stored values of a DICOM image: native, run-length, deflated, JPEG in all its kinds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.apart import decode_apart
from medssl.ingest.radiographs.codestream import FrameSize, frame_size
from medssl.ingest.radiographs.dicom_file import holds_pixels, read_dataset
from medssl.ingest.radiographs.dicom_header import PIXEL_TAGS, PixelHeader
from medssl.ingest.radiographs.gdcm_frames import LOSSLESS, TWELVE_BITS
from medssl.ingest.radiographs.quiet import without_stderr

if TYPE_CHECKING:
    from pydicom import Dataset

_PART: Final = "1.2.840.10008.1.2.4."
"""What the transfer syntaxes of JPEG, JPEG-LS, JPEG 2000 and of video begin with."""

_DECODERS: Final = {
    f"{_PART}50": ("pillow",),
    f"{_PART}51": ("pillow",),
    f"{_PART}90": ("pylibjpeg", "pillow"),
    f"{_PART}91": ("pylibjpeg", "pillow"),
    f"{_PART}201": ("pylibjpeg",),
    f"{_PART}202": ("pylibjpeg",),
    f"{_PART}203": ("pylibjpeg",),
    "1.2.840.10008.1.2.5": ("pydicom",),
}
"""What decodes a syntax in this process, the best first; gdcm, which pydicom would ask first, ends
the process on some damaged frames."""

_PACKAGES: Final = {"pillow": "pillow", "pylibjpeg": "pylibjpeg-openjpeg"}


def decode(path: Path, header: PixelHeader) -> np.ndarray[Any, np.dtype[Any]]:
    """Stored values, shape (rows, columns), or (rows, columns, 3) of colours as RGB.

    Bits above BitsStored, where old files keep overlays, are cleared.

    Args:
        path: The file.
        header: Its header, which has passed the checks.

    Raises:
        Unreadable: NO_PIXELS, UNREADABLE_PIXELS, UNSUPPORTED_COMPRESSION or SEVERAL_IMAGES.
    """
    dataset = read_dataset(
        path, (*PIXEL_TAGS, "PixelData", "FloatPixelData", "DoubleFloatPixelData"), pixels=True
    )
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, "floating-point pixels")
    try:
        found = dataset.get("PixelData")
    except Exception as error:
        raise Unreadable(Reason.UNREADABLE_PIXELS, type(error).__name__) from error
    if not found:
        if found is None and holds_pixels(path):
            raise Unreadable(Reason.UNREADABLE_PIXELS, "the pixel data are cut off")
        raise Unreadable(Reason.NO_PIXELS, "no pixel data")
    if not header.syntax.is_encapsulated:
        if dataset["PixelData"].is_undefined_length:
            said = "compressed, in a way that no transfer syntax tells: convert the file"
            raise Unreadable(Reason.UNSUPPORTED_COMPRESSION, said)
        _require_all(len(found), header)
    size = _claimed(dataset, header)
    wide = size is not None and size.bits > 8
    if header.syntax in LOSSLESS or (header.syntax in TWELVE_BITS and wide):
        stored = _by_gdcm(path, header)
    else:
        stored = _by_pydicom(dataset, header)
    return _checked(stored, header)


def _require_all(held: int, header: PixelHeader) -> None:
    """Refuse pixels that were cut off.

    Raises:
        Unreadable: UNREADABLE_PIXELS.
    """
    needed = (header.rows * header.columns * header.samples * header.allocated + 7) // 8
    if header.photometric == "YBR_FULL_422":
        needed = needed * 2 // 3
    if held < needed:
        raise Unreadable(Reason.UNREADABLE_PIXELS, f"{held} of {needed} bytes")


def _claimed(dataset: Dataset, header: PixelHeader) -> FrameSize | None:
    """What a compressed frame claims, which must be what the header claims.

    Decoders make room for what the frame says, so a damaged one could ask for any amount.

    Raises:
        Unreadable: UNREADABLE_PIXELS.
    """
    from pydicom.encaps import get_frame

    if not header.syntax.startswith(_PART):
        return None
    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    except Exception as error:
        raise Unreadable(Reason.UNREADABLE_PIXELS, type(error).__name__) from error
    size = frame_size(frame)
    if size is None:
        raise Unreadable(Reason.UNREADABLE_PIXELS, "a compressed frame without its size")
    claimed = (size.rows, size.columns, size.samples)
    if claimed != (header.rows, header.columns, header.samples):
        said = f"a compressed frame of {size.rows} x {size.columns} x {size.samples}"
        told = f"{header.rows} x {header.columns} x {header.samples}"
        raise Unreadable(Reason.UNREADABLE_PIXELS, f"{said} under a header of {told}")
    return size


def _by_gdcm(path: Path, header: PixelHeader) -> np.ndarray[Any, np.dtype[Any]]:
    if find_spec("gdcm") is None:
        raise _unsupported(header, "python-gdcm")
    return decode_apart(path)


def _by_pydicom(dataset: Dataset, header: PixelHeader) -> np.ndarray[Any, np.dtype[Any]]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    plugins: tuple[str, ...] = ("",)
    if header.syntax.is_encapsulated:
        wanted = _DECODERS.get(header.syntax, ())
        available = get_decoder(header.syntax).available_plugins if wanted else ()
        plugins = tuple(name for name in wanted if name in available)
        if not plugins:
            raise _unsupported(header, *(_PACKAGES[name] for name in wanted[:1]))
    failed: Exception = NotImplementedError()
    for plugin in plugins:
        try:
            with without_stderr():
                return pixel_array(dataset, decoding_plugin=plugin)
        except Exception as error:
            # Decoders raise many kinds of exception on damaged frames; another may cope.
            failed = error
    raise Unreadable(Reason.UNREADABLE_PIXELS, type(failed).__name__) from failed


def _unsupported(header: PixelHeader, *packages: str) -> Unreadable:
    """The verdict on a transfer syntax that nothing installed decodes, with what would."""
    remedy = f"pip install {packages[0]}" if packages else "nothing decodes it: convert the file"
    return Unreadable(Reason.UNSUPPORTED_COMPRESSION, f"{header.syntax.name}: {remedy}")


def _checked(
    stored: np.ndarray[Any, np.dtype[Any]], header: PixelHeader
) -> np.ndarray[Any, np.dtype[Any]]:
    """One frame of the claimed size and range.

    Raises:
        Unreadable: It is not.
    """
    shape = (header.rows, header.columns) + ((3,) if header.samples == 3 else ())
    if stored.ndim == len(shape) + 1:
        raise Unreadable(Reason.SEVERAL_IMAGES, f"{len(stored)} frames, one claimed")
    if stored.shape != shape:
        raise Unreadable(Reason.UNREADABLE_PIXELS, "the decoded pixels have another size")
    low = -(2 ** (header.bits - 1)) if header.signed else 0
    if stored.min() < low or stored.max() >= low + 2**header.bits:
        said = f"decoded values beyond the {header.bits} bits that the header claims"
        raise Unreadable(Reason.UNREADABLE_PIXELS, said)
    return stored
