"""What an encoder of images expects: the stored size, the size that it sees, the grey scale."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medssl.contracts.base import Contract, owner
from medssl.contracts.grey_scale import GreyScale
from medssl.types import Kind


class ImageContract(Contract):
    """Grey images as displayed: 0 is black, 1 is white, whatever the file's photometric meaning.

    An image is brought to `edge` pixels along its longer side at ingest. The encoder sees it
    centred in a square of zeros, brought to `size` pixels, with `mean` subtracted and divided by
    `deviation`.
    """

    kind: ClassVar[Kind] = Kind.IMAGE
    fixed_by_store: ClassVar[tuple[str, ...]] = ("edge", "bits", "grey_scale")

    edge: PositiveInt = Field(description="pixels along the longer side of a stored image")
    bits: Literal[8, 16] = Field(8, description="of a stored pixel")
    size: PositiveInt = Field(description="pixels along each side of what the encoder sees")
    mean: float = Field(0.5, description="subtracted from pixels in [0, 1]")
    deviation: PositiveFloat = Field(0.25, description="divides them thereafter")
    grey_scale: GreyScale | None = Field(
        None, description="how ingest turned stored values into grey ones; None: not by ingest"
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
            ("grey values", self._grey_values),
            ("stored", f"longer side {self.edge} pixels, {self.bits} bits"),
            ("seen by the encoder", f"{self.size} x {self.size}, centred in a square of black"),
            ("resampling", self.resampling),
            ("normalisation", f"pixels in [0, 1], minus {self.mean:g}, over {self.deviation:g}"),
        )

    def usage(self, call: str = "embeddings = encoder.embed") -> str:
        """Lines of Python that give one raw input to a model."""
        raw = "pixels" if self.grey_scale is None else '"image.dcm"'
        return f"image = {owner(call)}.prepare({raw})\n{call}([image])"

    @property
    def _grey_values(self) -> str:
        if self.grey_scale is None:
            return "as whoever wrote the store made them"
        return (
            f"DICOM: modality LUT or rescale, then {self.grey_scale.label}, then inversion of "
            f"MONOCHROME1 (PS3.4 N.2); other files: {self.grey_scale.label_without_header}"
        )

    @property
    def preparation(self) -> str:
        """What `encoder.prepare` does to a raw input, in a sentence."""
        if self.grey_scale is None:
            return "`prepare` takes grey values in [0, 1]; padding and size are the model's own."
        return (
            "`prepare` reads a DICOM, PNG, JPEG or TIFF file as ingest does; padding, size and "
            "normalisation are the model's own."
        )
