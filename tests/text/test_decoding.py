"""Text files in the encodings that hospitals export."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.decoding import decode_text
from medssl.text.errors import EMPTY_FILE, UNREADABLE_DATA, TextError

WORDS = "Röntgen: kein Erguss – unauffällig"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (WORDS.encode(), (WORDS, "utf-8")),
        (codecs.BOM_UTF8 + WORDS.encode(), (WORDS, "utf-8")),
        (WORDS.encode("utf-16"), (WORDS, "utf-16")),
        (codecs.BOM_UTF16_BE + WORDS.encode("utf-16-be"), (WORDS, "utf-16")),
        (WORDS.encode("cp1252"), (WORDS, "cp1252")),
        (b"caf\xe9 \x81", ("café \x81", "latin-1")),
        (b"tab\tline\r\npage\x0cend\x1a", ("tab\tline\r\npage\x0cend\x1a", "utf-8")),
    ],
)
def test_the_encoding_is_found_and_told(data, expected):
    assert decode_text(data) == expected


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", EMPTY_FILE),
        (b"abc\x00def", UNREADABLE_DATA),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", UNREADABLE_DATA),
        (codecs.BOM_UTF16_LE + b"a", UNREADABLE_DATA),
        ("text".encode("utf-32"), UNREADABLE_DATA),
    ],
)
def test_what_is_no_text_is_refused(data, code):
    with pytest.raises(TextError) as caught:
        decode_text(data)
    assert caught.value.code == code


@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_or_a_verdict(data):
    try:
        text, encoding = decode_text(data)
    except TextError as error:
        text, encoding = None, error.code
    if text is None:
        assert encoding in {EMPTY_FILE, UNREADABLE_DATA}
        return
    assert "\0" not in text
    if encoding != "utf-16":
        assert text.encode(encoding) in {data, data.removeprefix(codecs.BOM_UTF8)}


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_utf_8_comes_back_whole(text):
    assert decode_text(text.encode()) == (text.removeprefix("\ufeff"), "utf-8")
