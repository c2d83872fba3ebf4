"""JPEG lossless, JPEG-LS and JPEG with 12 bits a sample, decoded by gdcm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.dicom_file import read_dataset
from medssl.ingest.radiographs.dicom_header import PIXEL_TAGS

if TYPE_CHECKING:
    from pydicom import Dataset

_PART: Final = "1.2.840.10008.1.2.4."
TWELVE_BITS: Final = frozenset({f"{_PART}51", f"{_PART}53", f"{_PART}55"})
"""JPEG Extended, and the retired spectral selection and full progression, which pydicom does not
give to gdcm."""
LOSSLESS: Final = frozenset({f"{_PART}57", f"{_PART}70", f"{_PART}80", f"{_PART}81"})
"""JPEG lossless and JPEG-LS."""


def stored_by_gdcm(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    """Stored values of a file whose header has passed the checks.

    gdcm ends the process on some damaged frames, and writes to standard error: call it in a
    process apart (`apart.decode_apart`).

    Raises:
        Unreadable: UNSUPPORTED_COMPRESSION.
        Exception: Of whatever kind, on damaged frames.
    """
    dataset = read_dataset(path, (*PIXEL_TAGS, "PixelData"), pixels=True)
    if dataset.file_meta.TransferSyntaxUID in TWELVE_BITS:
        return _twelve_bits(dataset)
    from pydicom.pixels.utils import pixel_array

    return pixel_array(dataset, decoding_plugin="gdcm")


def _twelve_bits(dataset: Dataset) -> np.ndarray[Any, np.dtype[Any]]:
    import gdcm  # type: ignore[import-untyped]
    from pydicom.encaps import get_frame

    allocated, bits, signed = dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation
    if dataset.SamplesPerPixel != 1 or allocated != 16:
        said = "JPEG of 12 bits in colour, or in other than 16 bits: convert the file"
        raise Unreadable(Reason.UNSUPPORTED_COMPRESSION, said)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(get_frame(dataset.PixelData, 0, number_of_frames=1))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.GetTSType(str.__str__(dataset.file_meta.TransferSyntaxUID))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, bits, bits - 1, signed))
    # gdcm gives bytes as text with surrogates.
    content = image.GetBuffer().encode("utf-8", "surrogateescape")
    stored = np.frombuffer(content, dtype="<i2" if signed else "<u2")
    return stored.reshape(dataset.Rows, dataset.Columns)
