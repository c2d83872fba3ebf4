"""DICOM files that give no picture: each with its reason, and without what identifies people."""

import zlib

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from medssl.ingest.radiographs import dicom_file, dicom_pixels

GREY = np.zeros((20, 20), dtype=np.uint16)


def without(*keywords):
    """A change that takes elements away."""

    def change(dataset):
        for keyword in keywords:
            del dataset[keyword]

    return change


def test_no_dicom(tmp_path, verdict):
    path = tmp_path / "Name of Somebody.dcm"
    path.write_bytes(b"")
    assert verdict(path) == ("empty_file", "")
    path.write_bytes(b"II*\0" + bytes(500))
    assert verdict(path) == ("unreadable_header", "not DICOM: no DICM after 128 bytes")
    path.write_bytes(bytes(128) + b"DICM")
    reason, detail = verdict(path)
    assert reason in {"no_pixels", "unreadable_header"}
    assert "Somebody" not in detail


@pytest.mark.parametrize(
    ("elements", "change", "expected"),
    [
        ({}, without("PixelData"), ("no_pixels", "no pixel data")),
        ({}, without("Rows"), ("no_pixels", "no rows or no columns")),
        ({"PixelData": b""}, None, ("no_pixels", "no pixel data")),
        ({"PixelData": bytes(798)}, None, ("unreadable_pixels", "798 of 800 bytes")),
        ({"NumberOfFrames": 2}, None, ("several_images", "2 frames")),
        ({}, without("PhotometricInterpretation"),
         ("wrong_photometric", "photometric interpretation not told")),
        ({"PhotometricInterpretation": "MONOCHROME3"}, None,
         ("wrong_photometric", "photometric interpretation of no known name")),
        ({"PhotometricInterpretation": "RGB"}, None,
         ("wrong_photometric", "RGB with 1 samples a pixel")),
        ({"SamplesPerPixel": 3}, None,
         ("wrong_photometric", "MONOCHROME2 with 3 samples a pixel")),
        ({}, without("BitsAllocated"), ("unreadable_header", "BitsAllocated is not told")),
        ({"BitsStored": 17}, None, ("unreadable_header", "17 bits stored in 16")),
        ({"BitsStored": 12, "HighBit": 15}, None,
         ("unsupported_format",
          "12 bits in 16, the highest 15; read: at most 16, in the low bits")),
        ({"RescaleSlope": "1e308"}, None,
         ("unreadable_header", "a rescale slope or intercept beyond all bounds")),
        ({"Rows": 40000, "Columns": 40000}, None,
         ("claims_too_large", "40000 x 40000 pixels; largest_megapixels: 200")),
    ],
)  # fmt: skip
def test_verdicts(write_dicom, verdict, elements, change, expected):
    reason, detail = verdict(write_dicom(GREY, change=change, **elements))
    assert reason == expected[0]
    assert detail == expected[1]


def test_sizes(write_dicom, read, verdict):
    path = write_dicom(np.zeros((1, 1), dtype=np.uint8))
    assert verdict(path) == ("too_small", "1 x 1 pixels; smallest: 16")
    assert verdict(write_dicom(GREY), smallest=21)[0] == "too_small"
    assert read(write_dicom(GREY), smallest=20).pixels.shape == (20, 20)
    assert verdict(write_dicom(GREY), largest_megapixels=0.0003)[0] == "claims_too_large"
    # Smaller than the limit, and still far beyond what so few bytes can tell.
    reason, detail = verdict(write_dicom(GREY, Rows=10_000, Columns=10_000))
    assert reason == "claims_too_large"
    assert detail.startswith("10000 x 10000 pixels claimed by ")


def test_damaged_tables(write_dicom, verdict, look_up):
    short = look_up(np.arange(256), bits=8)
    short.LUTData = short.LUTData[:100]
    bits = look_up(np.arange(256), bits=3)
    three = look_up(np.arange(256))
    three.LUTDescriptor = [256, 0]
    for item, said in ((short, "a LUT of 256 entries with 100"), (bits, "a LUT of 3 bits"),
                       (three, "a LUT descriptor of other than 3 integers")):  # fmt: skip
        for sequence in ("VOILUTSequence", "ModalityLUTSequence"):
            path = write_dicom(GREY, **{sequence: [item]})
            assert verdict(path) == ("unreadable_header", said)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_file_cut_off_anywhere(write_dicom, verdict, larger_pixels, syntax):
    path = write_dicom(larger_pixels)
    dataset = dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00")
    for length in range(start + 40, len(content) - 60, 97):
        path.write_bytes(content[:length])
        assert verdict(path)[0] == "unreadable_pixels"


def test_a_compressed_frame_of_another_size(write_dicom, verdict, larger_pixels):
    path = write_dicom(larger_pixels)
    dataset = dcmread(path)
    dataset.compress(JPEG2000Lossless)
    dataset.Rows = 81
    dataset.save_as(path)
    assert verdict(path) == (
        "unreadable_pixels", "a compressed frame of 80 x 96 x 1 under a header of 81 x 96 x 1"
    )  # fmt: skip


def test_a_missing_decoder_is_named(from_pydicom, verdict, monkeypatch):
    monkeypatch.setattr(dicom_pixels, "find_spec", lambda name: None)
    assert verdict(from_pydicom("MR_small_jpeg_ls_lossless.dcm")) == (
        "unsupported_compression", "JPEG-LS Lossless Image Compression: pip install python-gdcm"
    )  # fmt: skip
    from pydicom.pixels.decoders import JPEG2000LosslessDecoder

    monkeypatch.setattr(JPEG2000LosslessDecoder, "_available", {})
    reason, detail = verdict(from_pydicom("MR_small_jp2klossless.dcm"))
    assert reason == "unsupported_compression"
    assert detail.endswith("pip install pylibjpeg-openjpeg")


def test_a_syntax_that_nothing_reads(from_pydicom, verdict, tmp_path):
    content = from_pydicom("MR_small_RLE.dcm").read_bytes()
    path = tmp_path / "a.dcm"
    for old, new, said in (
        (b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0", "no transfer syntax of the standard"),
        (b"1.2.840.10008.1.2.5\0", b"9.9.999.99999.9.9.9\0", "no transfer syntax of the standard"),
    ):
        assert old in content
        path.write_bytes(content.replace(old, new))
        assert verdict(path) == ("unsupported_compression", said)


def test_a_deflate_bomb(write_dicom, verdict, monkeypatch, tmp_path):
    path = write_dicom(GREY, syntax=DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    start = content.index(DeflatedExplicitVRLittleEndian.encode()) + 22
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(bytes(20_000_000)) + deflater.flush()
    monkeypatch.setattr(dicom_file, "_INFLATED", 10_000_000)
    path.write_bytes(content[:start] + bomb)
    assert verdict(path) == ("claims_too_large", "more than 10000000 bytes when inflated")


def test_numbers_that_are_none(from_pydicom, verdict, tmp_path):
    content = from_pydicom("CT_small.dcm").read_bytes()
    at = content.index(b"\x28\x00\x52\x10DS")  # RescaleIntercept
    path = tmp_path / "a.dcm"
    path.write_bytes(content[: at + 8] + b"Jo Doe" + content[at + 14 :])
    reason, detail = verdict(path)
    assert reason == "unreadable_header"
    assert "Doe" not in detail
