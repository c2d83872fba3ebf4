"""How a report is read: which sections, what stands in for absent ones, de-identified words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medssl.config import StrictModel


class TextPolicy(StrictModel):
    """How a report is read; part of a text encoder's contract."""

    sections: tuple[str, ...] = Field(
        ("findings", "impression"), min_length=1, description="sections to read, in order"
    )
    missing: Literal["skip", "other", "last_paragraph", "error"] = Field(
        "skip",
        description="a report without any of them: leave it out, read its other sections, read "
        "its last paragraph, or stop; nothing is made up",
    )
    deidentified: Literal["token", "remove", "drop_sentence"] = Field(
        "token", description="`___` and `XXXX`: one special token, nothing, or no such sentence"
    )
    lowercase: bool = True

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """All that it says, as names and values for people."""
        return (
            ("sections", ", ".join(self.sections)),
            ("reports without them", self.missing.replace("_", " ")),
            ("de-identified words", self.deidentified.replace("_", " ")),
            ("letters", "lower case" if self.lowercase else "as written"),
        )
