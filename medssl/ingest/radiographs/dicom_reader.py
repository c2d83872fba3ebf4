"""DICOM radiographs: pixels as displayed, and the facts of a header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.colours import is_grey, luma
from medssl.ingest.radiographs.dicom_display import displayed
from medssl.ingest.radiographs.dicom_facts import DicomFacts, read_facts
from medssl.ingest.radiographs.dicom_header import GREY, PixelHeader, read_pixel_header
from medssl.ingest.radiographs.dicom_pixels import decode
from medssl.ingest.radiographs.dicom_start import is_dicom
from medssl.ingest.radiographs.picture import Picture
from medssl.ingest.radiographs.quiet import quiet
from medssl.ingest.radiographs.settings import DisplaySettings

__all__ = ["DicomFacts", "is_dicom", "read_dicom", "read_header"]


def read_dicom(path: Path, settings: DisplaySettings, *, folder: Path) -> Picture:
    """Read one radiograph as it would be displayed (PS3.4 N.2).

    In this order: stored values without the bits above them; modality LUT, or rescale slope and
    intercept; VOI LUT, or window, or percentiles; inversion of MONOCHROME1. Padding is left out of
    percentiles and shown black.

    Args:
        path: The file.
        settings: Of the source.
        folder: Folder of the source (unused: a DICOM image names no other file).

    Raises:
        Unreadable: With the reason and evidence.
    """
    with quiet():
        header = read_pixel_header(path, settings)
        stored = decode(path, header)
        if header.photometric in GREY:
            return displayed(stored, header, settings)
        return _converted(stored, header)


def read_header(path: Path) -> DicomFacts:
    """Who, when, where and which view, without reading any pixel.

    Args:
        path: The file.

    Raises:
        Unreadable: EMPTY_FILE, UNREADABLE_HEADER or CLAIMS_TOO_LARGE.
    """
    with quiet():
        return read_facts(path)


def _converted(stored: np.ndarray[Any, np.dtype[Any]], header: PixelHeader) -> Picture:
    """A colour capture as grey; only called where the settings allow it.

    Raises:
        Unreadable: UNREADABLE_HEADER: the palette is damaged.
    """
    steps = [f"colours {header.photometric}"]
    bits = header.bits
    if header.photometric == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        try:
            stored = apply_color_lut(stored, header.dataset)[..., :3]
        except Exception as error:
            # pydicom raises many kinds of exception on damaged palettes.
            said = f"palette: {type(error).__name__}"
            raise Unreadable(Reason.UNREADABLE_HEADER, said) from error
        bits = 8 * stored.dtype.itemsize
    if stored.dtype.kind != "u":
        raise Unreadable(Reason.WRONG_PHOTOMETRIC, "signed colours")
    steps.append("equal channels" if is_grey(stored) else "luma")
    return Picture(luma(stored, white=2**bits - 1), tuple(steps), bits)
