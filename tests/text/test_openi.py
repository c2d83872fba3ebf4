"""Open-I XML: what a report says, and what damaged or hostile files get."""

import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.errors import BROKEN_XML, CLAIMS_TOO_LARGE, EMPTY_FILE, EMPTY_REPORT, TextError
from medssl.text.openi import MOST_BYTES, parse_openi

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <uId id="CXR7"/>
  <Abstract>
    <AbstractText Label="COMPARISON"/>
    <AbstractText Label="FINDINGS">Größe &lt; 2.5 cm.
       No effusion.</AbstractText>
    <AbstractText Label="IMPRESSION">  Normal &amp; clear.</AbstractText>
  </Abstract>
  <MeSH><major>Opacity/lung/base/left</major><major>Lung</major><automatic>opacity</automatic></MeSH>
  <parentImage id="CXR7_IM-1"><caption>PA</caption></parentImage>
  <parentImage id="CXR7_IM-2"/>
</eCitation>
"""


def refused(data):
    with pytest.raises(TextError) as caught:
        parse_openi(data)
    return caught.value.code


def test_sections_ids_and_terms_are_read():
    found = parse_openi(XML.encode())
    assert found.identifier == "CXR7"
    assert found.images == ("CXR7_IM-1", "CXR7_IM-2")
    assert found.mesh_major == ("Opacity/lung/base/left", "Lung")
    assert found.mesh_automatic == ("opacity",)
    assert found.report.to_text() == (
        "FINDINGS: Größe < 2.5 cm. No effusion.\nIMPRESSION: Normal & clear."
    )
    for section, begin in zip(found.report.sections, ("Größe", "Normal"), strict=True):
        assert XML[section.offset :].startswith(begin)


@pytest.mark.parametrize(
    "declared", ["ISO-8859-1", "iso-8859-1", "windows-1252", "utf-8", "x-none"]
)
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_the_encoding_may_be_declared_wrongly(declared, encoding):
    text = XML.replace("utf-8", declared)
    found = parse_openi(text.encode(encoding)).report.to_text()
    said_truth = {"ISO-8859-1": "latin-1", "iso-8859-1": "latin-1", "windows-1252": "latin-1"}
    # Only bytes that are valid in a wrong encoding cannot be told from the right one.
    expected = "GrÃ" if encoding == "utf-8" and declared in said_truth else "Größe"
    assert found.removeprefix("FINDINGS: ").startswith(expected)


def test_latin_1_without_a_declaration_and_utf_16_are_read():
    bare = XML.split("\n", 1)[1]
    for encoding in ("latin-1", "utf-16", "utf-8-sig"):
        assert "Größe" in parse_openi(bare.encode(encoding)).report.to_text()


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://example.invalid/a.dtd">',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.invalid/p"> %p;]>',
    ],
)
def test_entities_and_references_outside_are_refused(prolog):
    assert refused(XML.replace("<eCitation>", prolog + "<eCitation>").encode()) == BROKEN_XML


def test_the_right_code_tells_what_is_wrong():
    assert refused(b"") == EMPTY_FILE
    assert refused(b" " * (MOST_BYTES + 1)) == CLAIMS_TOO_LARGE
    assert refused(b"<a><b></a>") == BROKEN_XML
    assert refused(b"no xml") == BROKEN_XML
    assert refused(b"\x00\x01\x02") == BROKEN_XML
    assert refused(b"<a>&undefined;</a>") == BROKEN_XML
    assert refused(b"<a>" * 100_000) == BROKEN_XML
    assert refused(b"<a/>") == EMPTY_REPORT
    assert refused(b'<a><AbstractText Label="FINDINGS"> \n </AbstractText></a>') == EMPTY_REPORT


def test_the_evidence_quotes_nothing():
    with pytest.raises(TextError) as caught:
        parse_openi(XML.encode()[:400])
    assert "effusion" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))  # as it comes back from a worker
    assert (again.code, again.detail) == (BROKEN_XML, caught.value.detail)


def test_hundreds_of_thousands_of_pieces_take_no_time_squared():
    lines = "a\n" * 400_000
    data = f'<a><AbstractText Label="FINDINGS">{lines}</AbstractText></a>'.encode()
    assert len(parse_openi(data).report.sections[0].text) == 2 * 400_000 - 1


def test_every_truncation_is_broken_or_whole():
    data = XML.encode()
    end = data.rstrip()
    for stop in range(1, len(end)):
        assert refused(data[:stop]) == BROKEN_XML


@given(st.integers(0, 2**32))
def test_flipped_bits_give_a_report_or_a_verdict(seed):
    rng = random.Random(seed)
    data = bytearray(XML.encode())
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    try:
        verdict = "read" if parse_openi(bytes(data)).report.sections else "nothing"
    except TextError as error:
        verdict = error.code
    assert verdict in {"read", BROKEN_XML, EMPTY_REPORT}
