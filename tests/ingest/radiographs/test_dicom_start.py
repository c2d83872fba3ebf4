"""Files that begin at once with their elements: the same pictures and facts, and nothing else."""

from dataclasses import asdict

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medssl.ingest.radiographs import dicom_file
from medssl.ingest.radiographs.dicom_reader import is_dicom, read_header

PREAMBLE = 132
SHIPPED = ("mono1_cr_jpeg2000", "ct_jpeg_extended", "ct_padding_jpeg2000")
NATIVE = ("CT_small", "MR_small_implicit", "MR_small_bigendian")
INSTALLED = (*NATIVE, "MR_small_RLE", "MR_small_jpeg_ls_lossless", "image_dfl")
REFUSED = ("unreadable_header", "not DICOM: no DICM after 128 bytes")


def without_preamble(content):
    """Meta group and elements."""
    return content[PREAMBLE:]


def without_meta(content):
    """The elements alone; the meta group tells its own length in its first element."""
    assert content[PREAMBLE : PREAMBLE + 4] == b"\x02\0\0\0"
    length = int.from_bytes(content[PREAMBLE + 8 : PREAMBLE + 12], "little")
    return content[PREAMBLE + 12 + length :]


@pytest.fixture
def twins(tmp_path, read):
    """A function that compares a file with what remains of it without its beginning."""

    def compare(path, shorten):
        twin = tmp_path / "twin"
        twin.write_bytes(shorten(path.read_bytes()))
        assert is_dicom(twin)
        assert asdict(read_header(twin)) == asdict(read_header(path))
        found, expected = read(twin), read(path)
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert (found.steps, found.depth) == (expected.steps, expected.depth)

    return compare


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_without_preamble_is_the_same(dicom_data, twins, name):
    twins(dicom_data / f"{name}.dcm", without_preamble)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_real_file_without_preamble_is_the_same(from_pydicom, twins, name):
    twins(from_pydicom(f"{name}.dcm"), without_preamble)


@pytest.mark.parametrize("name", NATIVE)
def test_a_real_file_without_meta_group_is_the_same(from_pydicom, twins, name):
    twins(from_pydicom(f"{name}.dcm"), without_meta)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_a_radiograph_without_meta_group_is_the_same(write_dicom, twins, pixels, syntax):
    path = write_dicom(
        pixels, syntax=syntax, BitsStored=12, PatientID="p", StudyInstanceUID="1.2.3",
        ViewPosition="PA", Modality="DX", PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    twins(path, without_meta)


def test_a_meta_group_without_its_transfer_syntax(write_dicom, read, pixels):
    path = write_dicom(pixels, BitsStored=12)
    content, expected = path.read_bytes(), read(path).pixels
    meta = without_preamble(content)[: -len(without_meta(content))]
    start = meta.index(b"\x02\0\x10\0UI")
    end = start + 8 + int.from_bytes(meta[start + 6 : start + 8], "little")
    path.write_bytes(content[:PREAMBLE] + meta[:start] + meta[end:] + without_meta(content))
    np.testing.assert_array_equal(read(path).pixels, expected)


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_jp2klossless"])
def test_compression_that_nothing_tells_is_refused(from_pydicom, tmp_path, verdict, name):
    path = tmp_path / "a"
    path.write_bytes(without_meta(from_pydicom(f"{name}.dcm").read_bytes()))
    reason, detail = verdict(path)
    assert reason == "unsupported_compression"
    assert detail == "compressed, in a way that no transfer syntax tells: convert the file"


def test_no_pixels(from_pydicom, verdict):
    for name in ("ExplVR_LitEndNoMeta.dcm", "ExplVR_BigEndNoMeta.dcm", "rtstruct.dcm"):
        assert is_dicom(from_pydicom(name))
        assert verdict(from_pydicom(name))[0] == "no_pixels"


def element(tag, value, *, kind=b""):
    """An element of little endian order, implicit without a kind."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + kind
    return head + len(value).to_bytes(2 if kind else 4, "little") + value


SET = element(0x0008_0005, b"ISO_IR 100", kind=b"CS")
CLASS = element(0x0008_0016, b"1.2.840.10008.5.1.4.1.1.1\0", kind=b"UI")


@pytest.mark.parametrize(
    "content",
    [
        SET,  # nothing that only DICOM has
        SET + SET + CLASS,
        SET + element(0x0008_0016, b"Jane Doe", kind=b"UI"),
        SET + element(0x0008_0008, b"", kind=b"??") + CLASS,
        element(0x0008_0005, b"ISO_IR 100")[:-4] + CLASS,
        element(0x0009_0010, b"MAKER ", kind=b"LO") + CLASS,
        b" " + SET + CLASS,
        b"\x08\0\x05\0CS\xff\xff" + CLASS,
        bytes(4096) + CLASS,
        bytes(5000),
        b"\x08",
        b"\x08\0\x16\0UI",
    ],
)
def test_what_only_looks_alike_is_refused(tmp_path, verdict, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert not is_dicom(path)
    assert verdict(path) == REFUSED


def test_the_class_alone_is_enough(tmp_path):
    for content in (CLASS, SET + CLASS):
        (tmp_path / "a").write_bytes(content)
        assert is_dicom(tmp_path / "a")


def test_random_files_are_refused(tmp_path):
    draw = np.random.default_rng(0)
    path = tmp_path / "a"
    for start in (b"", b"\x02\0", b"\x08\0", b"\0\x08", b"\x08\0\x05\0CS", b"\x08\0\x16\0"):
        for _ in range(40):
            path.write_bytes(start + draw.bytes(5000))
            assert not is_dicom(path)


def test_files_cut_off_or_damaged_at_their_beginning(from_pydicom, tmp_path, read):
    from medssl.ingest.ledger import Unreadable

    whole = without_meta(from_pydicom("MR_small_implicit.dcm").read_bytes())
    draw = np.random.default_rng(1)
    path, reasons = tmp_path / "a", set()
    for number in range(150):
        content = bytearray(whole[: int(draw.integers(1, 1500))] if number % 2 else whole)
        for place in draw.integers(0, min(600, len(content)), size=3):
            content[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(content)
        try:
            read(path)
        except Unreadable as refused:
            reasons.add(refused.reason.value)
    assert {"unreadable_header", "no_pixels"} <= reasons
    assert "reader_failed" not in reasons


def test_forty_gigabytes_of_zeros_are_not_read_in(tmp_path, verdict, monkeypatch):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(40 << 30)
    assert verdict(path) == REFUSED
    monkeypatch.setattr(dicom_file, "_READS", 1000)
    for start in (bytes(128) + b"DICM", SET + CLASS):
        with path.open("r+b") as file:
            file.write(start)
        said = "more elements than a header has: over 1000 reads"
        assert verdict(path) == ("claims_too_large", said)
        with path.open("r+b") as file:
            file.write(bytes(200))


def test_dicm_is_enough(dicom_data, tmp_path):
    assert is_dicom(dicom_data / "ct_jpeg_extended.dcm")
    assert not is_dicom(dicom_data / "README.md")
    (tmp_path / "short").write_bytes(b"DICM")
    assert not is_dicom(tmp_path / "short")


def test_acr_nema(tmp_path):
    path = tmp_path / "a"
    length = element(0x0008_0000, bytes(4))
    path.write_bytes(length + element(0x0008_0010, b"ACR-NEMA 2.0"))
    assert is_dicom(path)
    path.write_bytes(length + element(0x0008_0010, b"ACR of Jane "))
    assert not is_dicom(path)
