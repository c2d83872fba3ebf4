"""What a DICOM header says about its pixels, checked before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from medssl.ingest.ledger import Reason, Unreadable
from medssl.ingest.radiographs.claims import require_plausible
from medssl.ingest.radiographs.dicom_file import integer_of, read_dataset, text_of
from medssl.ingest.radiographs.settings import DisplaySettings

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

PIXEL_TAGS: Final = (
    "SOPClassUID", "Modality", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
"""What decoding the pixels takes."""

DISPLAY_TAGS: Final = (
    "BurnedInAnnotation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope",
    "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PresentationLUTShape",
)  # fmt: skip
"""What showing them takes."""

GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
PROJECTIONS: Final = frozenset({"CR", "DX", "DR", "RG", "MG", "PX", "IO", "XA", "RF", "OT", "SC"})
"""Modalities of what may be a projection of X-rays, with those that older devices write."""
OTHERS: Final = frozenset(
    {"CT", "MR", "PT", "NM", "US", "IVUS", "OCT", "OP", "ES", "GM", "SM", "XC", "BI", "SEG"}
)
"""Those that a ledger may name; a header may hold anything, names too (PS3.3 C.7.3.1.1.1)."""
_COLOURS: Final = frozenset(
    {"RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
)


@dataclass(frozen=True, eq=False)
class PixelHeader:
    """A header that passed its checks.

    Args:
        dataset: Elements of `PIXEL_TAGS` and `DISPLAY_TAGS`, without the pixels.
        syntax: Transfer syntax.
        rows: Of the image.
        columns: Of the image.
        samples: Of a pixel: 1 or 3.
        bits: Stored for each sample.
        allocated: Bits of its container.
        signed: Whether stored values are in two's complement.
        photometric: Photometric interpretation.
    """

    dataset: Dataset
    syntax: UID
    rows: int
    columns: int
    samples: int
    bits: int
    allocated: int
    signed: bool
    photometric: str


def read_pixel_header(path: Path, settings: DisplaySettings) -> PixelHeader:
    """Read and check a header; nothing is allocated in proportion to what it claims.

    Raises:
        Unreadable: With the reason and evidence.
    """
    dataset = read_dataset(path, (*PIXEL_TAGS, *DISPLAY_TAGS))
    rows, columns = integer_of(dataset, "Rows"), integer_of(dataset, "Columns")
    if not rows or not columns:
        raise Unreadable(Reason.NO_PIXELS, "no rows or no columns")
    modality = modality_of(dataset)
    if modality not in PROJECTIONS and settings.other_modalities == "refuse":
        said = modality if modality in OTHERS else "no projection"
        raise Unreadable(Reason.OTHER_MODALITY, said)
    frames = integer_of(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise Unreadable(Reason.SEVERAL_IMAGES, f"{frames} frames")
    size = path.stat().st_size
    require_plausible(rows=rows, columns=columns, stored_bytes=size, settings=settings)
    photometric, samples = _photometric(dataset, settings)
    burned_in = text_of(dataset, "BurnedInAnnotation") or ""
    if burned_in.upper() == "YES" and settings.burned_in == "refuse":
        raise Unreadable(Reason.BURNED_IN_ANNOTATION)
    allocated, bits, signed = _bits(dataset)
    return PixelHeader(
        dataset=dataset,
        syntax=_syntax(dataset),
        rows=rows,
        columns=columns,
        samples=samples,
        bits=bits,
        allocated=allocated,
        signed=signed,
        photometric=photometric,
    )


def modality_of(dataset: Dataset) -> str:
    """DICOM's code of the modality; OT (other) where the header does not tell it."""
    return (text_of(dataset, "Modality") or "OT").upper()


def _photometric(dataset: Dataset, settings: DisplaySettings) -> tuple[str, int]:
    """Photometric interpretation and samples of a pixel, which must fit each other."""
    name = (text_of(dataset, "PhotometricInterpretation") or "").upper()
    samples = integer_of(dataset, "SamplesPerPixel") or 1
    if name not in GREY | _COLOURS:
        said = "of no known name" if name else "not told"
        raise Unreadable(Reason.WRONG_PHOTOMETRIC, f"photometric interpretation {said}")
    expected = 1 if name in GREY | {"PALETTE COLOR"} else 3
    if samples != expected:
        said = f"{name} with {samples} samples a pixel"
        raise Unreadable(Reason.WRONG_PHOTOMETRIC, said)
    if name in _COLOURS and settings.colour == "refuse":
        raise Unreadable(Reason.WRONG_PHOTOMETRIC, f"{name}, not grey")
    return name, samples


def _bits(dataset: Dataset) -> tuple[int, int, bool]:
    """Bits allocated and stored, and whether values are signed."""
    allocated = integer_of(dataset, "BitsAllocated")
    if allocated is None:
        raise Unreadable(Reason.UNREADABLE_HEADER, "BitsAllocated is not told")
    bits = integer_of(dataset, "BitsStored") or allocated
    high = integer_of(dataset, "HighBit")
    if allocated not in {1, 8, 16, 32, 64} or not 1 <= bits <= allocated:
        raise Unreadable(Reason.UNREADABLE_HEADER, f"{bits} bits stored in {allocated}")
    if bits > 16 or (high is not None and high != bits - 1):
        said = f"{bits} bits in {allocated}, the highest {high}; read: at most 16, in the low bits"
        raise Unreadable(Reason.UNSUPPORTED_FORMAT, said)
    representation = integer_of(dataset, "PixelRepresentation") or 0
    if representation not in {0, 1}:
        raise Unreadable(Reason.UNREADABLE_HEADER, "PixelRepresentation is neither 0 nor 1")
    return allocated, bits, representation == 1


def _syntax(dataset: Dataset) -> UID:
    """How the file is encoded, by a name that pydicom knows."""
    from pydicom.uid import UID

    found = text_of(dataset.file_meta, "TransferSyntaxUID")
    if found is None:
        raise Unreadable(Reason.UNREADABLE_HEADER, "the transfer syntax is not told")
    syntax = UID(found)
    if syntax.is_private or syntax.type != "Transfer Syntax":
        raise Unreadable(Reason.UNSUPPORTED_COMPRESSION, "no transfer syntax of the standard")
    return syntax
