"""A report: named sections with their offsets into the source, stored one section a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TEXT: Final = "text"
"""Name of the only section of a text without headers."""

_NAME = re.compile(r"[a-z]+(?: [a-z]+)*")
_HEADER = re.compile(r"([A-Z]+(?: [A-Z]+)*): (.*)")


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a report.

    Args:
        name: Canonical name: lower-case words, such as `"findings"` or `"last paragraph"`.
        text: What it says, with each run of white space as one blank; never empty.
        offset: Characters of the source before the first one of `text`.

    Raises:
        ValueError: The name or the text is not of this form.
    """

    name: str
    text: str
    offset: int

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            msg = f"a section's name is lower-case words, not {self.name!r}"
            raise ValueError(msg)
        if not self.text or self.text != collapsed(self.text):
            msg = f"the text of section {self.name} is empty or has white space to collapse"
            raise ValueError(msg)

    @classmethod
    def cut(cls, name: str, raw: str, offset: int) -> Section | None:
        """The section of a raw span that begins at `offset`, or None where it is blank."""
        text = collapsed(raw)
        return cls(name, text, offset + len(raw) - len(raw.lstrip())) if text else None


@dataclass(frozen=True, slots=True)
class Report:
    """The sections of one report, in the order of the source.

    Nothing is dropped here but white space: how a report is read (which sections, what stands for
    de-identified words) is a `TextPolicy`, applied at each reading and never stored.

    Args:
        sections: At least one; a name may occur twice, as it does in real reports.
        source: What it was cut from: `"openi"`, `"mimic"`, `"plain"` or `"stored"`.

    Raises:
        ValueError: No section.

    >>> report = Report((Section("findings", "Clear lungs.", 3),), "plain")
    >>> report.to_text()
    'FINDINGS: Clear lungs.'
    >>> Report.from_text("FINDINGS: Clear lungs.").sections[0].offset  # now into the stored text
    10
    """

    sections: tuple[Section, ...]
    source: str

    def __post_init__(self) -> None:
        if not self.sections:
            msg = "a report has at least one section"
            raise ValueError(msg)

    def named(self, name: str) -> tuple[Section, ...]:
        """All sections of one name."""
        return tuple(section for section in self.sections if section.name == name)

    def to_text(self) -> str:
        """As stored: one section a line, `NAME: text`."""
        return "\n".join(f"{section.name.upper()}: {section.text}" for section in self.sections)

    @classmethod
    def from_text(cls, stored: str) -> Report:
        """The inverse of `to_text`: equal names and texts, offsets into `stored`.

        Lines before the first header, or all of them where there is none, are one section `text`.
        A line without a header goes on with the section above it.

        Raises:
            ValueError: The text is blank.
        """
        spans: list[tuple[str, int, int]] = []
        start = 0
        for line in stored.split("\n"):
            header = _HEADER.match(line)
            stop = start + len(line)
            if header is not None:
                spans.append((header[1].lower(), start + header.start(2), stop))
            elif spans:
                spans[-1] = (*spans[-1][:2], stop)
            else:
                spans.append((TEXT, start, stop))
            start = stop + 1
        cut = (Section.cut(name, stored[first:last], first) for name, first, last in spans)
        return cls(tuple(section for section in cut if section is not None), "stored")


def collapsed(text: str) -> str:
    """Each run of white space as one blank, none at the ends."""
    return " ".join(text.split())
