"""How the values of image files become grey ones: part of a source's configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medssl.config import StrictModel


class DisplaySettings(StrictModel):
    """Display of radiographs (DICOM PS3.4 N.2), and what is refused.

    >>> DisplaySettings(voi="window", window_centre=-600, window_width=1500).voi
    'window'
    """

    voi: Literal["header", "lut", "window", "percentile", "none"] = Field(
        "header",
        description="header: VOI LUT, else window, else percentiles; lut, window: that alone, else "
        "percentiles; none: the full range. Files without a header: the full range, unless window "
        "(with a centre and a width) or percentile is asked for",
    )
    window: NonNegativeInt = Field(
        0, description="which VOI LUT or window, from 0, where a header has several; else its last"
    )
    window_centre: float | None = Field(
        None, allow_inf_nan=False, description="instead of the header's, after rescaling"
    )
    window_width: float | None = Field(None, gt=1, allow_inf_nan=False)
    percentiles: tuple[float, float] = Field(
        (0.5, 99.5), description="shown as black and as white; padding is left out"
    )
    burned_in: Literal["refuse", "keep"] = Field(
        "refuse", description="images whose header says that text is burned into them"
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

    @model_validator(mode="after")
    def _fits(self) -> DisplaySettings:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            msg = "percentiles must be two rising numbers from 0 to 100"
            raise ValueError(msg)
        if (self.window_centre is None) != (self.window_width is None):
            msg = "give both window_centre and window_width, or neither"
            raise ValueError(msg)
        if self.window_centre is not None and self.voi != "window":
            msg = "window_centre and window_width need voi: window"
            raise ValueError(msg)
        return self

    @property
    def own_window(self) -> tuple[float, float] | None:
        """The configured centre and width, where there are any."""
        if self.window_centre is None or self.window_width is None:
            return None
        return self.window_centre, self.window_width
