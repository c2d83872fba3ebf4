"""Settings of TIP."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from medssl.config import StrictModel
from medssl.methods.image_text_config import Alike


class FusionConfig(StrictModel):
    """The transformer in which cells look at an image; published: width 512, depth 4, heads 8."""

    width: PositiveInt = 64
    depth: PositiveInt = Field(2, description="transformer blocks")
    heads: PositiveInt = Field(4, description="of the attention; they divide width")

    @model_validator(mode="after")
    def _divides(self) -> FusionConfig:
        if self.width % self.heads:
            msg = f"width {self.width} must be a multiple of heads ({self.heads})"
            raise ValueError(msg)
        return self


class TIPConfig(StrictModel):
    """Contrast, matching and masked reconstruction of an image and a table (arXiv 2407.07582)."""

    name: Literal["tip"] = "tip"
    temperature: PositiveFloat = 0.1
    image_weight: float = Field(
        0.5, ge=0, le=1, description="of finding the row of an image; the rest: the image of a row"
    )
    mask_ratio: float = Field(
        0.5, gt=0, lt=1, description="share of a row's known cells that is hidden and reconstructed"
    )
    corruption: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="share of a row's known cells that contrast and matching see exchanged for "
        "those of other rows",
    )
    fusion: FusionConfig = FusionConfig()
    same_row: Alike = Field("mask", description="rows that are equal in all cells")
    same_participant: Alike = Field("mask", description="other records of the same participant")
