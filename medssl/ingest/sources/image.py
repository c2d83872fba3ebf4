"""Image files and DICOM objects as sources."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator

from medssl.ingest.radiographs.settings import DisplaySettings
from medssl.ingest.radiographs.views import require_view
from medssl.ingest.rules import ViewRule
from medssl.ingest.sources.base import Source
from medssl.types import Kind, Modality


class PixelSource(Source):
    """What every source of images needs."""

    kind: ClassVar[Kind] = Kind.IMAGE

    modality: Modality = Modality.RADIOGRAPH
    edge: PositiveInt = Field(description="longer side in the store (pixels); smaller ones grow")
    bits: Literal[8, 16] = Field(default=8, description="of each pixel in the store")
    display: DisplaySettings = DisplaySettings()
    view: str | ViewRule | None = Field(
        default=None, description="the view of all images, such as PA, or how it is told"
    )

    @field_validator("view")
    @classmethod
    def _check_view(cls, view: str | ViewRule | None) -> str | ViewRule | None:
        if isinstance(view, str):
            require_view(view)
        return view


class ImageSource(PixelSource):
    """PNG, JPEG and TIFF files with 8 or 16 bits a pixel: one image each."""

    default_include: ClassVar[tuple[str, ...]] = (
        "**/*.png", "**/*.jpg", "**/*.jpeg", "**/*.tif", "**/*.tiff",
    )  # fmt: skip

    format: Literal["image"]


class DicomSource(PixelSource):
    """DICOM objects: one image each.

    Rules with `header: true` take participant, study, view, time, site and device from the header.
    Header comments that `labels` and `session` may name: `Sex`, `Age` (years), `Modality`,
    `Body part` and `Laterality`. Names, birth dates and descriptions are never offered.
    """

    default_include: ClassVar[tuple[str, ...]] = ("**/*.dcm",)
    headers: ClassVar[bool] = True

    format: Literal["dicom"]
