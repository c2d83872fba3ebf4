"""What is wrong with a text: a code for the ledger, and evidence that quotes nothing of it."""

from __future__ import annotations

from typing import Final

from medssl.errors import MedsslError

BROKEN_XML: Final = "broken_xml"
CLAIMS_TOO_LARGE: Final = "claims_too_large"
EMPTY_FILE: Final = "empty_file"
EMPTY_REPORT: Final = "empty_report"
UNREADABLE_DATA: Final = "unreadable_data"
MISSING_SECTIONS: Final = "missing_sections"


class TextError(MedsslError, ValueError):
    """A text cannot be read.

    Attributes:
        code: One of this module's codes; all but `MISSING_SECTIONS` are also reasons of the
            ingest ledger, which lies above this floor and maps them by their value.
        detail: Evidence in words and numbers, without any word of the text itself.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        """Keep the verdict."""
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or self.code.replace("_", " ")
