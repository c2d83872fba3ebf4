"""How stored values of image files become grey ones: part of the contract of images."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from medssl.config import StoredModel


class GreyScale(StoredModel):
    """The display of radiographs (DICOM PS3.4 N.2): what decides over the pixels of an image.

    >>> GreyScale(voi="window", window_centre=-600, window_width=1500).label
    'window -600/1500, else percentiles 0.5 and 99.5'
    >>> GreyScale(voi="none").text
    '{"percentiles": [0.5, 99.5], "voi": "none", "window": 0}'
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

    @model_validator(mode="after")
    def _fits(self) -> Self:
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

    @property
    def label_without_header(self) -> str:
        """What it is for PNG, JPEG and TIFF files, in words."""
        asked = self.voi == "percentile" or self.own_window is not None
        return self.label if asked else "full range"

    @property
    def label(self) -> str:
        """The grey scale in words."""
        low, high = self.percentiles
        else_ = f"percentiles {low:g} and {high:g}"
        number = f" {self.window}" if self.window else ""
        if self.own_window is not None:
            centre, width = self.own_window
            return f"window {centre:g}/{width:g}, else {else_}"
        return {
            "header": f"VOI LUT{number}, else window{number}, else {else_}",
            "lut": f"VOI LUT{number}, else {else_}",
            "window": f"window{number}, else {else_}",
            "percentile": else_,
            "none": "full range",
        }[self.voi]
