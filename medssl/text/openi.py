"""Reports of the Open-I chest radiograph collection: XML, untrusted."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Final
from xml.sax import SAXException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

from medssl.text.decoding import decode_text
from medssl.text.errors import BROKEN_XML, CLAIMS_TOO_LARGE, EMPTY_FILE, EMPTY_REPORT, TextError
from medssl.text.headers import canonical_name
from medssl.text.report import TEXT, Report, Section, collapsed

MOST_BYTES: Final = 4 << 20
"""Largest file that is parsed; the largest of the collection has 9 kB."""

_ENCODINGS: Final = ("ascii", "cp125", "iso8859", "utf-")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


@dataclass(frozen=True, slots=True)
class OpenIReport:
    """One file of the collection.

    Args:
        report: Its sections; offsets are characters of the decoded XML.
        identifier: The report's own id, such as `CXR1`; empty where there is none.
        images: Ids of the study's images, in the file's order.
        mesh_major: MeSH terms that people gave, with qualifiers: `Opacity/lung/base/left`.
        mesh_automatic: Terms that a program found in the text.
    """

    report: Report
    identifier: str
    images: tuple[str, ...]
    mesh_major: tuple[str, ...]
    mesh_automatic: tuple[str, ...]


def parse_openi(data: bytes) -> OpenIReport:
    """Read one report.

    The file is parsed as a stream, so that memory is bounded by its size. Entities of its own and
    whatever stands outside the file are refused (defusedxml). Bytes that break the encoding that
    the file declares are read as `decode_text` reads a text.

    Raises:
        TextError: No bytes (`EMPTY_FILE`), over `MOST_BYTES` (`CLAIMS_TOO_LARGE`), not well formed
            or with entities (`BROKEN_XML`), or without any section text (`EMPTY_REPORT`).

    >>> data = b'<a><AbstractText Label="FINDINGS">Clear &amp; normal.</AbstractText></a>'
    >>> parse_openi(data).report.to_text()
    'FINDINGS: Clear & normal.'
    """
    if not data:
        raise TextError(EMPTY_FILE)
    if len(data) > MOST_BYTES:
        detail = f"{len(data)} bytes, more than {MOST_BYTES} of XML"
        raise TextError(CLAIMS_TOO_LARGE, detail)
    handler = _parse(_decoded(data))
    sections = tuple(
        section
        for label, offset, text in handler.sections
        if (section := Section.cut(canonical_name(label), text, offset)) is not None
    )
    if not sections:
        raise TextError(EMPTY_REPORT)
    return OpenIReport(
        Report(sections, "openi"), handler.identifier, tuple(handler.images),
        tuple(handler.terms["major"]), tuple(handler.terms["automatic"]),
    )  # fmt: skip


def _decoded(data: bytes) -> str:
    declared = _ENCODING.match(data[:200].removeprefix(b"\xef\xbb\xbf").lstrip())
    if declared is not None:
        try:
            codec = codecs.lookup(declared[1].decode())
            if codec.name.startswith(_ENCODINGS):  # others are no character sets, or slow
                return data.decode(codec.name).removeprefix("\ufeff")
        except (UnicodeError, LookupError):
            pass  # it is not what it says, or an encoding that nobody knows
    try:
        return decode_text(data)[0]
    except TextError as error:
        raise TextError(BROKEN_XML, error.detail) from None


def _parse(text: str) -> _Handler:
    from defusedxml.common import DefusedXmlException
    from defusedxml.sax import parseString

    # What was decoded is now UTF-8, whatever was declared; blanks keep the offsets.
    declaration = _DECLARATION.match(text)
    skipped = 0 if declaration is None else declaration.end()
    plain = " " * skipped + text[skipped:]
    handler = _Handler(text)
    try:
        parseString(plain.encode("utf-8"), handler)
    except DefusedXmlException:
        detail = "declares entities, or points outside the file"
        raise TextError(BROKEN_XML, detail) from None
    except (SAXException, UnicodeEncodeError, ValueError):
        detail = f"not well formed, near line {handler.line}"
        raise TextError(BROKEN_XML, detail) from None
    return handler


@dataclass
class _Handler(ContentHandler):
    """Collects what a report says while the parser passes over it."""

    source: str
    identifier: str = ""
    images: list[str] = field(default_factory=list)
    sections: list[tuple[str, int, str]] = field(default_factory=list)
    terms: dict[str, list[str]] = field(default_factory=lambda: {"major": [], "automatic": []})

    def __post_init__(self) -> None:
        super().__init__()
        self._locator: Locator | None = None
        self._open: str | None = None
        self._label, self._offset = "", -1
        self._pieces: list[str] = []
        self._lines = [0, *(found.end() for found in re.finditer("\n", self.source))]

    @property
    def line(self) -> int:
        """Line that the parser has come to, counted from 1."""
        return (self._locator.getLineNumber() or 1) if self._locator else 1

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802  its name in SAX
        self._locator = locator

    @property
    def column(self) -> int:
        """Characters of the line before what the parser has come to."""
        return (self._locator.getColumnNumber() or 0) if self._locator else 0

    def startElement(self, name: str, attributes: AttributesImpl) -> None:  # noqa: N802  its name in SAX
        if name == "uId":
            self.identifier = attributes.get("id", "").strip()
        elif name == "parentImage" and attributes.get("id", "").strip():
            self.images.append(attributes["id"].strip())
        elif name == "AbstractText" or name in self.terms:
            self._open, self._pieces, self._offset = name, [], -1
            self._label = attributes.get("Label", "") or TEXT

    def characters(self, content: str) -> None:
        if self._open is None or (self._offset < 0 and content.isspace()):
            return
        if self._offset < 0:  # the section begins in this piece
            self._offset = self._lines[self.line - 1] + self.column
        self._pieces.append(content)

    def endElement(self, name: str) -> None:  # noqa: N802  its name in SAX
        if name != self._open:
            return
        text = "".join(self._pieces)
        if name == "AbstractText":
            self.sections.append((self._label, self._offset, text))
        elif text:
            self.terms[name].append(collapsed(text))
        self._open = None
