"""What an encoder of images expects: the stored size, the size that it sees, the grey scale."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medssl.contracts.base import Contract, owner
from medssl.types import Kind


class ImageContract(Contract):
    """Grey images as displayed: 0 is black, 1 is white, whatever the file's photometric meaning.

    An image is brought to `edge` pixels along its longer side at ingest. The encoder sees it
    centred in a square of zeros, brought to `size` pixels, with `mean` subtracted and divided by
    `deviation`.
    """

    kind: ClassVar[Kind] = Kind.IMAGE
    fixed_by_store: ClassVar[tuple[str, ...]] = ("edge", "bits")

    edge: PositiveInt = Field(description="pixels along the longer side of a stored image")
    bits: Literal[8, 16] = Field(8, description="of a stored pixel")
    size: PositiveInt = Field(description="pixels along each side of what the encoder sees")
    mean: float = Field(0.5, description="subtracted from pixels in [0, 1]")
    deviation: PositiveFloat = Field(0.25, description="divides them thereafter")
    display: str = Field(
        "modality LUT or rescale, VOI LUT or window, inversion of MONOCHROME1, in that order "
        "(DICOM PS3.4 N.2); other files as their pixels are",
        description="how ingest turned stored values into grey ones",
    )
    resampling: str = Field(
        "antialiased bilinear (PIL.Image.resize at ingest, torch interpolate in the encoder)"
    )

    @property
    def noun(self) -> str:
        """What one input is."""
        return f"images of {self.size} x {self.size} pixels"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """All that it says, as names and values for people."""
        return (
            ("modality", self.modality.value),
            ("grey values", self.display),
            ("stored", f"longer side {self.edge} pixels, {self.bits} bits"),
            ("seen by the encoder", f"{self.size} x {self.size}, centred in a square of black"),
            ("resampling", self.resampling),
            ("normalisation", f"pixels in [0, 1], minus {self.mean:g}, over {self.deviation:g}"),
        )

    def usage(self, call: str = "embeddings = encoder.embed") -> str:
        """Lines of Python that give one raw input to a model."""
        return f'image = {owner(call)}.prepare("image.dcm")\n{call}([image])'

    @property
    def preparation(self) -> str:
        """What `encoder.prepare` does to a raw input, in a sentence."""
        return (
            "`prepare` reads a DICOM, PNG, JPEG or TIFF file as ingest does; padding, size and "
            "normalisation are the model's own."
        )
