"""Which image files are refused, beside their grey scale: part of a source's configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medssl.contracts.grey_scale import GreyScale


class DisplaySettings(GreyScale):
    """Grey scale of images, and what is refused.

    >>> DisplaySettings(voi="none", burned_in="keep").grey_scale == GreyScale(voi="none")
    True
    """

    burned_in: Literal["refuse", "keep"] = Field(
        "refuse", description="images whose header says that text is burned into them"
    )
    other_modalities: Literal["refuse", "keep"] = Field(
        "refuse",
        description="DICOM images whose header tells of no projection of X-rays: slices of CT and "
        "MR, ultrasound, photographs",
    )
    colour: Literal["refuse", "convert"] = Field(
        "refuse",
        description="images of which no grey scale is told: DICOM colour captures, image files "
        "whose channels differ or whose alpha is not opaque; convert: to their luma, on black",
    )
    smallest: PositiveInt = Field(16, description="pixels along each side, at least")
    largest_megapixels: PositiveFloat = Field(
        200, allow_inf_nan=False, description="refused above this, before anything is decoded"
    )

    @property
    def grey_scale(self) -> GreyScale:
        """The part that decides over pixels."""
        return GreyScale(**{name: getattr(self, name) for name in GreyScale.model_fields})
