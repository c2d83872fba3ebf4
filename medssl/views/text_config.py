"""What a text encoder is shown of a report; the default is ConVIRT's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from medssl.config import StrictModel
from medssl.text.policy import TextPolicy
from medssl.views.text import TextDraw, TextViews


class TextViewsConfig(StrictModel):
    """One sentence a time, as published (ConVIRT: Zhang et al., arXiv 2010.00747).

    >>> TextViewsConfig().draw
    'sentence'
    """

    kind: Literal["text"] = "text"
    draw: TextDraw = Field(
        "sentence",
        description="one sentence of the report, drawn anew each time; several of them, in the "
        "order of the report; or the whole report",
    )
    sentences: PositiveInt = Field(3, description="how many, for draw: sentences")
    policy: TextPolicy = Field(TextPolicy(), description="how a report is read")

    def build(self, policy: TextPolicy | None = None) -> TextViews:
        """The views of reports read by a policy; by default the configuration's."""
        return TextViews(self, policy or self.policy)
